"""`manage.py render_lifecycles`: the tables and diagrams of docs/lifecycles.md, from the code."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit.lifecycle import Lifecycle
from bookings.lifecycle import BOOKING, LIVE, PROPOSAL, SLOT
from payments.lifecycle import (
    CART,
    ITEM,
    ITEM_OF_BOOKING,
    LATE,
    PAYMENT,
    PROOF,
    REFUND,
    TRANSACTION,
)
from waitlist.lifecycle import ENTRY, OFFER

FILE = Path("docs/lifecycles.md")

NOUNS: dict[str, tuple[Lifecycle, str]] = {
    "Booking": (
        BOOKING,
        "Seats in a slot. A cart item *holds* a booking; checkout *requests* it; approval *confirms* it"
        " and gives it its check-in code. Live statuses take seats: "
        + ", ".join(f"`{s}`" for s in LIVE)
        + ".",
    ),
    "Slot": (
        SLOT,
        "A time of a resource. Only open slots take new people; legacy ones serve those in them.",
    ),
    "Proposal": (
        PROPOSAL,
        "Another time for a booking, held by a booking that stands in for it until its customer has answered. It *expires*"
        " when the time to answer runs out, and when the proposed time is not offered any more or its day is closed.",
    ),
    "Waitlist entry": (
        ENTRY,
        "A place in line for a slot, or for any time of a resource. Freed seats are *offered* to the"
        " first whom they fit; an accepted offer is *fulfilled* when its booking is approved.",
    ),
    "Waitlist offer": (
        OFFER,
        "A held booking for somebody in line. It runs out when the hold does.",
    ),
    "Cart": (
        CART,
        "A customer has one open cart. One that held only what an approval has settled is closed.",
    ),
    "Cart item": (ITEM, "Follows its booking, always (see the table at the end)."),
    "Cart transaction": (
        TRANSACTION,
        "What was checked out together is decided together. What is `pending` expires after the"
        " organisation's hours, and at its first start at the latest, whether it waits for payment or"
        " for the house; under review no such clock runs. Of what waits for the house, the managers"
        " hear before.",
    ),
    "Payment of a transaction": (
        PAYMENT,
        "Paying now knows pending, paid and failed; on arrival pending and paid; free is paid.",
    ),
    "Proof of payment": (
        PROOF,
        "Decided with its transaction. Those that were rejected when a late payment was dismissed wait"
        " again when that is opened again.",
    ),
    "Refund": (
        REFUND,
        "Money owed back, until staff say that it was paid, with the reference, or why it is not. The"
        " customer is told of each.",
    ),
    "Late payment": (
        LATE,
        "A proof for what had expired and whose seats were gone. While it is open, staff book it"
        " after all, pay it back, keep it as credit, or say that no money came.",
    ),
}


def render() -> str:
    """The whole document."""
    parts = [
        "# Lifecycles",
        "One table per noun. The database refuses every other change of status, on every path: the"
        " triggers are generated from the same tables. This page is made by"
        " `manage.py render_lifecycles`.",
    ]
    for title, (lifecycle, about) in NOUNS.items():
        rows = [
            f"| {m.name.replace('_', ' ')} | {', '.join(f'`{s}`' for s in sorted(m.sources))} | `{m.target}` |"
            for m in lifecycle.moves.values()
        ]
        parts += [
            f"## {title}",
            about,
            f"```mermaid\n{lifecycle.mermaid()}\n```",
            "\n".join(["| move | from | to |", "| --- | --- | --- |", *rows]),
        ]
    mirror = [f"| `{b!s}` | `{i!s}` |" for b, i in ITEM_OF_BOOKING.items()]
    parts += [
        "## An item is what its booking is",
        "\n".join(["| booking | cart item |", "| --- | --- |", *mirror]),
    ]
    return "\n\n".join(parts) + "\n"


class Command(BaseCommand):
    help = "Write docs/lifecycles.md from the lifecycle tables; --check only compares."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail if the file is stale")

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / FILE
        text = render()
        if not options["check"]:
            path.write_text(text)
            self.stdout.write(f"wrote {FILE}")
        elif not path.exists() or path.read_text() != text:
            raise CommandError(f"{FILE} is stale; run manage.py render_lifecycles")
