"""When a resource can be booked, and what of it is taken."""

from __future__ import annotations

from datetime import datetime, timedelta

import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeOperators
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from audit.triggers import FollowLifecycle
from bookings.lifecycle import SLOT, SlotStatus
from bookings.models.organization import Organization
from bookings.models.resource import Resource
from bookings.triggers import BY_HAND, REPAIR

# One number out of each pool, none of them twice. The memberships are locked, so that none of
# them ends before whoever comes in is seen by it (see PoolMember).
_CHECK_PICKED = """
    PERFORM 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id
    WHERE m.pool_id = ANY (NEW.pools) AND r.number = ANY (NEW.picked)
    ORDER BY m.id FOR SHARE OF m;
    IF cardinality(NEW.picked) <> cardinality(NEW.pools)
       OR cardinality(NEW.picked) <> (SELECT count(DISTINCT n) FROM unnest(NEW.picked) AS n)
       OR EXISTS (
           SELECT 1 FROM unnest(NEW.pools, NEW.picked) AS given (pool_id, number)
           WHERE NOT EXISTS (
               SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id
               WHERE m.pool_id = given.pool_id AND r.number = given.number
           )
       ) THEN
        RAISE EXCEPTION 'what is picked for slot % is not in its pools', NEW.id USING
            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_slot_picked_is_in_its_pools';
    END IF;
"""
_TAKE_WITH_PICKED = """
    NEW.picked_parts := ARRAY(
        SELECT DISTINCT n FROM bookings_resource r CROSS JOIN unnest(r.parts) AS n
        WHERE r.number = ANY (NEW.picked) ORDER BY n
    );
    RETURN NEW;
"""


