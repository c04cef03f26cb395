"""The catalogues of what customers read: which messages there are, and what becomes of them.

``make messages`` runs this file: it takes new messages into every catalogue, without a
translation, takes out those that are gone, and compiles what is translated. It needs no gettext;
templates are read with the same function of Django's that ``makemessages`` hands them to xgettext
with. ``tests/config/test_catalogue.py`` uses it to see that nothing is missing.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polib
from django.conf import settings
from django.utils.translation.template import templatize

from audit.languages import REASON
from audit.templatetags.moments import CODE, spelled
from payments.lifecycle import PaymentMethod

ROOT = Path(__file__).resolve().parent.parent
APPS = ("audit", "bookings", "waitlist", "payments", "config")
TEMPLATES = ("templates/notifications", "templates/account")
#: Where every marked word is for customers. Elsewhere only reasons are: the admin is in English.
FOR_CUSTOMERS = (
    "audit/templatetags/moments.py",
    "bookings/lifecycle.py",
    "config/account_pages.py",
    "config/accounts.py",
    "payments/lifecycle.py",
    "waitlist/lifecycle.py",
)
#: What a payload says in codes, which ``words`` spells.
CODES = tuple(PaymentMethod.values)

MARKS = {"gettext", "gettext_lazy", "gettext_noop", "_"}
PLURAL_MARKS = {"ngettext", "ngettext_lazy"}
CONTEXT_MARKS = {"pgettext", "pgettext_lazy"}
CONTEXT_PLURAL_MARKS = {"npgettext", "npgettext_lazy"}
_CALL = re.compile(rf"(?<![\w.])(?:{'|'.join(MARKS | PLURAL_MARKS | CONTEXT_MARKS)}|npgettext)\(")


@dataclass(frozen=True, slots=True, order=True)
class Message:
    """One message of the catalogue, as gettext knows it."""

    text: str
    context: str = ""
    plural: str = ""


Found = dict[Message, set[str]]


def catalogues() -> dict[str, Path]:
    """The catalogue of each language but the first, which the messages are in."""
    (folder,) = settings.LOCALE_PATHS
    return {
        code: folder / code / "LC_MESSAGES" / "django.po"
        for code, _name in settings.LANGUAGES
        if code != settings.LANGUAGE_CODE
    }


def messages() -> Found:
    """Every message that customers may read, and the files it is in."""
    found: Found = {}
    for path in _files(TEMPLATES, "*"):
        for message in in_template(path.read_text()):
            found.setdefault(message, set()).add(_named(path))
    for path in _files(APPS, "*.py"):
        everything = _named(path) in FOR_CUSTOMERS
        for message in in_python(path.read_text()):
            if everything or message.context == REASON:
                found.setdefault(message, set()).add(_named(path))
    for code in CODES:
        found.setdefault(Message(spelled(code), CODE), set()).add("payments/lifecycle.py")
    return found


def in_template(text: str) -> Iterator[Message]:
    """The messages of a template."""
    code = templatize(text)
    for call in _CALL.finditer(code):
        yield from in_python(_first_expression(code[call.start() :]))


def _first_expression(code: str) -> str:
    """The call at the beginning of what ``templatize`` makes, which is no Python as a whole."""
    for end in (found.end() for found in re.finditer(r"\)", code)):
        try:
            ast.parse(code[:end], mode="eval")
        except SyntaxError:
            continue
        return code[:end]
    raise ValueError(f"no call of gettext: {code[:80]}")


def in_python(code: str) -> Iterator[Message]:
    """The messages of a Python file.

    Raises:
        ValueError: a reason is marked that is not written out, so that no catalogue can have it.
    """
    for call in ast.walk(ast.parse(code)):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        texts = [a.value if isinstance(a, ast.Constant) else None for a in call.args]
        match name, texts:
            case "our_reason", [str(text)]:
                yield Message(text, REASON)
            case "our_reason", _:
                raise ValueError(f"a reason is written out: {ast.unparse(call)}")
            case _, [str(text), *_] if name in MARKS:
                yield Message(text)
            case _, [str(context), str(text), *_] if name in CONTEXT_MARKS:
                yield Message(text, context)
            case _, [str(text), str(plural), *_] if name in PLURAL_MARKS:
                yield Message(text, plural=plural)
            case _, [str(context), str(text), str(plural), *_] if name in CONTEXT_PLURAL_MARKS:
                yield Message(text, context, plural)


def message_of(entry: polib.POEntry) -> Message:
    return Message(entry.msgid, entry.msgctxt or "", entry.msgid_plural or "")


def update(path: Path, found: Found) -> polib.POFile:
    """Bring a catalogue up to date with what there is to translate; translations stay."""
    catalogue = polib.pofile(str(path), wrapwidth=98) if path.exists() else _new(path)
    known = {message_of(entry): entry for entry in catalogue if not entry.obsolete}
    del catalogue[:]
    for message in sorted(found, key=lambda m: (sorted(found[m]), m)):
        entry = known.get(message) or _entry(message)
        entry.occurrences = [(name, "") for name in sorted(found[message])]
        catalogue.append(entry)
    return catalogue


def _entry(message: Message) -> polib.POEntry:
    made = polib.POEntry(msgid=message.text, msgctxt=message.context or None)
    if message.plural:
        made.msgid_plural, made.msgstr_plural = message.plural, {0: "", 1: ""}
    return made


def _new(path: Path) -> polib.POFile:
    made = polib.POFile(wrapwidth=98)
    made.metadata = {
        "Project-Id-Version": "holdfast",
        "Language": path.parent.parent.name,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": "nplurals=2; plural=(n != 1);",
    }
    return made


def _files(folders: tuple[str, ...], pattern: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob(pattern)):
            if path.is_file() and not {"migrations", "__pycache__"} & set(path.parts):
                yield path


def _named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def main() -> int:
    """Update and compile every catalogue; how many messages are left to translate."""
    found, left = messages(), 0
    for code, path in catalogues().items():
        catalogue = update(path, found)
        path.parent.mkdir(parents=True, exist_ok=True)
        catalogue.save(str(path))
        catalogue.save_as_mofile(str(path.with_suffix(".mo")))
        missing = [*catalogue.untranslated_entries(), *catalogue.fuzzy_entries()]
        left += len(missing)
        print(f"{path.relative_to(ROOT)}: {len(catalogue)} messages, {len(missing)} to translate")
        for entry in missing:
            print(f"  {code}: {entry.msgid!r}")
    return left


if __name__ == "__main__":
    import django

    django.setup()
    sys.exit(1 if main() else 0)
