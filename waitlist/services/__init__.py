"""Use cases of the waitlist."""
