"""The project: settings, processes, and what is composed of all apps. Nobody imports it."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
