"""What is charged by time can be added up."""

from __future__ import annotations

from collections.abc import Iterator

from audit.consistency.registry import Problem, Scope, check, rows
from bookings.consistency.parts import literals, mine, params
from payments.models import Price

_CURRENCIES = f"""
    SELECT one.resource_id::text AS id, one.organization_id,
           array_agg(DISTINCT one.currency::text ORDER BY one.currency::text) AS currencies
    FROM payments_price one
    JOIN payments_price other
      ON other.resource_id = one.resource_id
     AND other.currency <> one.currency
     AND other.basis IN ({literals(Price.BY_TIME)})
     AND daterange(other.valid_from, other.valid_until, '[]')
         && daterange(one.valid_from, one.valid_until, '[]')
    WHERE one.basis IN ({literals(Price.BY_TIME)}) AND {mine("one.organization_id")}
    GROUP BY one.resource_id, one.organization_id
    ORDER BY 1
"""  # noqa: S608


@check(
    id="payments.price_currencies",
    title="Prices by time of one resource are in one currency at a time",
    help=(
        "A booking whose time touches both costs as if the first price went on. Give the prices of"
        " the resource one currency, or days that do not overlap."
    ),
    severity="warning",
)
def price_currencies(scope: Scope) -> Iterator[Problem]:
    for row in rows(_CURRENCIES, params(scope)):
        yield Problem(
            subject_type="bookings.resource",
            subject_id=row["id"],
            message=f"What it costs by time is in {' and '.join(row['currencies'])} at once.",
            organization_id=row["organization_id"],
            details={"currencies": row["currencies"]},
        )
