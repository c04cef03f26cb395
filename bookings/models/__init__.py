from bookings.models.booking import Booking, CheckInCode
from bookings.models.composition import Pool, PoolMember, PoolNeed, ResourcePart
from bookings.models.customer import Customer
from bookings.models.organization import (
    PEOPLE,
    Membership,
    Organization,
    Provider,
    Role,
    without_people,
)
from bookings.models.proposal import Proposal
from bookings.models.reminder import Reminder
from bookings.models.resource import Resource
from bookings.models.schedule import Schedule, ScheduleException, ScheduleRule
from bookings.models.series import Series
from bookings.models.slot import Occupancy, Slot
from bookings.models.user import User

__all__ = [
    "PEOPLE",
    "Booking",
    "CheckInCode",
    "Customer",
    "Membership",
    "Occupancy",
    "Organization",
    "Pool",
    "PoolMember",
    "PoolNeed",
    "Proposal",
    "Provider",
    "Reminder",
    "Resource",
    "ResourcePart",
    "Role",
    "Schedule",
    "ScheduleException",
    "ScheduleRule",
    "Series",
    "Slot",
    "User",
    "without_people",
]
