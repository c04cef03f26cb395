"""What becomes of the money, said before something is cancelled."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext

from payments.admin import show
from payments.cancelling import Cost, total


def what_is_paid_back(costs: Sequence[Cost]) -> str:
    """What is owed back if the house cancels now and keeps nothing."""
    found = total(costs)
    if not found.refund and not found.fee:
        return gettext("Nothing has been paid for it, so nothing is paid back.")
    facts = {"amount": show.money(found.refund + found.fee, found.currency)}
    if not found.verified:
        return gettext("%(amount)s is noted to be paid back, once the money has been seen.") % facts
    return gettext("%(amount)s is noted to be paid back.") % facts


def what_is_kept(costs: Sequence[Cost]) -> str:
    """What a customer would pay now, and what is left to pay back then."""
    found = total(costs)
    return gettext(
        "A customer would pay %(fee)s now. Tick this and it is kept: %(refund)s is paid back."
    ) % {
        "fee": show.money(found.fee, found.currency),
        "refund": show.money(found.refund, found.currency),
    }
