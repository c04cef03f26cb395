"""A place in line."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from audit.triggers import BumpVersion, FollowLifecycle
from bookings.models import Customer, Organization, Resource, Slot
from bookings.triggers import stay_in_organization
from waitlist.lifecycle import ENTRY, GOING_ON, IN_LINE, EntryStatus
from waitlist.triggers import keep_gates


class WaitlistEntry(models.Model):
    """A customer waits for seats in one slot, or in any slot of a resource between two times.

    ``placed_at`` is the place in line: the time of joining, unless staff moved it. Whoever it
    is earlier for is offered seats first, if there are enough of them for all of ``units``.
    ``passed_over`` counts how often somebody behind was offered seats that were too few here.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    customer = models.ForeignKey(
        Customer,
        on_delete=models.PROTECT,
        related_name="waitlist_entries",
        verbose_name=_("customer"),
    )
    resource = models.ForeignKey(
        Resource,
        on_delete=models.PROTECT,
        related_name="waitlist_entries",
        verbose_name=_("resource"),
    )
    slot = models.ForeignKey(
        Slot,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="waitlist_entries",
        verbose_name=_("slot"),
        db_index=False,
    )
    from_at = models.DateTimeField(_("any time from"), null=True, blank=True)
    until_at = models.DateTimeField(_("until"), null=True, blank=True)
    units = models.PositiveIntegerField(_("people"), default=1, validators=[MinValueValidator(1)])
    status = models.CharField(
        _("status"), max_length=10, choices=EntryStatus, default=EntryStatus.WAITING
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    joined_at = models.DateTimeField(_("joined at"))
    placed_at = models.DateTimeField(_("place in line"))
    passed_over = models.PositiveIntegerField(_("passed over"), default=0)
    passed_over_at = models.DateTimeField(_("last passed over at"), null=True, blank=True)
    passed_over_reason = models.CharField(_("why"), max_length=300, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    ended_reason = models.CharField(_("reason"), max_length=500, blank=True)

    history = Trail()

    position: int  # where ``selectors.load_positions`` has set it

    class Meta:
        verbose_name = _("waitlist entry")
        verbose_name_plural = _("waitlist")
        ordering = ["placed_at", "id"]
        permissions = [("offer_waitlistentry", "Can offer seats by hand and change the line")]
        constraints = [
            models.CheckConstraint(
                condition=Q(units__gte=1), name="waitlist_entry_is_for_somebody"
            ),
            models.CheckConstraint(
                condition=Q(status__in=EntryStatus.values), name="waitlist_entry_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(slot__isnull=False, from_at__isnull=True, until_at__isnull=True)
                | Q(
                    slot__isnull=True,
                    from_at__isnull=False,
                    until_at__isnull=False,
                    until_at__gt=F("from_at"),
                ),
                name="waitlist_entry_is_for_a_slot_or_a_window",
            ),
            models.CheckConstraint(
                condition=Q(status__in=GOING_ON, ended_at__isnull=True)
                | (~Q(status__in=GOING_ON) & Q(ended_at__isnull=False)),
                name="waitlist_entry_ended_says_when",
            ),
            models.UniqueConstraint(
                fields=["customer", "slot"],
                condition=Q(status__in=IN_LINE, slot__isnull=False),
                name="waitlist_entry_once_per_slot",
            ),
            models.UniqueConstraint(
                fields=["customer", "resource", "from_at", "until_at"],
                condition=Q(status__in=IN_LINE, slot__isnull=True),
                name="waitlist_entry_once_per_window",
            ),
        ]
        indexes = [
            models.Index(
                fields=["slot", "placed_at"],
                condition=Q(status__in=GOING_ON, slot__isnull=False),
                name="waitlist_line_of_slot",
            ),
            models.Index(
                fields=["resource", "placed_at"],
                condition=Q(status__in=GOING_ON, slot__isnull=True),
                name="waitlist_line_of_resource",
            ),
            models.Index(fields=["id"], condition=Q(status__in=GOING_ON), name="waitlist_going_on"),
            models.Index(fields=["organization", "-joined_at", "-id"]),
            models.Index(fields=["customer", "-joined_at"]),
            models.Index(fields=["slot"], name="waitlist_by_slot"),
        ]
        triggers = [
            FollowLifecycle(ENTRY),
            BumpVersion(),
            stay_in_organization("waitlist_waitlistentry", "organization", "customer"),
            *keep_gates(),
        ]

    def __str__(self) -> str:
        return f"{self.customer}, {self.get_status_display()}"

    @property
    def is_going_on(self) -> bool:
        return self.status in GOING_ON
