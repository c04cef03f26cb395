"""The one noun: seats in a slot, for a customer."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from audit.triggers import BumpVersion, FollowLifecycle
from bookings.lifecycle import ADMITTED, BOOKING, ENDED, LIVE, BookingStatus
from bookings.models.customer import Customer
from bookings.models.organization import Organization
from bookings.models.slot import Slot
from bookings.triggers import count_seats, stay_in_organization
from bookings.triggers_times import note_times

if TYPE_CHECKING:
    from bookings.models.proposal import Proposal

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no 0, 1, I, L, O, U: nothing read or typed wrongly


def new_reference() -> str:
    """Ten characters (49 bits) that a person can read over the phone."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(10))
    return f"{code[:5]}-{code[5:]}"


class Booking(models.Model):
    """Seats in a slot, for a customer, from the hold to the end.

    ``held_until`` is the deadline of a hold; past it the seats are free for whoever asks
    next. ``pending_until`` is the deadline of a request; empty means that no clock runs
    (a proof of payment is under review).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference = models.CharField(
        _("reference"), max_length=11, default=new_reference, editable=False
    )
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    slot = models.ForeignKey(Slot, on_delete=models.PROTECT, related_name="bookings")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="bookings")
    units = models.PositiveIntegerField(_("people"), default=1)
    status = models.CharField(
        _("status"), max_length=20, choices=BookingStatus, default=BookingStatus.HELD
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    held_until = models.DateTimeField(_("held until"), null=True, blank=True)
    pending_until = models.DateTimeField(_("pending until"), null=True, blank=True)
    created_at = models.DateTimeField(_("made at"))
    requested_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True)
    checked_in_at = models.DateTimeField(_("checked in at"), null=True, blank=True)
    missed_at = models.DateTimeField(_("marked as a no-show at"), null=True, blank=True)
    # Staff said that it was no no-show: no sweep marks it again.
    excused_at = models.DateTimeField(_("excused at"), null=True, blank=True)
    # Since when it is in its slot, where it was moved; kept by the database.
    slot_since = models.DateTimeField(_("moved at"), null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    ended_reason = models.CharField(_("reason"), max_length=500, blank=True)
    # Holds the seats of a proposed time for that booking, until its customer has answered.
    stands_for = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="stand_ins",
        db_index=False,
    )
    series = models.ForeignKey(
        "bookings.Series",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="bookings",
        verbose_name=_("series"),
        db_index=False,
    )

    history = Trail()

    open_proposal: Proposal | None  # where ``selectors.load_proposals`` has set it

    class Meta:
        verbose_name = _("booking")
        verbose_name_plural = _("bookings")
        ordering = ["-created_at", "-id"]
        permissions = [
            ("check_in_booking", "Can check people in"),
            ("propose_booking", "Can propose other times"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "reference"], name="bookings_booking_reference_is_unique"
            ),
            models.CheckConstraint(condition=Q(units__gte=1), name="bookings_booking_has_units"),
            models.CheckConstraint(
                condition=Q(status__in=BookingStatus.values),
                name="bookings_booking_status_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(status=BookingStatus.HELD) | Q(held_until__isnull=False),
                name="bookings_booking_held_has_a_deadline",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=ADMITTED) | Q(confirmed_at__isnull=False),
                name="bookings_booking_confirmed_says_when",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=[BookingStatus.CHECKED_IN, BookingStatus.COMPLETED])
                | Q(checked_in_at__isnull=False),
                name="bookings_booking_checked_in_says_when",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ENDED, ended_at__isnull=False)
                | (~Q(status__in=ENDED) & Q(ended_at__isnull=True)),
                name="bookings_booking_ended_says_when",
            ),
            models.CheckConstraint(
                condition=Q(
                    status=BookingStatus.NO_SHOW,
                    missed_at__isnull=False,
                    excused_at__isnull=True,
                )
                | (~Q(status=BookingStatus.NO_SHOW) & Q(missed_at__isnull=True)),
                name="bookings_booking_missed_says_when",
            ),
            models.CheckConstraint(
                condition=Q(stands_for__isnull=True)
                | Q(
                    status__in=[
                        BookingStatus.HELD,
                        BookingStatus.EXPIRED,
                        BookingStatus.CANCELLED,
                    ]
                ),
                name="bookings_booking_stand_in_is_only_held",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"]),
            models.Index(fields=["customer", "-created_at"]),
            models.Index(
                fields=["held_until"],
                condition=Q(status=BookingStatus.HELD),
                name="bookings_held_by_deadline",
            ),
            models.Index(
                fields=["pending_until"],
                condition=Q(status=BookingStatus.PENDING),
                name="bookings_pending_by_deadline",
            ),
            models.Index(
                fields=["slot"], condition=Q(status__in=LIVE), name="bookings_live_by_slot"
            ),
            models.Index(
                fields=["stands_for"],
                condition=Q(stands_for__isnull=False),
                name="bookings_stand_ins",
            ),
            models.Index(
                fields=["customer"],
                condition=Q(status=BookingStatus.NO_SHOW),
                name="bookings_no_shows",
            ),
            models.Index(
                fields=["series"], condition=Q(series__isnull=False), name="bookings_by_series"
            ),
        ]
        triggers = [
            FollowLifecycle(BOOKING),
            BumpVersion(),
            stay_in_organization("bookings_booking", "organization", "customer"),
            *note_times(),
            *count_seats(),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def is_live(self) -> bool:
        return self.status in LIVE


class CheckInCode(models.Model):
    """The single-use code of a confirmed booking (A8).

    The code itself is not stored: it is derived from ``nonce`` with ``settings.CHECK_IN_KEY``
    whenever its owner asks for it, and only its SHA-256 is kept for the scanner.
    """

    booking = models.OneToOneField(
        Booking, on_delete=models.CASCADE, primary_key=True, related_name="check_in_code"
    )
    nonce = models.BinaryField(max_length=16, editable=False)
    code_hash = models.BinaryField(max_length=32, editable=False, unique=True)
    created_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    history = Trail(excluded=["nonce"])

    class Meta:
        verbose_name = _("check-in code")
        verbose_name_plural = _("check-in codes")

    def __str__(self) -> str:
        return f"code of {self.booking_id}"
