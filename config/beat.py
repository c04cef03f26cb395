"""The beat scheduler: the beat table in the database, where administrators may change it."""

from __future__ import annotations

from typing import Any, Self

from celery import Celery
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry


class Entry(ModelEntry):
    @classmethod
    def from_entry(cls, name: str, app: Celery | None = None, **entry: Any) -> Self:
        """Add the entry if it is new. django-celery-beat would reset it to the code's schedule at
        each start, and undo what an administrator chose."""
        stored = PeriodicTask.objects.filter(name=name).first()
        if stored is None:
            return super().from_entry(name, app=app, **entry)
        stored.task = entry["task"]
        stored.expire_seconds = entry.get("options", {}).get("expire_seconds")
        stored.save()
        return cls(stored, app=app)


class Scheduler(DatabaseScheduler):
    Entry = Entry
