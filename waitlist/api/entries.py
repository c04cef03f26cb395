"""Places in line: join, look, leave, decline what is offered (A5, F2).

To accept needs a cart and a price: ``payments/api/waitlist.py``, which also serves the list and
the single entry, with what offers cost.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from audit.api import answers
from audit.api.fields import MISSING, Fields
from audit.api.pages import page_in, paginate
from audit.errors import Forbidden, NotFound
from audit.idempotency import Answer
from bookings.api.views import OrganizationView
from bookings.services.organizations import customer_of
from waitlist import selectors
from waitlist.api import representations, serializers
from waitlist.lifecycle import EntryStatus
from waitlist.models import Offer, WaitlistEntry
from waitlist.services import joining, line
from waitlist.services.joining import Window

NO_ENTRY = "There is no such entry in the waitlist."
FILTERS = ("slot", "resource", "customer")


class EntryView(OrganizationView):
    """What the views of entries share."""

    def shown(self, rows: Sequence[WaitlistEntry]) -> list[dict[str, Any]]:
        """Entries as they are answered; a page takes as many statements as one."""
        unknown = [e for e in rows if not hasattr(e, "position")]
        selectors.load_positions(unknown, now=timezone.now())
        open_offers = [o for e in rows if (o := self._open_offer(e))]
        prices = self.prices(open_offers) if open_offers else {}
        return [representations.entry(e, prices) for e in rows]

    def prices(self, offers: Sequence[Offer]) -> representations.Prices:
        """What offers cost: nobody here knows."""
        return {}

    @staticmethod
    def _open_offer(entry: WaitlistEntry) -> Offer | None:
        return selectors.open_offer(entry) if entry.status == EntryStatus.OFFERED else None

    def entry(self, pk: uuid.UUID) -> WaitlistEntry:
        """One that this person may see, as it is shown.

        Raises:
            NotFound: there is none.
        """
        found = selectors.entries(self.viewer).filter(pk=pk).first()
        if found is None:
            raise NotFound(NO_ENTRY)
        return found

    def need_own(self, pk: uuid.UUID) -> None:
        """Only whoever waits may answer, not the staff.

        Raises:
            NotFound: there is none that this person may see.
            Forbidden: it is somebody else's.
        """
        seen = WaitlistEntry.objects.filter(
            Q(pk=pk, organization=self.viewer.organization) & selectors.visible(self.viewer)
        ).order_by()
        customer_id = seen.values_list("customer_id", flat=True).first()
        if customer_id is None:
            raise NotFound(NO_ENTRY)
        if self.viewer.customer is None or customer_id != self.viewer.customer.pk:
            raise Forbidden("Only the customer answers here; staff do it in the admin.")


class Entries(EntryView):
    """Entries, the newest first."""

    @extend_schema(
        operation_id="list_waitlist",
        tags=["Waitlist"],
        parameters=[
            OpenApiParameter(
                "status", description="One or several, with commas.", enum=EntryStatus.values
            ),
            OpenApiParameter("slot", OpenApiTypes.UUID, description="Waiting for this slot."),
            OpenApiParameter("resource", OpenApiTypes.UUID, description="Only this resource's."),
            OpenApiParameter("customer", OpenApiTypes.UUID, description="Only this customer's."),
        ],
        responses={200: serializers.WaitlistPage},
        extensions={"x-paged": True},
    )
    def get(self, request: Request, org: str) -> HttpResponse:
        """Staff see everybody's, providers those of their own resources, customers their own."""
        fields = Fields(request.query_params)
        statuses = fields.choices("status", EntryStatus.values)
        wanted = {name: value for name in FILTERS if (value := fields.uuid(name))}
        page = page_in(fields)
        fields.check(known=True)
        found = selectors.entries(self.viewer).filter(**wanted)
        if statuses:
            found = found.filter(status__in=statuses)
        rows, links = paginate(found, page, order="-joined_at", request=request)
        return answers.respond(links | {"results": self.shown(rows)})

    @extend_schema(
        operation_id="join_waitlist",
        tags=["Waitlist"],
        request=serializers.WaitlistRequest,
        responses={201: serializers.WaitlistEntrySerializer},
        extensions={
            "x-problems": [
                "seats_available",
                "no_waitlist",
                "already_waiting",
                "too_many_entries",
                "slot_gone",
                "too_soon",
                "too_far_ahead",
                "too_many_no_shows",
            ],
            "x-etag": True,
        },
    )
    def post(self, request: Request, org: str) -> HttpResponse:
        """Get in line for a full slot, or for any slot of a resource in a time in which all are.

        Seats that come free are offered to the first in line whom they fit, by mail and here.
        """
        fields = Fields(request.data)
        wanted = wanted_in(fields)
        units = fields.integer("units", least=1, most=joining.MOST_UNITS, default=1)
        fields.check()
        now = timezone.now()

        def execute() -> Answer:
            entry = joining.join(
                organization=self.viewer.organization,
                customer=customer_of(self.viewer),
                wanted=wanted,
                units=units,
                actor=self.viewer.as_customer,
                now=now,
            )
            (shown,) = self.shown([entry])
            return answers.answer(shown, 201, headers={"ETag": answers.etag(entry)})

        facts = astuple(wanted) if isinstance(wanted, Window) else (wanted,)
        return self.once(request, [*facts, units], execute)


