"""Looking for words of one language in a mail that is in another."""

from __future__ import annotations

import html
import re
from functools import cache

from audit.delivery.email import render
from audit.languages import REASON
from audit.models import OutboxEvent
from tests import catalogue

_GAP = re.compile(r"%\\\(\w+\\\)s")  # a placeholder, escaped
_TAG = re.compile(r"<style>.*?</style>|<[^>]+>", re.DOTALL)


def english_in(event: OutboxEvent, *, language: str, time_zone: str = "") -> list[str]:
    """The messages of the catalogue that a mail says in English."""
    mail = render(event, language=language, time_zone=time_zone)
    seen = [mail.subject, mail.text, html.unescape(_TAG.sub(" ", mail.html))]
    text = "\n".join(" ".join(part.split()) for part in seen)
    return [message for message, pattern in _patterns() if pattern.search(text)]


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """What mails say, with gaps for what is filled in, but for patterns of dates and the like."""
    found = []
    for message, files in catalogue.messages().items():
        if message.context != REASON and not any(f.startswith("templates/n") for f in files):
            continue
        for text in filter(None, (message.text, message.plural)):
            plain = " ".join(_TAG.sub(" ", text).split())
            pattern = _GAP.sub(".+?", re.escape(plain))
            found.append((text, re.compile(rf"(?<!\w){pattern}(?!\w)")))
    return found
