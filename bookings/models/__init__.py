from bookings.models.booking import Booking, CheckInCode
from bookings.models.customer import Customer
from bookings.models.organization import Membership, Organization, Role
from bookings.models.resource import Resource
from bookings.models.slot import Occupancy, Slot
from bookings.models.user import User

__all__ = [
    "Booking",
    "CheckInCode",
    "Customer",
    "Membership",
    "Occupancy",
    "Organization",
    "Resource",
    "Role",
    "Slot",
    "User",
]
