"""Seats offered to somebody in line."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from audit.triggers import FollowLifecycle
from bookings.models import Booking, Organization
from waitlist.lifecycle import OFFER, OfferStatus
from waitlist.models.entry import WaitlistEntry
from waitlist.triggers import offer_to_whom_it_is_for


class Offer(models.Model):
    """A held booking for somebody who waited; its deadline is that of the hold.

    It has no lock of its own: whoever changes one holds the lock of its booking.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    entry = models.ForeignKey(
        WaitlistEntry, on_delete=models.PROTECT, related_name="offers", verbose_name=_("entry")
    )
    booking = models.OneToOneField(
        Booking, on_delete=models.PROTECT, related_name="offer", verbose_name=_("booking")
    )
    status = models.CharField(
        _("status"), max_length=10, choices=OfferStatus, default=OfferStatus.OPEN
    )
    expires_at = models.DateTimeField(_("answer until"))
    made_at = models.DateTimeField(_("offered at"))
    by_hand = models.BooleanField(_("by hand"), default=False)
    offered_by = models.CharField(_("offered by"), max_length=200, blank=True)
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)

    history = Trail()

    class Meta:
        verbose_name = _("waitlist offer")
        verbose_name_plural = _("waitlist offers")
        ordering = ["-made_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["entry"],
                condition=Q(status=OfferStatus.OPEN),
                name="waitlist_offer_one_open_per_entry",
            ),
            models.CheckConstraint(
                condition=Q(status__in=OfferStatus.values), name="waitlist_offer_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(status=OfferStatus.OPEN, answered_at__isnull=True)
                | (~Q(status=OfferStatus.OPEN) & Q(answered_at__isnull=False)),
                name="waitlist_offer_answered_says_when",
            ),
        ]
        triggers = [FollowLifecycle(OFFER), offer_to_whom_it_is_for()]

    def __str__(self) -> str:
        return f"{self.entry}, {self.get_status_display()}"
