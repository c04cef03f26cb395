"""Draw the first page of a PDF in a process of its own, which has little and dies soon.

    python -I draw_pdf.py PIXELS MOST_PAGES SECONDS <file.pdf >first-page.png

A PDF of a few kilobytes can ask for minutes of work and gigabytes of memory, and PDFium can be
stopped only together with its process. So ``payments.files`` runs this file as a script. It
imports nothing of Holdfast or Django, and says by its exit code why there is no picture.
"""

from __future__ import annotations

import math
import resource
import sys
from contextlib import suppress
from enum import IntEnum
from typing import Any

MOST_MEMORY = 1536 * 1024 * 1024  # address space in bytes, most of it for the decoded pictures


class Refusal(IntEnum):
    """Why nothing was drawn. Python itself exits with 1 and 2, so these begin elsewhere."""

    CLOSED = 10  # damaged, or wants a password
    PAGES = 11
    DAMAGED = 12


def main(pixels: int, most_pages: int, seconds: int) -> int:
    """Read a PDF from stdin and write its first page as a PNG to stdout.

    ``pixels`` is the longer side of the picture. Returns 0 or a ``Refusal``; after ``seconds``
    of computing the kernel ends the process.
    """
    _limit(resource.RLIMIT_CPU, seconds)
    _limit(resource.RLIMIT_AS, MOST_MEMORY)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)

    import PIL.Image  # noqa: F401  here, so that a broken installation is not a damaged PDF
    import pypdfium2

    content = sys.stdin.buffer.read()
    try:
        document = pypdfium2.PdfDocument(content)
    except Exception:
        return Refusal.CLOSED
    try:
        if not 1 <= len(document) <= most_pages:
            return Refusal.PAGES
        image = _draw(document[0], pixels)
        image.save(sys.stdout.buffer, "PNG", compress_level=1)
        sys.stdout.buffer.flush()
    except Exception:
        return Refusal.DAMAGED
    return 0


def _limit(kind: int, most: int) -> None:
    """Lower a limit of this process for good; one that is lower already stays."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    with suppress(ValueError, OSError):  # macOS knows no limit of the address space
        resource.setrlimit(kind, (most, most))


def _draw(page: Any, pixels: int) -> Any:
    width, height = page.get_size()
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        raise ValueError("a page without a size")
    scale = pixels / max(width, height, 1)
    drawn = page.render(scale=scale, may_draw_forms=False).to_pil()
    if max(drawn.size) > pixels:  # PDFium rounds up
        drawn = drawn.crop((0, 0, min(drawn.width, pixels), min(drawn.height, pixels)))
    return drawn


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:4])))
