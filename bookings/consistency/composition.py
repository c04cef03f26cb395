"""What is made of others takes them: links, resources and slots agree (B5)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from audit.consistency.registry import FixResult, Problem, Scope, check, fix, rows
from audit.context import Actor
from audit.errors import NotFound
from bookings import locks
from bookings.consistency.parts import literals, mine, params
from bookings.errors import ResourceTaken
from bookings.lifecycle import LIVE
from bookings.models import PoolNeed, Resource, ResourcePart
from bookings.services import resources

MOST_NAMED = 1_000
LONGEST = timedelta(days=7)  # a slot that is not over began since; indexes are by the start

# UNION and not UNION ALL: it comes to an end in a circle, too.
_MADE = """
    WITH RECURSIVE made (whole_id, part_id) AS (
        SELECT whole_id, part_id FROM bookings_resourcepart
        UNION
        SELECT m.whole_id, p.part_id FROM made m
        JOIN bookings_resourcepart p ON p.whole_id = m.part_id
    )
"""

_LINKS = f"""
    {_MADE}
    SELECT 'bookings.resourcepart' AS type, l.id::text, l.organization_id,
           array_remove(ARRAY[
               CASE WHEN c.whole_id IS NOT NULL THEN 'it closes a circle' END,
               CASE WHEN w.id IS NULL OR p.id IS NULL THEN 'a resource is missing' END,
               CASE WHEN NOT p.exclusive THEN 'the part is not exclusive' END,
               CASE WHEN w.organization_id <> l.organization_id
                      OR p.organization_id <> l.organization_id
                    THEN 'it crosses organisations' END
           ], NULL) AS wrong
    FROM bookings_resourcepart l
    LEFT JOIN bookings_resource w ON w.id = l.whole_id
    LEFT JOIN bookings_resource p ON p.id = l.part_id
    LEFT JOIN made c ON c.whole_id = l.part_id AND c.part_id = l.whole_id
    WHERE (c.whole_id IS NOT NULL OR w.id IS NULL OR p.id IS NULL OR NOT p.exclusive
           OR w.organization_id <> l.organization_id OR p.organization_id <> l.organization_id)
      AND {mine("l.organization_id", "w.organization_id", "p.organization_id")}
    UNION ALL
    SELECT 'bookings.poolneed', n.id::text, n.organization_id,
           ARRAY[CASE WHEN r.id IS NULL OR p.id IS NULL THEN 'its resource or pool is missing'
                      ELSE 'it crosses organisations' END]
    FROM bookings_poolneed n
    LEFT JOIN bookings_resource r ON r.id = n.resource_id
    LEFT JOIN bookings_pool p ON p.id = n.pool_id
    WHERE (r.id IS NULL OR p.id IS NULL
           OR r.organization_id <> n.organization_id OR p.organization_id <> n.organization_id)
      AND {mine("n.organization_id", "r.organization_id", "p.organization_id")}
    UNION ALL
    SELECT 'bookings.poolmember', m.id::text, p.organization_id,
           array_remove(ARRAY[
               CASE WHEN r.id IS NULL OR p.id IS NULL THEN 'its resource or pool is missing' END,
               CASE WHEN NOT r.exclusive THEN 'it is not exclusive' END,
               CASE WHEN EXISTS (SELECT 1 FROM bookings_resourcepart x WHERE x.whole_id = r.id)
                      OR EXISTS (SELECT 1 FROM bookings_poolneed x WHERE x.resource_id = r.id)
                    THEN 'it takes others itself' END,
               CASE WHEN r.organization_id <> p.organization_id
                    THEN 'it crosses organisations' END
           ], NULL)
    FROM bookings_poolmember m
    LEFT JOIN bookings_resource r ON r.id = m.resource_id
    LEFT JOIN bookings_pool p ON p.id = m.pool_id
    WHERE (r.id IS NULL OR p.id IS NULL OR NOT r.exclusive
           OR EXISTS (SELECT 1 FROM bookings_resourcepart x WHERE x.whole_id = r.id)
           OR EXISTS (SELECT 1 FROM bookings_poolneed x WHERE x.resource_id = r.id)
           OR r.organization_id <> p.organization_id)
      AND {mine("r.organization_id", "p.organization_id")}
    ORDER BY 1, 2
