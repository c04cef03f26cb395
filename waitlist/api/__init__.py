"""The waitlist over HTTP. What an offer costs is added by ``payments/api/waitlist.py``."""
