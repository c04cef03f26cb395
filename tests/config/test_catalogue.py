"""Every word that customers read is there in every language that is offered (B9, F2)."""

from __future__ import annotations

import ast
import gettext
import re
from pathlib import Path

import polib
import pytest
from django.conf import settings

from audit.languages import REASON
from tests import catalogue
from tests.catalogue import Message

CATALOGUES = catalogue.catalogues()
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|</?\w+>")


def entries(code: str) -> list[polib.POEntry]:
    return list(polib.pofile(str(CATALOGUES[code])))


def test_every_language_but_that_of_the_texts_has_a_catalogue() -> None:
    assert {"en", "de"} <= set(dict(settings.LANGUAGES))
    assert [code for code, path in CATALOGUES.items() if not path.exists()] == []


@pytest.mark.parametrize("code", CATALOGUES)
def test_a_catalogue_has_what_there_is_to_say_and_no_more(code: str) -> None:
    wanted = set(catalogue.messages())
    there = [catalogue.message_of(entry) for entry in entries(code)]
    assert sorted(wanted - set(there)) == [], "run make messages, and translate these"
    assert sorted(set(there) - wanted) == [], "run make messages: nobody says these any more"
    assert len(there) == len(set(there))


@pytest.mark.parametrize("code", CATALOGUES)
def test_everything_is_translated_and_nothing_is_a_guess(code: str) -> None:
    for entry in entries(code):
        assert not entry.fuzzy, entry.msgid
        assert not entry.obsolete, entry.msgid
        said = entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]
        assert all(text.strip() for text in said), entry.msgid


@pytest.mark.parametrize("code", CATALOGUES)
def test_a_translation_has_the_gaps_the_tags_and_the_empty_lines_of_its_message(code: str) -> None:
    for entry in entries(code):
        wanted = sorted(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
        for text in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            assert sorted(PLACEHOLDER.findall(text)) == wanted, entry.msgid
            assert text.count("\n") == entry.msgid.count("\n"), entry.msgid
            assert text == text.strip(), entry.msgid


@pytest.mark.parametrize("code", CATALOGUES)
def test_what_is_compiled_is_what_is_written(code: str) -> None:
    source = polib.pofile(str(CATALOGUES[code]))
    compiled = CATALOGUES[code].with_suffix(".mo")
    assert compiled.read_bytes() == source.to_binary(), "run make messages"
    with compiled.open("rb") as file:  # and so does gettext
        read = gettext.GNUTranslations(file)
    for entry in source:
        if entry.msgid_plural:
            said = {read.ngettext(entry.msgid, entry.msgid_plural, n) for n in range(200)}
            assert said == set(entry.msgstr_plural.values())
        elif entry.msgctxt:
            assert read.pgettext(entry.msgctxt, entry.msgid) == entry.msgstr
        else:
            assert read.gettext(entry.msgid) == entry.msgstr


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ('{% load i18n %}{% translate "Hello" %}', Message("Hello")),
        ('{% trans "It\'s here" %}', Message("It's here")),
        ('{% translate "May" context "month" %}', Message("May", "month")),
        ('{% translate "Open (all)" as x %}', Message("Open (all)")),
        ('{{ _("Hello")|upper }}', Message("Hello")),
        (
            "{% blocktranslate trimmed with n=a.b %}\n  One {{ n }}\n  100%\n{% endblocktranslate %}",
            Message("One %(n)s 100%%"),
        ),
        (
            "{% blocktranslate count n=n %}{{ n }} day{% plural %}{{ n }} days{% endblocktranslate %}",
            Message("%(n)s day", plural="%(n)s days"),
        ),
        (
            '{% blocktranslate context "a" count n=n %}day{% plural %}days{% endblocktranslate %}',
            Message("day", "a", "days"),
        ),
    ],
)
def test_a_message_is_found_in_whatever_way_a_template_marks_it(
    template: str, found: Message
) -> None:
    assert list(catalogue.in_template(template)) == [found]


def test_a_new_mail_without_translations_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(catalogue.messages())
    mail = tmp_path / "templates" / "notifications" / "booking.new" / "subject.txt"
    mail.parent.mkdir(parents=True)
    mail.write_text('{% load i18n %}{% translate "Nobody translated this" %}')
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    monkeypatch.setattr(catalogue, "APPS", ())
    new = set(catalogue.messages()) - before
    assert new == {Message("Nobody translated this")}
    assert new.isdisjoint(catalogue.message_of(entry) for entry in entries("de"))


def test_an_update_keeps_what_is_translated_adds_what_is_new_and_drops_what_is_gone() -> None:
    path = CATALOGUES["de"]
    found = catalogue.messages()
    gone = Message("Nobody came.", REASON)
    assert found.pop(gone)
    new, many = Message("Brand new"), Message("%(n)s day", plural="%(n)s days")
    updated = catalogue.update(path, found | {new: {"a.txt"}, many: {"a.txt"}})
    there = {catalogue.message_of(entry): entry for entry in updated}
    assert set(there) == (set(found) | {new, many})
    assert there[new].msgstr == ""
    assert not there[many].translated()
    assert there[Message("The hold ran out.", REASON)].msgstr == (
        "Die Reservierung ist abgelaufen."
    )


def test_a_reason_that_is_put_together_cannot_be_marked() -> None:
    with pytest.raises(ValueError, match="written out"):
        list(catalogue.in_python("our_reason(f'{n} came')"))


def test_every_sentence_that_a_service_gives_as_a_reason_is_marked() -> None:
    """Else it would stand in English in a mail that is in another language."""
    marked = {message.text for message in catalogue.messages() if message.context == REASON}
    said = {
        sentence
        for app in ("bookings", "waitlist", "payments")
        for path in (catalogue.ROOT / app).rglob("*.py")
        if not {"migrations", "admin"} & set(path.parts)
        for sentence in _reasons_in(ast.parse(path.read_text()))
    }
    assert len(said) > 10
    assert sorted(said - marked) == []


def _reasons_in(tree: ast.Module) -> set[str]:
    """The sentences in arguments ``reason=``, written there or as a constant of the file."""
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = set()
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        for keyword in call.keywords:
            if keyword.arg != "reason":
                continue
            value = keyword.value
            if isinstance(value, ast.Name):
                value = constants.get(value.id, value)
            texts = [part.value for part in ast.walk(value) if isinstance(part, ast.Constant)]
            found |= {text for text in texts if isinstance(text, str) and text.endswith(".")}
    return found
