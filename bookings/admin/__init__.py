"""What staff see of bookings: bookings, slots, resources, customers, organisations, people."""

from bookings.admin import booking_schedule as booking_schedule  # adds to a page
from bookings.admin.bookings import BookingAdmin
from bookings.admin.customers import CustomerAdmin
from bookings.admin.exceptions import ScheduleExceptionAdmin
from bookings.admin.organizations import MembershipAdmin, OrganizationAdmin
from bookings.admin.pools import PoolAdmin
from bookings.admin.resources import ResourceAdmin
from bookings.admin.slots import SlotAdmin
from bookings.admin.users import UserAdmin

__all__ = [
    "BookingAdmin",
    "CustomerAdmin",
    "MembershipAdmin",
    "OrganizationAdmin",
    "PoolAdmin",
    "ResourceAdmin",
    "ScheduleExceptionAdmin",
    "SlotAdmin",
    "UserAdmin",
]