"""  # noqa: S608


@check(
    id="bookings.composition_links",
    title="Nothing is a part of itself, and parts and pools can be taken",
    help=(
        "A link between resources is one that the database refuses: it closes a circle, points"
        " at nothing or into another organisation, or names what cannot be taken by one alone."
        " Find out from the trail who made it, and remove it."
    ),
    severity="critical",
)
def composition_links(scope: Scope) -> Iterator[Problem]:
    for row in rows(_LINKS, params(scope)):
        yield Problem(
            subject_type=row["type"],
            subject_id=row["id"],
            message=f"This link cannot be: {', '.join(row['wrong'])}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"]},
        )


_COMPOSITION = f"""
    {_MADE}, its AS (
        SELECT whole_id AS id, part_id AS its_id FROM made UNION SELECT id, id FROM bookings_resource
    ), parts AS (
        SELECT x.id, array_agg(DISTINCT x.number ORDER BY x.number) AS parts FROM (
            SELECT m.whole_id AS id, r.number
            FROM made m JOIN bookings_resource r ON r.id = m.part_id
            UNION ALL
            -- 0: somebody who has no number yet
            SELECT i.id, COALESCE(p.number, 0) FROM its i
            JOIN bookings_resource r ON r.id = i.its_id AND r.provider_id IS NOT NULL
            LEFT JOIN bookings_provider p
              ON p.organization_id = r.organization_id AND p.user_id = r.provider_id
        ) x GROUP BY x.id
    ), needs AS (
        SELECT x.id, array_agg(DISTINCT x.pool_id) AS pools FROM (
            SELECT resource_id AS id, pool_id FROM bookings_poolneed
            UNION ALL
            SELECT m.whole_id, n.pool_id FROM made m
            JOIN bookings_poolneed n ON n.resource_id = m.part_id
        ) x GROUP BY x.id
    )
    SELECT r.id::text, r.organization_id, r.parts, COALESCE(p.parts, '{{}}') AS linked_parts,
           r.pools::text[], COALESCE(n.pools, '{{}}')::text[] AS linked_pools,
           NOT EXISTS (SELECT 1 FROM made WHERE whole_id = part_id) AS possible
    FROM bookings_resource r
    LEFT JOIN parts p ON p.id = r.id LEFT JOIN needs n ON n.id = r.id
    WHERE (r.parts <> COALESCE(p.parts, '{{}}') OR r.pools <> COALESCE(n.pools, '{{}}'))
      AND {mine("r.organization_id")}
      AND (%(resource)s::uuid IS NULL OR r.id = %(resource)s)
    ORDER BY r.id
"""  # noqa: S608


@check(
    id="bookings.composition",
    title="A resource takes the parts and pools that its links say, and its provider",
    help=(
        "Who books it takes too little, so that a part or a person can be booked twice, or too"
        " much, so that it cannot be booked. Triggers keep this, so somebody wrote with the triggers switched"
        " off. --fix lets them work it out again from the links; slots follow in the next check."
    ),
    severity="critical",
)
def composition(scope: Scope) -> Iterator[Problem]:
    for row in rows(_COMPOSITION, params(scope, resource=None)):
        yield Problem(
            subject_type="bookings.resource",
            subject_id=row["id"],
            message=f"The resource takes {len(row['parts'])} parts and people and one of"
            f" {len(row['pools'])} pools each; its links and its provider say {len(row['linked_parts'])} and"
            f" {len(row['linked_pools'])}, or others.",
            organization_id=row["organization_id"],
            details={
                "taken": {"parts": row["parts"], "pools": row["pools"]},
                "linked": {"parts": row["linked_parts"], "pools": row["linked_pools"]},
            },
            fixable=row["possible"],
        )


@fix("bookings.composition")
def fix_composition(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    locks.composition()
    if not list(rows(_COMPOSITION, params(Scope(now=now), resource=problem.subject_id))):
        return FixResult.gone()
    with connection.cursor() as cursor:
        # The triggers work it out after each statement, also after one that changes no row.
        cursor.execute("UPDATE bookings_resourcepart SET part_id = part_id WHERE FALSE")
    return FixResult.fixed("Parts and pools were worked out again from the links.")


_SLOTS = f"""
    SELECT r.id::text, r.organization_id, count(*) AS slots,
           count(*) FILTER (WHERE s.taken_bookings > 0) AS with_people,
           (array_agg(s.id::text ORDER BY s.starts_at, s.id))[:{MOST_NAMED}] AS ids
    FROM bookings_slot s JOIN bookings_resource r ON r.id = s.resource_id
    WHERE s.starts_at > %(began)s AND s.ends_at > %(now)s
      AND (s.parts <> r.parts OR s.pools <> r.pools
           OR (s.picked <> '{{}}' OR s.picked_parts <> '{{}}') AND s.picked_parts <> ARRAY(
               SELECT DISTINCT n FROM bookings_resource p CROSS JOIN unnest(p.parts) AS n
               WHERE p.number = ANY (s.picked) ORDER BY n))
      AND {mine("s.organization_id")}
    GROUP BY r.id ORDER BY r.id
