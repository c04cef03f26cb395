"""What must hold of carts, transactions and proofs, and what is done where it does not (A9, A10).

``agreement`` asks whether transaction, items and bookings say the same; ``deadlines`` whether
what is overdue has ended; ``late`` whether money that came too late waits for somebody; ``links``
whether rows belong together; ``money`` whether sums and payments are right; ``prices`` whether
what is charged by time can be added up; ``proofs`` whether files are there; ``refunds`` whether
what was paid for cancelled bookings is owed back; ``reviews`` whether somebody was told of what
waits too long; ``terms`` whether cancelling costs what was agreed. docs/runbook.md has a section
for each check.
"""

from payments.consistency import (
    agreement,
    deadlines,
    late,
    links,
    money,
    prices,
    proofs,
    refunds,
    reviews,
    terms,
)

__all__ = [
    "agreement",
    "deadlines",
    "late",
    "links",
    "money",
    "prices",
    "proofs",
    "refunds",
    "reviews",
    "terms",
]
