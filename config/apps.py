from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class HoldfastConfig(AppConfig):
    """The composition root."""

    name = "config"

    def ready(self) -> None:
        from config.throttling import keep_sign_in_limits

        keep_sign_in_limits()


class HoldfastAdminConfig(AdminConfig):
    default_site = "config.admin.HoldfastAdminSite"
