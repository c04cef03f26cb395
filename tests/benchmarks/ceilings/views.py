"""The ceilings as views: everybody may call them, and they do nothing but their one thing."""

from __future__ import annotations

from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.benchmarks.ceilings.models import Booking, Event, Item, Slot

PRICE = Decimal("20.00")


class Open(APIView):
    authentication_classes = []
    permission_classes = []
    throttle_classes = []


class OneSelect(Open):
    def get(self, request: Request) -> Response:
        slot = Slot.objects.get(pk=1)
        return Response({"id": slot.pk, "taken": slot.taken, "capacity": slot.capacity})


class MinimalBooking(Open):
    """Lock, count, three rows: five statements in a transaction."""

    def post(self, request: Request) -> Response:
        with transaction.atomic():
            slot = Slot.objects.select_for_update().get(pk=_slot(request))
            if slot.taken >= slot.capacity:
                return Response({"code": "full"}, status=409)
            slot.taken += 1
            slot.save(update_fields=["taken"])
            booking = Booking.objects.create(
                slot=slot, units=1, status="held", created_at=timezone.now()
            )
            item = Item.objects.create(booking=booking, amount=PRICE)
            Event.objects.create(booking=booking, kind="booking.held")
        return Response({"id": item.pk, "booking": booking.pk}, status=201)


def _slot(request: Request) -> int:
    assert isinstance(request.data, dict)
    return int(request.data["slot"])


BOOK = """
WITH slot AS (
    UPDATE ceilings_slot SET taken = taken + 1 WHERE id = %s AND taken < capacity RETURNING id
), booking AS (
    INSERT INTO ceilings_booking (slot_id, units, status, created_at)
    SELECT id, 1, 'held', now() FROM slot RETURNING id
), item AS (
    INSERT INTO ceilings_item (booking_id, amount) SELECT id, %s FROM booking
    RETURNING id, booking_id
), event AS (
    INSERT INTO ceilings_event (booking_id, kind) SELECT id, 'booking.held' FROM booking
)
SELECT id, booking_id FROM item
"""


class SingleStatementBooking(Open):
    def post(self, request: Request) -> Response:
        with connection.cursor() as cursor:
            cursor.execute(BOOK, [_slot(request), PRICE])
            row = cursor.fetchone()
        if row is None:
            return Response({"code": "full"}, status=409)
        return Response({"id": row[0], "booking": row[1]}, status=201)
