"""What each role may do with money."""

from bookings.models import Role
from bookings.permissions import DESK, EVERYBODY, LEADERS, grant


def register() -> None:
    staff = [r for r in EVERYBODY if r != Role.PROVIDER]
    grant(
        staff,
        "payments.view_carttransaction",
        "payments.view_cartitem",
        "payments.view_price",
        "payments.view_proof",
        "payments.view_paymentpolicy",
        "payments.view_cancellationpolicy",
        "payments.view_refund",
    )
    grant(
        [*LEADERS, Role.REVIEWER],
        "payments.approve_carttransaction",
        "payments.settle_refund",
    )
    # Whoever books and moves for customers, or decides on proofs, also decides what becomes of
    # one that came too late; that money went back is for others to say.
    grant(staff, "payments.view_latepayment")
    grant([*DESK, Role.REVIEWER], "payments.resolve_latepayment")
    grant([*DESK, Role.REVIEWER], "payments.change_carttransaction")
    grant(DESK, "payments.take_payment_carttransaction")
    grant(
        LEADERS,
        "payments.add_price",
        "payments.change_price",
        "payments.delete_price",
        "payments.change_paymentpolicy",
        "payments.add_paymentpolicy",
        "payments.add_cancellationpolicy",
        "payments.change_cancellationpolicy",
        "payments.delete_cancellationpolicy",
    )
