"""What can go wrong in the line, in words for the person who asked."""

from audit.errors import DomainError


class SeatsAvailable(DomainError):
    """There is room: book it instead of waiting for it."""

    code = "seats_available"


class NoWaitlist(DomainError):
    """Nobody can wait in line for this."""

    code = "no_waitlist"


class AlreadyWaiting(DomainError):
    """This customer is in line for it already."""

    code = "already_waiting"
    constraints = ("waitlist_entry_once_per_slot", "waitlist_entry_once_per_window")


class TooManyEntries(DomainError):
    """A customer is in as many lines as possible."""

    code = "too_many_entries"


class NoLongerWaiting(DomainError):
    """This place in line is no longer there."""

    code = "no_longer_waiting"
    constraints = ("waitlist_waitlistentry_status_follows_lifecycle",)


class NoOffer(DomainError):
    """There is no offer to answer, or not any more."""

    code = "no_offer"
    constraints = ("waitlist_offer_status_follows_lifecycle",)
