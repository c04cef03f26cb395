"""What cancelling costs at the demo's sports club, and money that goes back to customers.

As in ``seed_present``, every story begins some hours ago and goes through the services.
"""

from __future__ import annotations

import random
from datetime import datetime
from decimal import Decimal

from bookings.models import Organization, Resource
from config.demo.seed_files import Files
from config.demo.seed_people import staff_actor
from config.demo.seed_present import HOUR, Venue
from config.demo.seed_venues import RIVERSIDE
from payments.models import CancellationPolicy, CartTransaction, Refund
from payments.services import decisions, refunds

REVIEWER = "reviewer@riverside.example"
TWO_DAYS = 2 * 24 * 60


def set_terms(organizations: dict[str, Organization]) -> None:
    """Courts cost half of their price when they are cancelled in the last two days."""
    courts = Resource.objects.filter(
        organization=organizations[RIVERSIDE], name__startswith="Court"
    )
    CancellationPolicy.objects.bulk_create(
        CancellationPolicy(
            resource=court,
            organization=organizations[RIVERSIDE],
            free_until_minutes=TWO_DAYS,
            fee_percent=Decimal(50),
            least_fee=Decimal("5.00"),
        )
        for court in courts.order_by("name")
    )


def play(
    organizations: dict[str, Organization], *, files: Files, rng: random.Random, now: datetime
) -> None:
    """Paid back, owed less a fee, and owed if the money came."""
    venue = Venue(
        organizations[RIVERSIDE],
        reviewer=staff_actor(REVIEWER),
        desk=staff_actor("desk@riverside.example"),
        files=files,
        rng=rng,
        now=now,
    )
    back = _paid(venue, "Court 2", days=10)
    _cancel(venue, back, at=now - 20 * HOUR, reason="The other team cannot come.")
    refunds.settle(
        refund_ids=[Refund.objects.get(transaction=back).pk],
        organization_ids={venue.organization.pk},
        reference="SEPA 2417-0093",
        actor=venue.reviewer,
        now=now - 4 * HOUR,
    )
    late = _paid(venue, "Court 3", days=1)
    fee = sum((item.late_fee for item in late.items.all()), Decimal(0))
    _cancel(venue, late, at=now - HOUR, reason="I am ill.", fee=fee)
    unseen = venue.order(venue.somebody(), venue.slot("Court 4", days=10), at=now - 12 * HOUR)
    venue.pay(unseen, at=now - 11 * HOUR)
    _cancel(venue, unseen, at=now - 3 * HOUR, reason="Booked the wrong day.")


def _paid(venue: Venue, resource: str, *, days: int) -> CartTransaction:
    """Paid by somebody who cancels without the desk: the desk's cancelling costs them nothing."""
    at = venue.now - 40 * HOUR
    made = venue.order(venue.member(), venue.slot(resource, days=days), at=at)
    venue.pay(made, at=at + HOUR)
    venue.approve(made, at=at + 3 * HOUR)
    return made


def _cancel(
    venue: Venue,
    made: CartTransaction,
    *,
    at: datetime,
    reason: str,
    fee: Decimal | None = None,
) -> None:
    with venue.acting_for(made.customer) as actor:
        decisions.cancel(
            transaction_id=made.pk,
            organization_id=venue.organization.pk,
            actor=actor,
            reason=reason,
            accepted_fee=fee,
            now=at,
        )