"""  # noqa: S608


@check(
    id="bookings.slot_composition",
    title="Slots to come take what their resource is made of, and its provider",
    help=(
        "People in such a slot take too little, so that a part or a person can be booked twice,"
        " or too much. Slots follow when a resource is put together or gets another provider, so"
        " somebody wrote past that; or the provider was booked twice before this was refused."
        " --fix lets them follow, and takes what is new for the people in them, unless somebody"
        " else has it. The details list the slots."
    ),
    severity="critical",
)
def slot_composition(scope: Scope) -> Iterator[Problem]:
    for row in rows(_SLOTS, params(scope, began=scope.now - LONGEST)):
        yield Problem(
            subject_type="bookings.resource",
            subject_id=row["id"],
            message=f"{row['slots']} slots to come, {row['with_people']} of them with people, take"
            " something else than their resource.",
            organization_id=row["organization_id"],
            details={"slots": row["ids"]},
        )


@fix("bookings.slot_composition")
def fix_slot_composition(problem: Problem, actor: Actor, now: datetime) -> FixResult:
    resource = Resource.objects.filter(pk=UUID(problem.subject_id)).first()
    if resource is None:
        return FixResult.gone()
    links = ResourcePart.objects.filter(whole=resource).values_list("part_id", flat=True)
    needs = PoolNeed.objects.filter(resource=resource).values_list("pool_id", flat=True)
    one = Scope(now=now, organization_id=resource.organization_id)
    if not any(p.subject_id == problem.subject_id for p in slot_composition(one)):
        return FixResult.gone()
    try:
        with transaction.atomic():
            resources.compose(
                resource_id=resource.pk,
                organization_id=resource.organization_id,
                part_ids=list(links),
                pool_ids=list(needs),
                actor=actor,
                reason="consistency: bookings.slot_composition",
                now=now,
            )
    except (ResourceTaken, NotFound) as error:
        return FixResult.needs_review(str(error))
    return FixResult.fixed("The slots follow their resource.")


_PICKED = f"""
    SELECT s.id::text, s.organization_id, s.picked, cardinality(s.pools) AS pools
    FROM bookings_slot s
    WHERE s.ends_at > %(now)s AND s.pools <> '{{}}' AND {mine("s.organization_id")}
      AND s.id IN (SELECT slot_id FROM bookings_booking WHERE status IN ({literals(LIVE)}))
      AND (
        cardinality(s.picked) <> cardinality(s.pools)
        OR cardinality(s.picked) <> (SELECT count(DISTINCT n) FROM unnest(s.picked) AS n)
        OR EXISTS (
            SELECT 1 FROM unnest(s.pools, s.picked) AS given (pool_id, number)
            WHERE NOT EXISTS (
                SELECT 1 FROM bookings_poolmember m JOIN bookings_resource r ON r.id = m.resource_id
                WHERE m.pool_id = given.pool_id AND r.number = given.number
            )
        )
      )
    ORDER BY s.starts_at, s.id
"""  # noqa: S608


@check(
    id="bookings.picked",
    title="People have what was picked for them out of each pool",
    help=(
        "Nothing was picked for somebody out of a pool that their slot needs, or what was picked"
        " is not in the pool any more: they come and have no room. Somebody has to decide which"
        " one they get."
    ),
    severity="error",
)
def picked(scope: Scope) -> Iterator[Problem]:
    for row in rows(_PICKED, params(scope)):
        yield Problem(
            subject_type="bookings.slot",
            subject_id=row["id"],
            message=f"The slot needs one out of each of {row['pools']} pools; what was picked for"
            " its people is not that.",
            organization_id=row["organization_id"],
            details={"picked": row["picked"]},
        )
