"""The beat scheduler: the beat table in the database, where administrators may change it."""

from __future__ import annotations

from typing import Any, Self

from celery import Celery
from celery.utils.log import get_logger
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

logger = get_logger(__name__)

FIRST_TICK = "First tick done"


class Entry(ModelEntry):
    @classmethod
    def from_entry(cls, name: str, app: Celery | None = None, **entry: Any) -> Self:
        """Add the entry if it is new. django-celery-beat would reset it to the code's schedule at
        each start, and undo what an administrator chose."""
        stored = PeriodicTask.objects.filter(name=name).first()
        if stored is None:
            new: Self = super().from_entry(name, app=app, **entry)
            return new
        stored.task = entry["task"]
        stored.expire_seconds = entry.get("options", {}).get("expire_seconds")
        stored.save()
        return cls(stored, app=app)


class Scheduler(DatabaseScheduler):
    Entry = Entry
    _ticked = False

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due. The first time is logged: whoever starts beat can wait for that."""
        seconds: float = super().tick(*args, **kwargs)
        if not self._ticked:
            self._ticked = True
            logger.info("%s, the next one in %.1f s", FIRST_TICK, seconds)
        return seconds