class Slot(models.Model):
    """A time of one resource with two limits: bookings and units (B3).

    ``taken_bookings`` and ``taken_units`` count the live bookings. A statement-level trigger
    on bookings keeps them; nothing else may. ``busy_from`` to ``busy_until`` is the time with
    the buffers, which is what an exclusive resource is taken for.

    ``parts`` and ``pools`` are the resource's when the slot was made or the resource was put
    together anew; ``picked`` is one number out of each pool, chosen when people come in, and
    ``picked_parts`` is what comes with these: the numbers of their providers. A trigger keeps it.
    ``source`` says whether the schedule may change the slot.

    ``line_units`` is the smallest party that waits in line for this slot, empty if nobody does,
    and ``waited_for`` says that somebody ever did, or moved in with what was offered elsewhere.
    The waitlist keeps both: whoever comes from outside lets the line be served first, and a slot
    that was waited for is not deleted.
    """

    class Source(models.TextChoices):
        HAND = "hand", _("by hand")
        SCHEDULE = "schedule", _("by the schedule")
        FREE = "free", _("with a booking")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", verbose_name=_("organisation")
    )
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="slots")
    starts_at = models.DateTimeField(_("starts at"))
    ends_at = models.DateTimeField(_("ends at"))
    busy_from = models.DateTimeField(editable=False)
    busy_until = models.DateTimeField(editable=False)
    exclusive = models.BooleanField(editable=False)
    max_bookings = models.PositiveIntegerField(
        _("most bookings"), default=1, validators=[MinValueValidator(1)]
    )
    max_units = models.PositiveIntegerField(
        _("most people"), default=1, validators=[MinValueValidator(1)]
    )
    taken_bookings = models.PositiveIntegerField(_("bookings"), default=0, editable=False)
    taken_units = models.PositiveIntegerField(_("people"), default=0, editable=False)
    status = models.CharField(
        _("status"), max_length=10, choices=SlotStatus, default=SlotStatus.OPEN
    )
    source = models.CharField(
        _("made"), max_length=10, choices=Source, default=Source.HAND, editable=False
    )
    parts = ArrayField(models.BigIntegerField(), default=list, editable=False)
    pools = ArrayField(models.UUIDField(), default=list, editable=False)
    picked = ArrayField(models.BigIntegerField(), default=list, editable=False)
    picked_parts = ArrayField(models.BigIntegerField(), default=list, db_default=[], editable=False)
    line_units = models.PositiveIntegerField(null=True, editable=False)
    waited_for = models.BooleanField(default=False, db_default=False, editable=False)
    # What staff said of a slot outlives a change of its schedule: one that was closed comes back
    # closed when it fits again, and limits that were changed by hand stay.
    stays_closed = models.BooleanField(default=False, db_default=False, editable=False)
    limits_by_hand = models.BooleanField(default=False, db_default=False, editable=False)
    # Made by hand, and closed because its resource is closed then: it opens again with it.
    shut = models.BooleanField(default=False, db_default=False, editable=False)
    # When staff opened it, made by hand, in spite of what closed it: only a closure that is made
    # later shuts it. Never opened, it counts as meant when it was made.
    opened_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    history = Trail(
        excluded=["taken_bookings", "taken_units", "line_units", "waited_for"], counted=True
    )

    class Meta:
        verbose_name = _("slot")
        verbose_name_plural = _("slots")
        ordering = ["starts_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="bookings_slot_ends_after_it_starts"
            ),
            models.CheckConstraint(
                condition=Q(busy_from__lte=F("starts_at"), busy_until__gte=F("ends_at")),
                name="bookings_slot_buffers_surround_it",
            ),
            models.CheckConstraint(
                condition=Q(taken_bookings__lte=F("max_bookings")),
                name="bookings_slot_bookings_within_capacity",
            ),
            models.CheckConstraint(
                condition=Q(taken_units__lte=F("max_units")),
                name="bookings_slot_units_within_capacity",
            ),
            models.CheckConstraint(
                condition=Q(max_bookings__gte=1, max_units__gte=1),
                name="bookings_slot_has_a_capacity",
            ),
            models.CheckConstraint(
                condition=Q(exclusive=False) | Q(max_bookings=1),
                name="bookings_slot_of_exclusive_takes_one",
            ),
            models.CheckConstraint(
                condition=Q(status__in=SlotStatus.values), name="bookings_slot_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(source__in=["hand", "schedule", "free"]),
                name="bookings_slot_source_is_known",
            ),
            models.CheckConstraint(
                condition=Q(taken_bookings=0)
                | Q(picked__len=Func(F("pools"), function="cardinality")),
                name="bookings_slot_with_people_has_what_it_needs",
            ),
            models.CheckConstraint(
                condition=Q(stays_closed=False) | Q(status=SlotStatus.LEGACY),
                name="bookings_slot_that_comes_back_closed_is_legacy",
            ),
            models.CheckConstraint(
                condition=Q(limits_by_hand=False) | Q(source="schedule"),
                name="bookings_slot_follows_a_schedule_or_none",
            ),
            models.CheckConstraint(
                condition=Q(opened_at__isnull=True) | Q(source="hand"),
                name="bookings_slot_opened_by_hand_was_made_by_hand",
            ),
            models.UniqueConstraint(
                fields=["resource", "starts_at", "ends_at"],
                condition=~Q(status=SlotStatus.LEGACY),
                name="bookings_slot_offered_once",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "starts_at", "id"]),
            models.Index(fields=["resource", "starts_at"]),
            models.Index(fields=["ends_at"], name="bookings_slot_by_end"),
            models.Index(
                fields=["organization", "starts_at"],
                condition=Q(line_units__isnull=False),
                name="bookings_slots_with_a_line",
            ),
        ]
        triggers = [
            FollowLifecycle(SLOT),
            pgtrigger.Trigger(
                name="match_resource",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="new_rows"),
                func="""
                    -- Not while somebody makes the resource exclusive, or puts it together anew.
                    PERFORM 1 FROM bookings_resource
                    WHERE id IN (SELECT resource_id FROM new_rows) ORDER BY id FOR SHARE;
                    IF EXISTS (
                        SELECT 1 FROM new_rows n JOIN bookings_resource r ON r.id = n.resource_id
                        WHERE r.exclusive <> n.exclusive OR r.organization_id <> n.organization_id
                           OR r.parts <> n.parts OR r.pools <> n.pools
                    ) THEN
                        RAISE EXCEPTION 'a slot differs from its resource' USING
                            ERRCODE = 'check_violation',
                            CONSTRAINT = 'bookings_slot_matches_its_resource';
                    END IF;
                    RETURN NULL;
                """,
            ),
            pgtrigger.Trigger(
                name="keep_promises",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "organization",
                    "resource",
                    "exclusive",
                    "starts_at",
                    "ends_at",
                    "busy_from",
                    "busy_until",
                    "picked",
                ),
                func="""
                    IF NEW.resource_id <> OLD.resource_id OR NEW.exclusive <> OLD.exclusive
                       OR NEW.organization_id <> OLD.organization_id
                       OR NEW.taken_bookings > 0 AND NOT (
                           NEW.pools <> OLD.pools
                           AND ROW(NEW.starts_at, NEW.ends_at, NEW.busy_from, NEW.busy_until)
                             = ROW(OLD.starts_at, OLD.ends_at, OLD.busy_from, OLD.busy_until)
                       ) THEN
                        RAISE EXCEPTION 'slot % has people in it', OLD.id USING
                            ERRCODE = 'check_violation',
                            CONSTRAINT = 'bookings_slot_with_people_keeps_its_time';
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="match_composition",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("parts", "pools"),
                func=f"""
                    -- Not while somebody puts the resource together anew.
                    PERFORM 1 FROM bookings_resource WHERE id = NEW.resource_id FOR SHARE;
                    IF NOT EXISTS (
                        SELECT 1 FROM bookings_resource r WHERE r.id = NEW.resource_id
                        AND r.parts = NEW.parts AND r.pools = NEW.pools
                    ) THEN
                        RAISE EXCEPTION 'slot % differs from its resource', NEW.id USING
                            ERRCODE = 'check_violation',
                            CONSTRAINT = 'bookings_slot_matches_its_resource';
                    END IF;
                    -- What its people take is marked as taken, and changes together with that.
                    IF NEW.taken_bookings > 0 AND pg_trigger_depth() < 2
                       AND current_setting('{REPAIR}', true) IS DISTINCT FROM 'on' THEN
                        RAISE EXCEPTION 'slot % has people in it', OLD.id USING
                            ERRCODE = 'check_violation',
                            CONSTRAINT = 'bookings_slot_with_people_keeps_its_time';
                    END IF;
                    RETURN NEW;
                """,  # noqa: S608  constant text
            ),
            pgtrigger.Trigger(
                name="pick_insert",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                condition=pgtrigger.Condition("NEW.picked <> '{}' OR NEW.picked_parts <> '{}'"),
                func=f"IF NEW.picked <> '{{}}' THEN {_CHECK_PICKED} END IF; {_TAKE_WITH_PICKED}",
            ),
            pgtrigger.Trigger(
                name="pick_update",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("picked", "picked_parts", "pools"),
                func=f"""
                    IF NEW.picked <> '{{}}' AND
                       (NEW.picked <> OLD.picked OR NEW.pools <> OLD.pools)
                    THEN {_CHECK_PICKED} END IF; {_TAKE_WITH_PICKED}
                """,
            ),
            pgtrigger.Trigger(
                name="keep_counters",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    f"{BY_HAND} AND (NEW.taken_bookings <> OLD.taken_bookings"
                    " OR NEW.taken_units <> OLD.taken_units)"
                ),
                func="""
                    RAISE EXCEPTION 'the counters of slot % are those of its bookings', OLD.id
                    USING ERRCODE = 'check_violation',
                        CONSTRAINT = 'bookings_slot_counts_its_bookings';
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} · {self.starts_at:%Y-%m-%d %H:%M} UTC"

    @classmethod
    def at(
        cls, resource: Resource, starts_at: datetime, ends_at: datetime, **fields: object
    ) -> Slot:
        """An unsaved slot of a resource, with its buffers and what it takes filled in."""
        return cls(
            organization_id=resource.organization_id,
            resource=resource,
            starts_at=starts_at,
            ends_at=ends_at,
            busy_from=starts_at - timedelta(minutes=resource.buffer_before_minutes),
            busy_until=ends_at + timedelta(minutes=resource.buffer_after_minutes),
            exclusive=resource.exclusive,
            parts=resource.parts,
            pools=resource.pools,
            **fields,
        )

    @property
    def takes_exclusively(self) -> bool:
        """Whether its people take anything that nobody else can have at the same time."""
        return bool(self.exclusive or self.parts or self.pools)

    @property
    def numbers(self) -> list[int]:
        """What its people take for themselves alone, apart from what is picked out of pools."""
        own = [self.resource.number] if self.exclusive else []
        return own + self.parts

    @property
    def every_number(self) -> list[int]:
        """What its people take for themselves alone, with what was picked out of pools."""
        return [*self.numbers, *self.picked, *self.picked_parts]

    @property
    def concerns_line(self) -> bool:
        """Whether the waitlist may have to do with its bookings: somebody waits or waited."""
        return self.waited_for or self.resource.line > 0

    @property
    def has_line(self) -> bool:
        """Whether somebody waits for this slot, or for any time of its resource."""
        return self.line_units is not None or self.resource.line > 0

    @property
    def least_in_line(self) -> int:
        """The smallest party that may wait for it."""
        return 1 if self.resource.line else self.line_units or 1

    def has_room(self, units: int) -> bool:
        return (
            self.taken_bookings < self.max_bookings and self.taken_units + units <= self.max_units
        )


