"""What becomes of the money, said before something is cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import gettext

from bookings.admin.show import when
from payments.admin import show
from payments.cancelling import Cost, is_live, total
from payments.models import CartItem


def what_is_paid_back(costs: Sequence[Cost]) -> str:
    """What is owed back if the house cancels now and keeps nothing."""
    found = total(costs)
    if not found.refund and not found.fee:
        return gettext("Nothing has been paid for it, so nothing is paid back.")
    facts = {"amount": show.money(found.refund + found.fee, found.currency)}
    if not found.verified:
        return gettext("%(amount)s is noted to be paid back, once the money has been seen.") % facts
    return gettext("%(amount)s is noted to be paid back.") % facts


def until_when(item: CartItem, *, now: datetime) -> str:
    """Until when its customer cancels a booking for nothing, and until when at all, where that has
    an end; nothing of one that is over."""
    if not is_live(item.booking):
        return ""
    said = []
    if item.free_until is not None:
        fee = show.money(item.late_fee, item.currency)
        if item.free_until < now:
            said.append(gettext("cancelling costs %s") % fee)
        else:
            facts = {"when": when(item.free_until), "fee": fee}
            said.append(gettext("free to cancel until %(when)s, then %(fee)s") % facts)
    if item.cancel_until is not None:
        words = (
            gettext("only you cancel it")
            if item.cancel_until < now
            else gettext("customers cancel until %s") % when(item.cancel_until)
        )
        said.append(words)
    return "; ".join(said)


def what_is_kept(costs: Sequence[Cost]) -> str:
    """What a customer would pay now, and what is left to pay back then."""
    found = total(costs)
    return gettext(
        "A customer would pay %(fee)s now. Tick this and it is kept: %(refund)s is paid back."
    ) % {
        "fee": show.money(found.fee, found.currency),
        "refund": show.money(found.refund, found.currency),
    }
