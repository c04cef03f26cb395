"""What may be uploaded as a proof of payment, and how it is made harmless.

Extension, magic number and decoder must agree. Images are decoded and encoded anew, so that
metadata and anything appended to them is gone; a PDF is opened by PDFium, which must be able
to draw its first page, in a process of its own with limits on time and memory (``draw_pdf``).
Sizes are capped before anything is decoded (promises 11 to 13).
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage.base import Storage
from django.db import InterfaceError, OperationalError, transaction
from PIL import Image, ImageOps

from audit.errors import Unavailable
from payments import draw_pdf
from payments.errors import FileRefused, FileTooLarge
from payments.models import Proof
from payments.models.proof import proof_storage, random_name

TYPES = {
    "jpg": Proof.ContentType.JPEG,
    "jpeg": Proof.ContentType.JPEG,
    "png": Proof.ContentType.PNG,
    "webp": Proof.ContentType.WEBP,
    "pdf": Proof.ContentType.PDF,
}
FORMATS = {
    "JPEG": Proof.ContentType.JPEG,
    "PNG": Proof.ContentType.PNG,
    "WEBP": Proof.ContentType.WEBP,
}
PREVIEW_PIXELS = 1600
DRAWER = Path(draw_pdf.__file__)
DRAW_SECONDS = 8  # of computing; an ordinary PDF takes a tenth of one
DRAW_PATIENCE = 2  # times as long on the clock, for a busy machine
DRAW_AT_ONCE = 2  # processes of ours, so that uploads cannot fill the machine
DRAW_WAIT_SECONDS = 5  # for one of them to become free
GRACE_SECONDS = 3600  # no upload takes that long, so what has no row by then will have none
UNREADABLE = "The image cannot be read; it may be damaged."
TOO_SLOW = "The PDF takes too long to show."
NAMES_AT_ONCE = 1000  # in one query

log = logging.getLogger(__name__)

_drawing = threading.BoundedSemaphore(DRAW_AT_ONCE)


@dataclass(frozen=True, slots=True)
class CleanFile:
    """An upload that was examined; ``content`` is what is stored."""

    content: bytes
    content_type: str
    original_name: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def examine(content: bytes, name: str) -> CleanFile:
    """Check an upload and make it harmless.

    Raises:
        FileTooLarge: more than ``settings.PROOF_MAX_BYTES``.
        FileRefused: not a JPEG, PNG, WebP or PDF that its name, its first bytes and its
            decoder agree on; too many pixels or pages; encrypted; too slow to draw.
        Unavailable: it cannot be looked at now, and perhaps later.
    """
    if len(content) > settings.PROOF_MAX_BYTES:
        raise FileTooLarge(
            f"At most {settings.PROOF_MAX_BYTES // 1024 // 1024} MB can be uploaded."
        )
    if not content:
        raise FileRefused("The file is empty.")
    expected = TYPES.get(PurePath(name).suffix.lower().removeprefix("."))
    if expected is None:
        raise FileRefused("Upload a JPEG, PNG, WebP or PDF file.")
    if _magic(content) != expected:
        raise FileRefused(f"The file is not what its name says: {expected.label}.")
    if expected == Proof.ContentType.PDF:
        _drawn(content, 64, most_pages=settings.PROOF_MAX_PAGES)
    else:
        content = _encode_anew(content, expected)
    return CleanFile(content, expected, _safe_name(name))


def _magic(content: bytes) -> str | None:
    """The type the first bytes claim (the four signatures of the formats' own documents)."""
    if content.startswith(b"\xff\xd8\xff"):
        return Proof.ContentType.JPEG
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return Proof.ContentType.PNG
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return Proof.ContentType.WEBP
    if content.startswith(b"%PDF-"):
        return Proof.ContentType.PDF
    return None


def _encode_anew(content: bytes, expected: str) -> bytes:
    """Whatever a decoder raises: Pillow's raise anything at all for malformed files."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _encode(_decode(content, expected), expected)
    except (FileRefused, Unavailable):
        raise
    except MemoryError as error:
        raise Unavailable("There is not enough memory to look at the file.") from error
    except Exception as error:
        raise FileRefused(UNREADABLE) from error


def _decode(content: bytes, expected: str) -> Image.Image:
    image: Image.Image = Image.open(io.BytesIO(content), formats=list(FORMATS))
    width, height = image.size
    if width * height > settings.PROOF_MAX_PIXELS:
        raise FileRefused(f"The image has {width} × {height} pixels; take a smaller picture.")
    if FORMATS.get(image.format or "") != expected:
        raise FileRefused(UNREADABLE)
    image.load()
    return ImageOps.exif_transpose(image)


def _encode(image: Image.Image, expected: str) -> bytes:
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    plain = image.convert("RGBA" if has_alpha and expected != Proof.ContentType.JPEG else "RGB")
    clean = Image.new(plain.mode, plain.size)
    clean.paste(plain)
    out = io.BytesIO()
    if expected == Proof.ContentType.PNG:
        clean.save(out, "PNG")
    elif expected == Proof.ContentType.WEBP:
        clean.save(out, "WEBP", quality=90)
    else:
        clean.save(out, "JPEG", quality=90)
    return out.getvalue()


def preview(content: bytes) -> bytes:
    """The first page of a PDF as a PNG, for the page where staff review it.

    Raises:
        FileRefused: it cannot be drawn, or not in ``DRAW_SECONDS``.
        Unavailable: too many are being drawn already.
    """
    return _drawn(content, PREVIEW_PIXELS, most_pages=sys.maxsize)


def _drawn(content: bytes, pixels: int, *, most_pages: int) -> bytes:
    if not _drawing.acquire(timeout=DRAW_WAIT_SECONDS):
        raise Unavailable("Too many PDFs are being looked at. Try again in a minute.")
    try:
        arguments = [str(n) for n in (pixels, most_pages, DRAW_SECONDS)]
        done = subprocess.run(  # noqa: S603  our own file, and three numbers
            [sys.executable, "-I", "-B", str(DRAWER), *arguments],
            input=content,
            capture_output=True,
            timeout=DRAW_SECONDS * DRAW_PATIENCE,
            env={k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"},  # no secrets
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FileRefused(TOO_SLOW) from error
    except OSError as error:
        raise Unavailable("PDFs cannot be looked at at the moment.") from error
    finally:
        _drawing.release()
    match done.returncode:
        case 0:
            return done.stdout
        case draw_pdf.Refusal.CLOSED:
            raise FileRefused("The PDF cannot be opened; it may be damaged or protected.")
        case draw_pdf.Refusal.PAGES:
            raise FileRefused(f"A PDF has between 1 and {most_pages} pages.")
        case code if code in (-signal.SIGXCPU, -signal.SIGKILL):
            raise FileRefused(TOO_SLOW)
        case code if code < 0 or code == draw_pdf.Refusal.DAMAGED:
            raise FileRefused("The PDF cannot be shown; it may be damaged.")
    log.error("drawing a PDF failed: %s", done.stderr.decode(errors="replace")[-2000:])
    raise Unavailable("PDFs cannot be looked at at the moment.")


def _safe_name(name: str) -> str:
    plain = "".join(c for c in PurePath(name.replace("\\", "/")).name if c.isprintable())
    return plain[-200:] or "proof"


class StoredFile:
    """A file in private storage that stays only if the transaction that names it commits."""

    def __init__(self, clean: CleanFile) -> None:
        self.clean = clean
        self.name = ""
        self._named = False
        self._kept = False

    def keep_on_commit(self) -> None:
        """Call last in the transaction that writes the row of this file."""
        self._named = True
        transaction.on_commit(self._keep)

    def _keep(self) -> None:
        self._kept = True


@contextmanager
def stored(clean: CleanFile) -> Iterator[StoredFile]:
    """Store a file for as long as the block lasts, and for good if its row was committed.

    If the database went away after the row was written, or the process was told to exit, whether
    it was committed is unknown: the file is left, and the hourly sweep removes it if no row names
    it (``services.proofs.remove_orphans``). What fails after the commit leaves the file alone.

    Raises:
        Unavailable: the storage does not take it. Nothing is left of it.
    """
    file = StoredFile(clean)
    storage = proof_storage()
    name = random_name(Proof(content_type=clean.content_type), clean.original_name)
    try:
        file.name = storage.save(name, ContentFile(clean.content))
    except OSError as error:
        _discard(storage, name)
        raise Unavailable("The file cannot be stored at the moment.") from error
    try:
        yield file
    except (OperationalError, InterfaceError):
        if not file._named:
            _discard(storage, file.name)
        raise
    except Exception:
        if not file._kept:
            _discard(storage, file.name)
        raise
    except BaseException:  # an exit can come between the commit and its callback
        if not file._named:
            _discard(storage, file.name)
        raise
    if not file._kept:
        _discard(storage, file.name)


def _discard(storage: Storage, name: str) -> None:
    """Delete a file that nothing names; if that fails too, the sweep does it."""
    with suppress(OSError):
        storage.delete(name)


def orphans(*, older_than_seconds: int = GRACE_SECONDS) -> list[str]:
    """Names of stored files that no proof names, left by a process that died on the way."""
    root = Path(proof_storage().path(""))
    if not root.exists():
        return []
    latest = time.time() - older_than_seconds
    names = (str(p.relative_to(root)) for p in root.rglob("*") if _is_file_before(p, latest))
    found: list[str] = []
    while some := set(islice(names, NAMES_AT_ONCE)):
        found += some.difference(Proof.objects.filter(file__in=some).values_list("file", flat=True))
    return sorted(found)


def _is_file_before(path: Path, latest: float) -> bool:
    try:
        return path.is_file() and path.stat().st_mtime <= latest
    except FileNotFoundError:  # another sweep was faster
        return False
