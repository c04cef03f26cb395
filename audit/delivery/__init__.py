"""Bringing outbox events to people: relay, channels, alerts, resend."""
