"""What can go wrong with a booking, in words for the person who asked."""

from audit.errors import DomainError


class SlotFull(DomainError):
    """There are not enough seats left in this slot."""

    code = "slot_full"
    constraints = (
        "bookings_slot_bookings_within_capacity",
        "bookings_slot_units_within_capacity",
    )

    def __init__(self, detail: str = "", *, waitlist: bool = False, **extra: object) -> None:
        super().__init__(detail, waitlist=waitlist, **extra)


class LineFirst(DomainError):
    """These seats go to those who wait in line first; try again in a minute."""

    code = "line_first"


class SlotGone(DomainError):
    """This slot can no longer be booked."""

    code = "slot_gone"
    constraints = ("bookings_booking_slot_is_bookable",)


class ResourceTaken(DomainError):
    """This is already taken at that time by another booking."""

    code = "resource_taken"
    constraints = (
        "bookings_occupancy_never_overlaps",
        "bookings_slot_picked_is_in_its_pools",  # it left the pool at that moment
    )


class HoldExpired(DomainError):
    """The hold on these seats has run out."""

    code = "hold_expired"


class BookingOver(DomainError):
    """This booking has already ended or started."""

    code = "booking_over"
    constraints = ("bookings_booking_status_follows_lifecycle",)


class SlotInUse(DomainError):
    """People are booked in this slot, so it cannot change like that."""

    code = "slot_in_use"
    constraints = ("bookings_slot_with_people_keeps_its_time",)


class TooSoon(DomainError):
    """This is too short before the start for a booking of one's own."""

    code = "too_soon"


class TooFarAhead(DomainError):
    """Bookings this far ahead are not taken yet."""

    code = "too_far_ahead"


class TooManyBookings(DomainError):
    """A customer has as many bookings here as are allowed at a time."""

    code = "too_many_bookings"


class CustomerKnown(DomainError):
    """Somebody with this e-mail address or phone number is a customer already."""

    code = "customer_known"


class TooManyNoShows(DomainError):
    """Too many bookings were missed, so new ones are made with the staff."""

    code = "too_many_no_shows"


class NotStarted(DomainError):
    """Nobody has missed what has not started."""

    code = "not_started"
    constraints = ("bookings_booking_missed_after_its_start",)


class TooLate(DomainError):
    """The deadline for this has passed; ask the staff."""

    code = "too_late"


class NotOffered(DomainError):
    """This is not offered at that time or for that long."""

    code = "not_offered"


class ProposalOpen(DomainError):
    """Another time is proposed for this booking, and the answer is awaited."""

    code = "proposal_open"


class NoProposal(DomainError):
    """There is no proposed time to answer."""

    code = "no_proposal"


class MadeInCircles(DomainError):
    """A resource cannot be a part of itself, directly or through others."""

    code = "made_in_circles"
    constraints = ("bookings_resourcepart_makes_no_circle", "bookings_resourcepart_is_not_itself")


class DoesNotFit(DomainError):
    """These resources cannot be put together like that."""

    code = "does_not_fit"
    constraints = (
        "bookings_resourcepart_fits",
        "bookings_poolmember_is_single",
        "bookings_poolmember_stays_while_picked",
        "bookings_poolneed_fits",
        "bookings_slot_matches_its_resource",
        "bookings_slot_of_exclusive_takes_one",
        "bookings_slot_offered_once",
    )


class PlanChanged(DomainError):
    """Something changed since the preview was shown."""

    code = "plan_changed"


class LastOwner(DomainError):
    """An organisation keeps at least one owner."""

    code = "last_owner"


class UnknownCode(DomainError):
    """No booking has this code."""

    code = "unknown_code"
    status = 404


class AlreadyCheckedIn(DomainError):
    """This code has been used already."""

    code = "already_checked_in"


class WrongDay(DomainError):
    """This booking is for another day."""

    code = "wrong_day"


class NotConfirmed(DomainError):
    """This booking is not confirmed yet."""

    code = "not_confirmed"


class BookingCancelled(DomainError):
    """This booking was cancelled, rejected or has expired."""

    code = "booking_cancelled"
