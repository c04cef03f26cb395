"""What a resource is made of, and what it needs: courts in a hall, a room for a doctor (B5)."""

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from audit.history import Trail
from audit.ids import uuid7
from bookings.models.organization import Organization
from bookings.models.resource import Resource
from bookings.triggers import keep_composition


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
                func="""
                    PERFORM 1 FROM bookings_resource
                    WHERE id IN (SELECT resource_id FROM new_rows) ORDER BY id FOR SHARE;
                    IF EXISTS (
                        SELECT 1 FROM new_rows n JOIN bookings_pool p ON p.id = n.pool_id
                        JOIN bookings_resource r ON r.id = n.resource_id
                        WHERE NOT r.exclusive OR r.parts <> '{}' OR r.pools <> '{}'
                           OR r.organization_id <> p.organization_id
                    ) THEN
                        RAISE EXCEPTION 'a pool takes single, exclusive resources' USING
                            ERRCODE = 'check_violation',
                            CONSTRAINT = 'bookings_poolmember_is_single';
                    END IF;
                    RETURN NULL;
                """,
            )
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
