from waitlist.models.entry import WaitlistEntry
from waitlist.models.offer import Offer
from waitlist.models.policy import WaitlistPolicy

__all__ = ["Offer", "WaitlistEntry", "WaitlistPolicy"]
