from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    """Carts, transactions, proofs, prices."""

    name = "payments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from payments import permissions, receivers

        permissions.register()
        receivers.connect()
