"""What a request says is booked: a slot, or a time of a resource that is booked at free times."""

from __future__ import annotations

import uuid

from audit.api.fields import MISSING, Fields
from bookings.services.free_times import FreeTime
from payments.services.series import MOST_MINUTES

TIME = ("resource", "starts_at", "minutes")


def time_in(fields: Fields) -> uuid.UUID | FreeTime:
    """The slot that is named, or the free time; what is wrong with it is noted in ``fields``."""
    slot_id = fields.uuid("slot")
    resource_id, starts_at = fields.uuid("resource"), fields.moment("starts_at")
    minutes = fields.integer("minutes", least=1, most=MOST_MINUTES, default=0)
    said = dict(zip(TIME, (resource_id, starts_at, minutes), strict=True))
    if slot_id is not None:
        for name, value in said.items():
            if value:
                fields.refuse(name, "Say either the slot or resource, starts_at and minutes.")
        return slot_id
    if any(said.values()):
        for name, value in said.items():
            if not value and name not in fields.errors:
                fields.refuse(name, MISSING)
        if resource_id and starts_at and minutes:
            return FreeTime(resource_id, starts_at, minutes)
    elif not fields.errors:
        fields.refuse("slot", MISSING)
    return uuid.UUID(int=0)
