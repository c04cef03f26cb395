from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    """Records and watches: who acted, what changed, what must hold, who was told."""

    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit import history, timestamps
        from audit.consistency.registry import autodiscover
        from audit.observability import tasks

        timestamps.install()
        post_migrate.connect(history.protect_trails, dispatch_uid="audit.protect_trails")
        autodiscover()
        tasks.connect()
