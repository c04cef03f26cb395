"""Values out of a request body or a query string, checked before anything is done with them.

Whatever arrives, the result is a value of the right type or a 400 that names the field: a
NUL byte, half a surrogate pair or an integer of a thousand digits never reaches the database.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime

from audit.errors import Invalid

LARGEST_INTEGER = 2**31 - 1
MISSING = "This field is required."
NOT_ONE_LINE = "This text has control characters, which nobody could read."
_TRUE, _FALSE = {"true", "1"}, {"false", "0"}


class Fields:
    """Reads fields one by one and collects what is wrong with them; then call :meth:`check`.

    Fields that nobody asks for are ignored in a body: a client cannot set a price by sending
    one. In a query string they are refused, as a filter with a typing error would otherwise
    return everything.
    """

    def __init__(self, data: Any) -> None:
        """``data`` is a parsed JSON body, a form or a query string.

        Raises:
            Invalid: it is not an object with members.
        """
        if not isinstance(data, Mapping):
            raise Invalid("Send one JSON object.")
        self._data = data
        self.errors: dict[str, list[str]] = {}
        self._asked: set[str] = set()

    def refuse(self, name: str, why: str) -> None:
        self.errors.setdefault(name, []).append(why)

    def check(self, *, known: bool = False) -> None:
        """Raise Invalid with every error found.

        Args:
            known: also refuse fields that nobody asked for.
        """
        if known:
            for name in self._data:
                if name not in self._asked:
                    self.refuse(printable(name), "There is no such parameter.")
        if self.errors:
            raise Invalid("Some values cannot be used; see errors.", errors=self.errors)

    def _take(self, name: str, required: bool) -> Any:
        """The value, or None if it is missing, null or empty."""
        self._asked.add(name)
        value = self._data.get(name)
        if value is None or value == "":
            if required:
                self.refuse(name, MISSING)
            return None
        return value

    def text(
        self,
        name: str,
        *,
        longest: int,
        required: bool = False,
        default: str = "",
        one_line: bool = False,
    ) -> str:
        """A text.

        Args:
            longest: how many characters at most.
            one_line: white space, line breaks too, becomes one space, and other control
                characters are refused.
        """
        value = self._take(name, required)
        if value is None:
            return default
        if not isinstance(value, str):
            self.refuse(name, "This must be text.")
        elif not is_clean(value):
            self.refuse(name, "This text has characters that cannot be stored.")
        elif one_line and not is_one_line(value := " ".join(value.split())):
            self.refuse(name, NOT_ONE_LINE)
        elif required and not value:
            self.refuse(name, MISSING)
        elif len(value) > longest:
            self.refuse(name, f"At most {longest} characters.")
        else:
            return value
        return default

    def uuid(self, name: str, *, required: bool = False) -> uuid.UUID | None:
        value = self._take(name, required)
        if value is None:
            return None
        found = to_uuid(value)
        if found is None:
            self.refuse(name, "This must be a UUID.")
        return found

    def integer(
        self, name: str, *, least: int, most: int = LARGEST_INTEGER, default: int | None = None
    ) -> int:
        """An integer; required unless there is a default."""
        value = self._take(name, default is None)
        fallback = least if default is None else default
        if value is None:
            return fallback
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,12}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, "This must be a whole number.")
        elif not least <= value <= most:
            self.refuse(name, f"Between {least} and {most}.")
        else:
            return value
        return fallback

    def choice(
        self, name: str, choices: Collection[str], *, required: bool = False, default: str = ""
    ) -> str:
        value = self._take(name, required)
        if value is None:
            return default
        if not isinstance(value, str) or value not in choices:
            self.refuse(name, f"One of: {', '.join(choices)}.")
            return default
        return value

    def choices(self, name: str, choices: Collection[str]) -> list[str]:
        """One or several of ``choices``, with commas between them."""
        value = self._take(name, False)
        if value is None:
            return []
        wanted = value.split(",") if isinstance(value, str) else [""]
        if not set(wanted) <= set(choices):
            self.refuse(name, f"One or several (with commas) of: {', '.join(choices)}.")
            return []
        return wanted

    def boolean(self, name: str) -> bool | None:
        value = self._take(name, False)
        if value is None or isinstance(value, bool):
            return value
        if not isinstance(value, (str, int)):
            self.refuse(name, "true or false.")
            return False
        if value in _TRUE:
            return True
        if value not in _FALSE:
            self.refuse(name, "true or false.")
        return False

    def amount(self, name: str, *, required: bool = False) -> Decimal | None:
        """Money: a decimal string or number with at most two places."""
        value = self._take(name, required)
        if value is None:
            return None
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            text = str(value)
            if re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,2})?", text):
                try:
                    return Decimal(text)
                except InvalidOperation:
                    pass
        self.refuse(name, 'An amount such as "12.50".')
        return None

    def moment(self, name: str, *, required: bool = False) -> datetime | None:
        """A moment with its offset from UTC, or a date, which means its beginning in UTC."""
        value = self._take(name, required)
        if value is None:
            return None
        found = to_moment(value)
        if found is None:
            self.refuse(name, "A date, or a time with its offset, such as 2030-05-01T09:00:00Z.")
        return found


def is_clean(text: str) -> bool:
    """Whether a text can be stored: no NUL, no half of a surrogate pair."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_one_line(text: str) -> bool:
    """Whether a text has no control characters, of which line breaks are some."""
    return not any(unicodedata.category(character) == "Cc" for character in text)


def printable(text: str) -> str:
    """A text that was sent, as it may stand in an answer."""
    return text[:100].encode("utf-8", "replace").decode().replace("\x00", "�")


def to_uuid(value: Any) -> uuid.UUID | None:
    """The UUID a text says in its usual form; None if it does not."""
    if isinstance(value, uuid.UUID):
        return value
    if not isinstance(value, str) or len(value) != 36:
        return None
    try:
        return uuid.UUID(value)
    except ValueError:
        return None


def to_moment(value: Any) -> datetime | None:
    """A moment in UTC; None if the text says none that the database could hold."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    # An unescaped plus in a query string arrives as a space.
    text = re.sub(r" (\d\d:?\d\d)$", r"+\1", value.strip())
    try:
        day = parse_date(text)
        found = datetime.combine(day, time(), UTC) if day else parse_datetime(text)
        if found is None or found.tzinfo is None:
            return None
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
