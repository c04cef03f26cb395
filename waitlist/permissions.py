"""What each role may do with the waitlist."""

from bookings.permissions import DESK, EVERYBODY, LEADERS, grant


def register() -> None:
    grant(EVERYBODY, "waitlist.view_waitlistentry", "waitlist.view_offer")
    grant(DESK, "waitlist.offer_waitlistentry")
    grant(EVERYBODY, "waitlist.view_waitlistpolicy")
    grant(LEADERS, "waitlist.add_waitlistpolicy", "waitlist.change_waitlistpolicy")
