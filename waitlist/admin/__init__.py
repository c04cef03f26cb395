"""What staff see of the waitlist: who waits for what, in which order, and what was offered."""

from waitlist.admin import panels
from waitlist.admin.entries import WaitlistAdmin
from waitlist.admin.policy import PolicyAdmin, PolicyInline

__all__ = ["PolicyAdmin", "PolicyInline", "WaitlistAdmin", "panels"]