class Occupancy(models.Model):
    """An exclusive resource is taken for a period, by the people of one slot.

    One row per exclusive resource that a slot with live bookings takes, and per person who
    provides one, written by the same trigger as the counters and by nobody else. The exclusion
    constraint is what makes B5 and D1 true.
    """

    id = models.BigAutoField(primary_key=True)
    slot = models.ForeignKey(Slot, on_delete=models.CASCADE, related_name="occupancies")
    resource_number = models.BigIntegerField()
    period = DateTimeRangeField()

    class Meta:
        verbose_name = _("occupancy")
        verbose_name_plural = _("occupancies")
        constraints = [
            models.UniqueConstraint(
                fields=["slot", "resource_number"], name="bookings_occupancy_once_per_slot"
            ),
            ExclusionConstraint(
                name="bookings_occupancy_never_overlaps",
                expressions=[
                    (
                        Func(
                            F("resource_number"),
                            F("resource_number"),
                            Value("[]"),
                            function="int8range",
                        ),
                        RangeOperators.EQUAL,
                    ),
                    ("period", RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(
                condition=Q(
                    period__isempty=False, period__lower_inf=False, period__upper_inf=False
                ),
                name="bookings_occupancy_period_is_real",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="keep",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                condition=pgtrigger.Condition(BY_HAND),
                func="""
                    RAISE EXCEPTION 'what is taken follows the bookings of its slot' USING
                        ERRCODE = 'check_violation',
                        CONSTRAINT = 'bookings_occupancy_follows_its_slot';
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource_number} {self.period}"
