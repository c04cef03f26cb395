from audit.models.consistency import ConsistencyReport, Finding, Severity
from audit.models.idempotency import IdempotencyKey
from audit.models.lease import Lease
from audit.models.outbox import OPEN, Delivery, DeliveryStatus, OutboxEvent

__all__ = [
    "OPEN",
    "ConsistencyReport",
    "Delivery",
    "DeliveryStatus",
    "Finding",
    "IdempotencyKey",
    "Lease",
    "OutboxEvent",
    "Severity",
]
