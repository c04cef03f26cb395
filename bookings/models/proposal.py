"""Another time, proposed to a customer (B6)."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from audit.triggers import FollowLifecycle
from bookings.lifecycle import PROPOSAL, ProposalStatus
from bookings.models.booking import Booking
from bookings.models.organization import Organization


class Proposal(models.Model):
    """Staff propose to move ``booking`` to the slot of ``stand_in``, which holds its seats.

    Until the customer has answered, or the hold of the stand-in has run out, the booking is
    ``reschedule_proposed`` and has seats in both slots.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    booking = models.ForeignKey(
        Booking, on_delete=models.PROTECT, related_name="proposals", verbose_name=_("booking")
    )
    stand_in = models.OneToOneField(Booking, on_delete=models.PROTECT, related_name="proposal")
    status = models.CharField(
        _("status"), max_length=12, choices=ProposalStatus, default=ProposalStatus.OPEN
    )
    expires_at = models.DateTimeField(_("answer until"))
    message = models.CharField(_("message"), max_length=500, blank=True)
    terms = models.CharField(
        _("terms"), max_length=200, blank=True, help_text=_("What stays as it was agreed.")
    )
    proposed_by = models.CharField(_("proposed by"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("proposed at"))
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)

    history = Trail()

    class Meta:
        verbose_name = _("proposal")
        verbose_name_plural = _("proposals")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["booking"],
                condition=Q(status=ProposalStatus.OPEN),
                name="bookings_proposal_one_open_per_booking",
            ),
            models.CheckConstraint(
                condition=Q(status__in=ProposalStatus.values),
                name="bookings_proposal_status_is_known",
            ),
            models.CheckConstraint(
                condition=Q(status=ProposalStatus.OPEN, answered_at__isnull=True)
                | (~Q(status=ProposalStatus.OPEN) & Q(answered_at__isnull=False)),
                name="bookings_proposal_answered_says_when",
            ),
        ]
        triggers = [FollowLifecycle(PROPOSAL)]

    def __str__(self) -> str:
        return f"{self.booking}, {self.get_status_display()}"
