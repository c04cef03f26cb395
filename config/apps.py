from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class HoldfastConfig(AppConfig):
    """The composition root."""

    name = "config"


class HoldfastAdminConfig(AdminConfig):
    default_site = "config.admin.HoldfastAdminSite"
