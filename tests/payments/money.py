"""Orders whose cancelling costs something, for tests of fees and refunds."""

from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from bookings.models import Booking
from payments.models import CancellationPolicy, CartTransaction, Refund
from payments.services import cancellation, decisions, refunds
from tests import factories as f

DAY = 24 * 60


def priced(amount="20.00", *, policy=True, **fields):
    """A resource with a price; cancelling is free until a day before, then half is kept."""
    resource = f.ResourceFactory(**fields)
    f.PriceFactory(resource=resource, amount=Decimal(amount))
    if policy:
        terms = {"free_until_minutes": DAY, "fee_percent": Decimal(50)}
        set_policy(resource, **(policy if isinstance(policy, dict) else terms))
    return resource


def set_policy(resource, **terms):
    CancellationPolicy.objects.update_or_create(
        resource=resource, defaults={"organization": resource.organization, **terms}
    )


def ordered(resource=None, count=1, *, method="pay_now", hours=3, customer=None):
    """An order of slots that start in some hours."""
    resource = resource or priced()
    customer = customer or f.CustomerFactory(organization=resource.organization)
    slots = f.make_slots(resource, count, start=f.soon(hours))
    return f.check_out(customer, *slots, method=method)


def under_review(*args, **kwargs):
    made = ordered(*args, **kwargs)
    f.submit_proof(made)
    made.refresh_from_db()
    return made


def paid(*args, **kwargs):
    """The same, approved: its money is there."""
    return f.approve(under_review(*args, **kwargs))


def on_arrival(*args, **kwargs):
    """Confirmed, and to be paid on arrival."""
    made = ordered(*args, method="pay_on_arrival", **kwargs)
    return f.approve(made) if made.status != "approved" else made


def take(made):
    return decisions.take_payment(
        transaction_id=made.pk,
        organization_id=made.organization_id,
        actor=f.SYSTEM,
        now=timezone.now(),
    )


def bookings_of(made):
    return list(
        Booking.objects.filter(cart_item__transaction=made)
        .select_related("slot__resource", "customer")
        .order_by("slot__starts_at")
    )


def cancel(booking, **kwargs):
    arguments = {
        "booking_id": booking.pk,
        "organization_id": booking.organization_id,
        "actor": f.SYSTEM,
        "reason": "ill",
        "now": timezone.now(),
    }
    return cancellation.cancel_booking(**(arguments | kwargs))


def cancel_order(made, **kwargs):
    arguments = {
        "transaction_id": made.pk,
        "organization_id": made.organization_id,
        "actor": f.SYSTEM,
        "reason": "closed",
        "now": timezone.now(),
    }
    return decisions.cancel(**(arguments | kwargs))


def change(service, *found, **kwargs):
    """Settle, waive, reopen or verify refunds."""
    said = {
        refunds.settle: {"reference": "SEPA 4711"},
        refunds.waive: {"note": "they want none"},
        refunds.reopen: {"reason": "the transfer came back"},
        refunds.verify: {},
    }[service]
    arguments = {
        "refund_ids": [r.pk for r in found],
        "organization_ids": None,
        "actor": f.SYSTEM,
        "now": timezone.now(),
    }
    return service(**(arguments | said | kwargs))


def give_back(made, amount="5.00", **kwargs):
    """Note by hand that money goes back."""
    arguments = {
        "transaction_id": made.pk,
        "organization_id": made.organization_id,
        "amount": Decimal(amount),
        "reason": "paid twice",
        "actor": f.SYSTEM,
        "now": timezone.now(),
    }
    return refunds.give_back(**(arguments | kwargs))


def owed(made: CartTransaction):
    """What is owed of an order: amount, status, verified."""
    return [
        (str(r.amount), r.status, r.verified)
        for r in Refund.objects.filter(transaction=made).order_by("created_at", "pk")
    ]


def later(**kwargs):
    return timezone.now() + timedelta(**kwargs)
