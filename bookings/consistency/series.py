"""A series and its bookings belong together (B1, A9)."""

from __future__ import annotations

from collections.abc import Iterator

from audit.consistency.registry import Problem, Scope, check, rows
from bookings.consistency.parts import mine, params

_SERIES = f"""
    SELECT s.id::text, s.organization_id,
           array_remove(ARRAY[
               CASE WHEN c.id IS NULL THEN 'its customer is missing'
                    WHEN c.organization_id <> s.organization_id
                    THEN 'its customer is another organisation''s' END,
               CASE WHEN r.id IS NULL THEN 'its resource is missing'
                    WHEN r.organization_id <> s.organization_id
                    THEN 'its resource is another organisation''s' END,
               CASE WHEN b.number = 0 THEN 'it has no booking'
                    WHEN b.number > s.times
                    THEN 'it has ' || b.number || ' bookings and was asked for '
                         || s.times || ' times' END,
               CASE WHEN b.strange > 0
                    THEN b.strange || ' of its bookings are another customer''s' END,
               CASE WHEN b.crossing > 0
                    THEN b.crossing || ' of its bookings are another organisation''s' END
           ], NULL) AS wrong
    FROM bookings_series s
    LEFT JOIN bookings_customer c ON c.id = s.customer_id
    LEFT JOIN bookings_resource r ON r.id = s.resource_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS number,
               count(*) FILTER (WHERE b.customer_id <> s.customer_id) AS strange,
               count(*) FILTER (WHERE b.organization_id <> s.organization_id) AS crossing
        FROM bookings_booking b WHERE b.series_id = s.id
    ) b
    WHERE (c.id IS NULL OR r.id IS NULL OR c.organization_id <> s.organization_id
           OR r.organization_id <> s.organization_id
           OR b.number = 0 OR b.number > s.times OR b.strange > 0 OR b.crossing > 0)
      AND {mine("s.organization_id", "c.organization_id", "r.organization_id")}
    UNION ALL
    SELECT b.series_id::text, b.organization_id,
           ARRAY['it is missing, and booking ' || b.reference || ' is said to belong to it']
    FROM bookings_booking b
    WHERE b.series_id IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM bookings_series s WHERE s.id = b.series_id)
      AND {mine("b.organization_id")}
    ORDER BY 1
"""  # noqa: S608


@check(
    id="bookings.series",
    title="A series and its bookings are one customer's, in one organisation",
    help=(
        "Who cancels the series would cancel what is not theirs, or not all that is. Nothing in"
        " Holdfast changes whose a series or a booking is. Staff may move one booking of a series"
        " to another resource, which is no problem. A person has to say which row is wrong."
    ),
    severity="error",
)
def series(scope: Scope) -> Iterator[Problem]:
    for row in rows(_SERIES, params(scope)):
        yield Problem(
            subject_type="bookings.series",
            subject_id=row["id"],
            message=f"Of a series: {'; '.join(row['wrong'])}.",
            organization_id=row["organization_id"],
            details={"wrong": row["wrong"]},
            fixable=False,
        )
