"""What a radio button of the picker stands for: a slot, or a time that is free (B1, F3)."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy

from bookings.services.free_times import FreeTime
from payments.services.series import MOST_MINUTES


def value_of(wanted: uuid.UUID | FreeTime) -> str:
    """The text that a form or an address carries for it."""
    if isinstance(wanted, uuid.UUID):
        return str(wanted)
    start = wanted.starts_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{wanted.resource_id}/{start}/{wanted.minutes}"


def read(text: str | None) -> uuid.UUID | FreeTime | None:
    """What such a text stands for; None if it makes no sense."""
    first, *rest = (text or "").split("/")
    try:
        found = uuid.UUID(first)
        if not rest:
            return found
        start, minutes = rest
        starts_at = datetime.fromisoformat(start).astimezone(UTC)
        free = FreeTime(found, starts_at, int(minutes))
    except (ValueError, OverflowError):
        return None
    return free if 0 < free.minutes <= MOST_MINUTES and 2000 < starts_at.year < 2200 else None


class WantedField(forms.Field):
    """One of the times that the picker shows."""

    default_error_messages = {"required": gettext_lazy("Choose a time.")}

    def to_python(self, value: Any) -> uuid.UUID | FreeTime | None:
        if value in self.empty_values:
            return None
        found = read(str(value))
        if found is None:
            raise ValidationError(self.error_messages["required"], code="required")
        return found
