"""Forms that show what they would do before they do it (B2, F3).

The page carries a mark of what was seen and of what was typed. Whoever changes either in between
looks at it again; nothing else is done than what was shown. Only where slots follow in parts, those
who book while they do so keep their slots as well (decision 30).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from audit.errors import DomainError
from bookings.admin.base import refusal, typed
from bookings.errors import PlanChanged
from bookings.services.regenerating import Preview

LOOK, DO = "preview", "apply"


@dataclass
class Outcome:
    """How far it came.

    Attributes:
        done: what the service returned; None if nothing was done.
        preview: what would be done, to be shown.
        seen: the mark to put on the page with the preview.
        notice: why it is shown again.
        error: why it was refused, and for which field.
    """

    done: Any = None
    preview: Preview | None = None
    seen: str = ""
    notice: str = ""
    error: str = ""
    field: str | None = None


def take(
    request: HttpRequest,
    *,
    facts: Any,
    look: Callable[[], Preview],
    do: Callable[[str], Any],
    missing: Callable[[Preview], str] = lambda preview: "",
) -> Outcome:
    """Look at a change, or make it if this is what was looked at; the form is valid.

    Args:
        facts: what was typed; what its ``repr`` says is the same is the same.
        look: calls the service that previews.
        do: calls the service that does it, with what was seen.
        missing: what must still be answered before this can be done, or nothing.
    """
    mark = hashlib.sha256(repr(facts).encode()).hexdigest()
    outcome = Outcome()
    try:
        if request.POST.get("step") == DO:
            _do(request, outcome, mark, look, do, missing)
        if outcome.done is None and outcome.preview is None:
            outcome.preview = look()
    except ValidationError as error:  # a model's own rule that no field of the form tells
        outcome.error = " ".join(error.messages)
    except (DomainError, DatabaseError) as error:
        words = refusal(error)
        if words is None:
            raise
        outcome.error = words
        outcome.field = next(iter(getattr(error, "extra", {}).get("errors", {})), None)
    if outcome.preview is not None:
        outcome.seen = f"{outcome.preview.seen}.{mark}"
    return outcome


def _do(
    request: HttpRequest,
    outcome: Outcome,
    mark: str,
    look: Callable[[], Preview],
    do: Callable[[str], Any],
    missing: Callable[[Preview], str],
) -> None:
    seen, _dot, known = typed(request.POST, "seen").partition(".")
    if known != mark:
        outcome.notice = _("You changed the form since you looked: this is what it does now.")
        return
    previewed = look()
    outcome.error = missing(previewed)
    if outcome.error:
        outcome.preview = previewed
        return
    try:
        outcome.done = do(seen)
    except PlanChanged as error:
        outcome.notice = error.detail


def put_error(form: Any, outcome: Outcome) -> None:
    """Say on the form what was refused."""
    if outcome.error:
        form.add_error(outcome.field if outcome.field in form.fields else None, outcome.error)
