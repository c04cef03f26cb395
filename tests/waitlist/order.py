"""Whether the line was served in its order, looked at afterwards in offers and the trail."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from waitlist.models import Offer, WaitlistEntry


def out_of_turn(slot_id: Any) -> list[str]:
    """Offers in a slot that somebody who came earlier should have had.

    Who waits for one slot is only written under its lock, so that the numbers of the trail's
    lines are the order in which things happened. Somebody is passed over if the offer went to a
    later place although they waited when it was made, were not offered seats in the same breath,
    and were as many people or fewer.
    """
    entries = {e.pk: e for e in WaitlistEntry.objects.filter(slot=slot_id)}
    trail: dict[Any, list[tuple[int, str]]] = defaultdict(list)
    for line in WaitlistEntry.history.filter(slot_id=slot_id).order_by("history_id"):
        trail[line.id].append((line.history_id, line.status))
    offers = list(Offer.objects.filter(entry__slot=slot_id, by_hand=False))
    together: dict[Any, set[Any]] = defaultdict(set)
    for offer in offers:
        together[offer.made_at].add(offer.entry_id)
    wrong = []
    for offer in offers:
        got = entries[offer.entry_id]
        at = next(number for number, status in trail[got.pk] if status == "offered")
        for other in entries.values():
            ahead = (other.placed_at, other.pk) < (got.placed_at, got.pk)
            if not ahead or other.units > got.units or other.pk in together[offer.made_at]:
                continue
            before = [status for number, status in trail[other.pk] if number < at]
            if before and before[-1] == "waiting":
                wrong.append(f"{got.pk} got seats that {other.pk} waited for")
    return wrong


def assert_in_order(*slot_ids: Any) -> None:
    for slot_id in slot_ids:
        assert not out_of_turn(slot_id)
