"""The REST API of people, resources, bookings and check-ins."""
