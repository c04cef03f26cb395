"""Statuses of entries and offers, and which follows which."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from audit.lifecycle import Lifecycle


class EntryStatus(TextChoices):
    WAITING = "waiting", _("waiting")
    OFFERED = "offered", _("offered seats")
    ACCEPTED = "accepted", _("accepted, not approved yet")
    FULFILLED = "fulfilled", _("got seats")
    SETTLED = "settled", _("settled")
    DECLINED = "declined", _("declined")
    EXPIRED = "expired", _("ran out")
    LEFT = "left", _("left the line")
    CLOSED = "closed", _("closed")


class OfferStatus(TextChoices):
    OPEN = "open", _("waiting for an answer")
    ACCEPTED = "accepted", _("accepted")
    DECLINED = "declined", _("declined")
    EXPIRED = "expired", _("ran out")
    WITHDRAWN = "withdrawn", _("withdrawn")


E, Of = EntryStatus, OfferStatus

IN_LINE = (E.WAITING, E.OFFERED)  # one of these at a time for a customer and a target
GOING_ON = (*IN_LINE, E.ACCEPTED)
GOING_ON_SQL = ", ".join(f"'{status.value}'" for status in GOING_ON)  # the inside of an IN (…)

ENTRY = Lifecycle(
    "waitlist entry",
    ("offer", {E.WAITING}, E.OFFERED),
    ("put_back", {E.OFFERED}, E.WAITING),
    ("accept", {E.OFFERED}, E.ACCEPTED),
    ("fulfil", {E.ACCEPTED}, E.FULFILLED),
    ("decline", {E.OFFERED, E.ACCEPTED}, E.DECLINED),
    ("run_out", {E.WAITING, E.OFFERED, E.ACCEPTED}, E.EXPIRED),
    ("leave", {E.WAITING, E.OFFERED}, E.LEFT),
    ("close", {E.WAITING, E.OFFERED, E.ACCEPTED}, E.CLOSED),
    ("settle", {E.WAITING, E.OFFERED, E.ACCEPTED}, E.SETTLED),
)

OFFER = Lifecycle(
    "waitlist offer",
    ("accept", {Of.OPEN}, Of.ACCEPTED),
    ("decline", {Of.OPEN}, Of.DECLINED),
    ("run_out", {Of.OPEN}, Of.EXPIRED),
    ("withdraw", {Of.OPEN}, Of.WITHDRAWN),
)
