"""What staff see of the record: deliveries, events, reports, findings and timelines."""

from audit.admin.consistency import ConsistencyReportAdmin, FindingAdmin
from audit.admin.deliveries import DeliveryAdmin, OutboxEventAdmin
from audit.admin.scope import ScopedReadOnlyAdmin
from audit.admin.timeline import TimelineMixin

__all__ = [
    "ConsistencyReportAdmin",
    "DeliveryAdmin",
    "FindingAdmin",
    "OutboxEventAdmin",
    "ScopedReadOnlyAdmin",
    "TimelineMixin",
]
