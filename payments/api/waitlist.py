"""The waitlist with what offers cost, and accepting one: into the cart, or booked at once (A5)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import Fields
from audit.idempotency import Answer
from payments import selectors
from payments.api import representations, serializers
from payments.prices import quote
from payments.services import waitlist
from waitlist.api import entries
from waitlist.api.representations import Prices
from waitlist.models import Offer


class WithPrices(entries.EntryView):
    """Offers say what accepting them costs; one statement for any number."""

    def prices(self, offers: Sequence[Offer]) -> Prices:
        rules = selectors.price_rules({o.booking.slot.resource_id for o in offers})
        found = {}
        for offer in offers:
            price = quote(offer.booking.slot, offer.booking.units, rules)
            found[offer.pk] = price.amount, price.currency
        return found


class Waitlist(WithPrices, entries.Entries):
    """Entries, the newest first."""


class Entry(WithPrices, entries.EntryDetail):
    """One entry."""


class Accept(WithPrices):
    """Whoever waits accepts what is offered."""

    @extend_schema(
        operation_id="accept_offer",
        tags=["Waitlist"],
        request=None,
        responses={200: serializers.AcceptedOffer},
        extensions={
            "x-problems": ["no_offer", "cart_full", "too_many_no_shows", "permission_denied"],
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Put the seats into the cart, to be checked out like anything else in it. They are held
        until the offer would have run out, and at least as long as a cart holds anything.

        What costs nothing is booked at once: then there is a `transaction` and no `item`.
        """
        self.need_own(pk)
        Fields(request.data).check()  # nothing is asked for, and yet it must be readable
        customer, now = self.viewer.customer, timezone.now()
        assert customer is not None

        def execute() -> Answer:
            done = waitlist.accept(
                organization=self.viewer.organization,
                customer=customer,
                entry_id=pk,
                actor=self.viewer.as_customer,
                now=now,
            )
            (entry,) = self.shown([done.entry])
            return answers.answer(
                entry | self._became(done), headers={"ETag": answers.etag(done.entry)}
            )

        return self.once(request, [], execute)

    def _became(self, done: waitlist.Accepted) -> dict[str, object]:
        if done.transaction is None:
            assert done.item is not None
            return {"item": representations.item(done.item, done.quote), "transaction": None}
        items = selectors.items_of(done.transaction)
        made = representations.transaction(
            done.transaction, self.viewer, items, [], with_code=False
        )
        return {"item": None, "transaction": made}
