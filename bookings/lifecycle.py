"""Which status follows which. The only place that says so."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from audit.lifecycle import Lifecycle


class BookingStatus(TextChoices):
    HELD = "held", _("held")
    PENDING = "pending", _("pending")
    CONFIRMED = "confirmed", _("confirmed")
    RESCHEDULE_PROPOSED = "reschedule_proposed", _("reschedule proposed")
    CHECKED_IN = "checked_in", _("checked in")
    COMPLETED = "completed", _("completed")
    NO_SHOW = "no_show", _("no-show")
    REJECTED = "rejected", _("rejected")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")


class SlotStatus(TextChoices):
    OPEN = "open", _("open")
    CLOSED = "closed", _("closed")
    LEGACY = "legacy", _("legacy")


class ProposalStatus(TextChoices):
    OPEN = "open", _("waiting for an answer")
    ACCEPTED = "accepted", _("accepted")
    DECLINED = "declined", _("declined")
    EXPIRED = "expired", _("expired")
    WITHDRAWN = "withdrawn", _("withdrawn")


B = BookingStatus

# Live bookings take seats; the others do not.
LIVE = (B.HELD, B.PENDING, B.CONFIRMED, B.RESCHEDULE_PROPOSED, B.CHECKED_IN)
ENDED = (B.REJECTED, B.EXPIRED, B.CANCELLED)
ADMITTED = (B.CONFIRMED, B.RESCHEDULE_PROPOSED, B.CHECKED_IN, B.COMPLETED, B.NO_SHOW)

BOOKING = Lifecycle(
    "booking",
    ("request", {B.HELD}, B.PENDING),
    ("confirm", {B.PENDING}, B.CONFIRMED),
    ("reject", {B.PENDING}, B.REJECTED),
    ("expire", {B.HELD, B.PENDING}, B.EXPIRED),
    ("cancel", {B.HELD, B.PENDING, B.CONFIRMED, B.RESCHEDULE_PROPOSED}, B.CANCELLED),
    ("propose", {B.CONFIRMED}, B.RESCHEDULE_PROPOSED),
    ("settle", {B.RESCHEDULE_PROPOSED}, B.CONFIRMED),
    ("check_in", {B.CONFIRMED}, B.CHECKED_IN),
    ("complete", {B.CHECKED_IN}, B.COMPLETED),
    ("miss", {B.CONFIRMED}, B.NO_SHOW),
    ("reinstate", {B.EXPIRED}, B.PENDING),
    ("excuse", {B.NO_SHOW}, B.CONFIRMED),
)

SLOT = Lifecycle(
    "slot",
    ("close", {SlotStatus.OPEN}, SlotStatus.CLOSED),
    ("open", {SlotStatus.CLOSED}, SlotStatus.OPEN),
    ("retire", {SlotStatus.OPEN, SlotStatus.CLOSED}, SlotStatus.LEGACY),
    ("revive", {SlotStatus.LEGACY}, SlotStatus.OPEN),
    ("revive_closed", {SlotStatus.LEGACY}, SlotStatus.CLOSED),
)

PROPOSAL = Lifecycle(
    "proposal",
    ("accept", {ProposalStatus.OPEN}, ProposalStatus.ACCEPTED),
    ("decline", {ProposalStatus.OPEN}, ProposalStatus.DECLINED),
    ("expire", {ProposalStatus.OPEN}, ProposalStatus.EXPIRED),
    ("withdraw", {ProposalStatus.OPEN}, ProposalStatus.WITHDRAWN),
)
