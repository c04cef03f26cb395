"""The languages that we have texts in, and words of ours that are kept in English until then.

A reason is stored once and read by several people: the customer in a mail, staff in the admin,
whoever looks at the trail. So what the system says as a reason is stored in English, and said
in the reader's language where it is rendered; what people typed stays as they typed it. The two
are told apart by the catalogue: ours are its entries with the context ``reason``.
"""

from __future__ import annotations

import re

from django.conf import settings
from django.utils.translation import pgettext

REASON = "reason"  # the context in the catalogue


def our_reason(sentence: str) -> str:
    """Mark a sentence of ours that is stored as a reason, so that the catalogue has it.

    It comes back as it is; :func:`in_words` translates it.
    """
    return sentence


def in_words(reason: str) -> str:
    """A stored reason in the active language, as far as it is ours.

    Staff can tick a sentence of ours and add their own: then ours is translated, and theirs is not.
    """
    parts = _SENTENCES.split(reason)  # a sentence, the space after it, a sentence, …
    said, at = "", 0
    while at < len(parts):
        for end in (at + 3, at + 1):  # one of ours may be of two sentences
            ours = "".join(parts[at:end])
            words = pgettext(REASON, ours) if ours else ours
            if words != ours:
                break
        said += words
        at = min(end, len(parts))
    return said


_SENTENCES = re.compile(r"(?<=[.?!])(\s+)")


def supported(code: str) -> str:
    """This language if we have texts in it, else the first of all."""
    return code if code in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
