"""What a resource is made of, and what it needs: courts in a hall, a room for a doctor (B5)."""

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from bookings.models.organization import Organization
from bookings.models.resource import Resource
from bookings.triggers import keep_composition, stay_in_organization

_SINGLE = """
    PERFORM 1 FROM bookings_resource
    WHERE id IN (SELECT resource_id FROM new_rows) ORDER BY id FOR SHARE;
    IF EXISTS (
        SELECT 1 FROM new_rows n JOIN bookings_pool p ON p.id = n.pool_id
        JOIN bookings_resource r ON r.id = n.resource_id
        WHERE NOT r.exclusive OR r.pools <> '{}' OR r.organization_id <> p.organization_id
           OR EXISTS (SELECT 1 FROM bookings_resourcepart l WHERE l.whole_id = r.id)
    ) THEN
        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING
            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_is_single';
    END IF;
    RETURN NULL;
"""

# What was picked for people who are still to come stays in the pool it was picked out of. Whoever
# picks it at the same time holds a lock on the row (see Slot), which this statement waited for.
_KEEP_PICKED = """
    IF TG_OP = 'UPDATE' THEN
        IF NEW.pool_id = OLD.pool_id AND NEW.resource_id = OLD.resource_id THEN RETURN NEW; END IF;
    END IF;
    IF EXISTS (
        SELECT 1 FROM bookings_resource r
        JOIN bookings_occupancy o
          ON int8range(o.resource_number, o.resource_number, '[]')
             = int8range(r.number, r.number, '[]')
         AND o.period && tstzrange(now(), NULL)
        JOIN bookings_slot s ON s.id = o.slot_id
        WHERE r.id = OLD.resource_id AND s.taken_bookings > 0 AND s.ends_at > now()
          AND s.picked[array_position(s.pools, OLD.pool_id)] = r.number
    ) THEN
        RAISE EXCEPTION 'people to come have what membership % lets them have', OLD.id USING
            ERRCODE = 'check_violation', CONSTRAINT = 'bookings_poolmember_stays_while_picked';
    END IF;
    IF TG_OP = 'UPDATE' THEN RETURN NEW; END IF;
    RETURN OLD;
"""


class ResourcePart(models.Model):
    """Whoever books ``whole`` takes ``part``, and what that is made of, as well."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", editable=False
    )
    whole = models.ForeignKey(
        Resource, on_delete=models.CASCADE, related_name="part_links", verbose_name=_("whole")
    )
    part = models.ForeignKey(
        Resource, on_delete=models.PROTECT, related_name="whole_links", verbose_name=_("part")
    )

    history = Trail()

    class Meta:
        verbose_name = _("part")
        verbose_name_plural = _("made of")
        constraints = [
            models.UniqueConstraint(
                fields=["whole", "part"], name="bookings_resourcepart_named_once"
            ),
            models.CheckConstraint(
                condition=~Q(whole=F("part")), name="bookings_resourcepart_is_not_itself"
            ),
        ]
        triggers = [*keep_composition("whole_id")]

    def __str__(self) -> str:
        return f"{self.whole} ⊃ {self.part}"


class Pool(models.Model):
    """Resources of which any will do: the rooms of a clinic."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="pools", verbose_name=_("organisation")
    )
    name = models.CharField(_("name"), max_length=200)

    history = Trail()

    class Meta:
        verbose_name = _("pool")
        verbose_name_plural = _("pools")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="bookings_pool_name_is_unique"
            )
        ]
        triggers = [stay_in_organization("bookings_pool", "organization")]

    def __str__(self) -> str:
        return self.name


class PoolMember(models.Model):
    """A resource that can be picked out of a pool: exclusive, and not made of others."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="members")
    resource = models.ForeignKey(
        Resource, on_delete=models.PROTECT, related_name="memberships", verbose_name=_("resource")
    )

    history = Trail()

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [
            models.UniqueConstraint(
                fields=["pool", "resource"], name="bookings_poolmember_named_once"
            )
        ]
        triggers = [
            pgtrigger.Trigger(
                name="fit",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="new_rows"),
                func=_SINGLE,
            ),
            pgtrigger.Trigger(
                name="fit_update",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Update,
                referencing=pgtrigger.Referencing(new="new_rows"),
                func=_SINGLE,
            ),
            pgtrigger.Trigger(
                name="keep_picked",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func=_KEEP_PICKED,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pool}: {self.resource}"


class PoolNeed(models.Model):
    """Whoever books ``resource`` takes one out of ``pool`` as well."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="+", editable=False
    )
    resource = models.ForeignKey(
        Resource, on_delete=models.CASCADE, related_name="pool_needs", verbose_name=_("resource")
    )
    pool = models.ForeignKey(
        Pool, on_delete=models.PROTECT, related_name="needs", verbose_name=_("pool")
    )

    history = Trail()

    class Meta:
        verbose_name = _("need")
        verbose_name_plural = _("needs one out of")
        constraints = [
            models.UniqueConstraint(
                fields=["resource", "pool"], name="bookings_poolneed_named_once"
            )
        ]
        triggers = [*keep_composition("resource_id")]

    def __str__(self) -> str:
        return f"{self.resource} + {self.pool}"
