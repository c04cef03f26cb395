from django.apps import AppConfig


class WaitlistConfig(AppConfig):
    """Entries and offers."""

    name = "waitlist"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from waitlist import permissions, receivers

        permissions.register()
        receivers.connect()
