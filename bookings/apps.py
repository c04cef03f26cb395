from django.apps import AppConfig


class BookingsConfig(AppConfig):
    """People, resources, slots, bookings, check-ins."""

    name = "bookings"
    default_auto_field = "django.db.models.BigAutoField"
