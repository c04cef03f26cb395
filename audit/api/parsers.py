"""JSON bodies, with limits on everything."""

from __future__ import annotations

import json
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from audit.api.errors import Malformed, TooLarge


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class JsonParser(BaseParser):
    """One JSON document in UTF-8 of at most ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        """Parse a body.

        Raises:
            TooLarge, Malformed: see there.
        """
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(most + 1)
        if len(raw) > most:
            raise TooLarge(f"A JSON body has at most {most} bytes.")
        try:
            return json.loads(raw.decode(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Malformed("The body is not JSON in UTF-8.") from error