def wanted_in(fields: Fields) -> uuid.UUID | Window:
    """The slot or the window that is named; what is wrong with it is noted in ``fields``."""
    slot_id = fields.uuid("slot")
    resource_id, since, until = (
        fields.uuid("resource"),
        fields.moment("from"),
        fields.moment("until"),
    )
    said = {"resource": resource_id, "from": since, "until": until}
    if slot_id is not None:
        for name, value in said.items():
            if value:
                fields.refuse(name, "Say either the slot or resource, from and until.")
        return slot_id
    if any(said.values()):
        for name, value in said.items():
            if not value and name not in fields.errors:
                fields.refuse(name, MISSING)
        if resource_id and since and until:
            return Window(resource_id, since, until)
    elif not fields.errors:
        fields.refuse("slot", MISSING)
    return uuid.UUID(int=0)


class EntryDetail(EntryView):
    """One entry."""

    @extend_schema(
        operation_id="get_waitlist_entry",
        tags=["Waitlist"],
        responses={200: serializers.WaitlistEntrySerializer},
        extensions={"x-etag": True},
    )
    def get(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Where somebody stands, and what is offered to them."""
        found = self.entry(pk)
        (shown,) = self.shown([found])
        return answers.respond(shown, headers={"ETag": answers.etag(found)})

    @extend_schema(
        operation_id="leave_waitlist",
        tags=["Waitlist"],
        responses={204: None},
        extensions={"x-problems": ["no_longer_waiting", "permission_denied"]},
    )
    def delete(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Leave the line; seats that were offered go to the next."""
        self.need_own(pk)
        line.leave(
            entry_id=pk,
            organization_id=self.viewer.organization.pk,
            actor=self.viewer.as_customer,
            now=timezone.now(),
        )
        return HttpResponse(status=204)


class Decline(EntryView):
    """Whoever waits declines what is offered."""

    @extend_schema(
        operation_id="decline_offer",
        tags=["Waitlist"],
        request=serializers.DeclineOfferRequest,
        responses={200: serializers.WaitlistEntrySerializer},
        extensions={"x-problems": ["no_offer", "permission_denied"], "x-etag": True},
    )
    def post(self, request: Request, org: str, pk: uuid.UUID) -> HttpResponse:
        """Leave the line; the seats go to the next at once."""
        self.need_own(pk)
        fields = Fields(request.data)
        reason = fields.text("reason", longest=line.LONGEST_REASON)
        fields.check()
        now = timezone.now()

        def execute() -> Answer:
            entry = line.decline(
                entry_id=pk,
                organization_id=self.viewer.organization.pk,
                reason=reason,
                actor=self.viewer.as_customer,
                now=now,
            )
            (shown,) = self.shown([entry])
            return answers.answer(shown, headers={"ETag": answers.etag(entry)})

        return self.once(request, [reason], execute)
