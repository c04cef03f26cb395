"""What may be uploaded as a proof of payment, and how it is made harmless.

Extension, magic number and decoder must agree. Images are decoded and encoded anew, so that
metadata and anything appended to them is gone; a PDF is opened by PDFium, which must be able
to draw its first page. Sizes are capped before anything is decoded (promises 11 to 13).
"""

from __future__ import annotations

import hashlib
import io
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

import pypdfium2
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage.base import Storage
from django.db import InterfaceError, OperationalError, transaction
from PIL import Image, ImageOps, UnidentifiedImageError

from audit.errors import Unavailable
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
GRACE_SECONDS = 3600  # no upload takes that long, so what has no row by then will have none

_pdfium = threading.Lock()  # PDFium is not thread-safe


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
            decoder agree on; too many pixels or pages; encrypted.
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
        _examine_pdf(content)
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
    refused = FileRefused("The image cannot be read; it may be damaged.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(content), formats=list(FORMATS))
            width, height = image.size
            if width * height > settings.PROOF_MAX_PIXELS:
                raise FileRefused(
                    f"The image has {width} × {height} pixels; take a smaller picture."
                )
            if FORMATS.get(image.format or "") != expected:
                raise refused
            image.load()
            image = ImageOps.exif_transpose(image)
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as e:
        raise refused from e
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


def _examine_pdf(content: bytes) -> None:
    with _pdf(content) as document:
        pages = len(document)
        if not 1 <= pages <= settings.PROOF_MAX_PAGES:
            raise FileRefused(f"A PDF has between 1 and {settings.PROOF_MAX_PAGES} pages.")
        _draw(document, 64)


def preview(content: bytes) -> bytes:
    """The first page of a PDF as a PNG, for the page where staff review it."""
    with _pdf(content) as document:
        image = _draw(document, PREVIEW_PIXELS)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@contextmanager
def _pdf(content: bytes) -> Iterator[pypdfium2.PdfDocument]:
    with _pdfium:
        try:
            document = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as error:
            raise FileRefused(
                "The PDF cannot be opened; it may be damaged or protected."
            ) from error
        try:
            yield document
        except pypdfium2.PdfiumError as error:
            raise FileRefused("The PDF cannot be shown; it may be damaged.") from error
        finally:
            document.close()


def _draw(document: pypdfium2.PdfDocument, most_pixels: int) -> Image.Image:
    page = document[0]
    width, height = page.get_size()
    scale = most_pixels / max(width, height, 1)
    drawn: Image.Image = page.render(scale=scale, may_draw_forms=False).to_pil()
    return drawn


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

    If the database went away after the row was written, whether it was committed is unknown: the
    file is left, and the hourly sweep removes it if no row names it
    (``services.proofs.remove_orphans``).

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
    except BaseException:
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
    names = {str(p.relative_to(root)) for p in root.rglob("*") if _is_file_before(p, latest)}
    named = set(Proof.objects.filter(file__in=names).values_list("file", flat=True))
    return sorted(names - named)


def _is_file_before(path: Path, latest: float) -> bool:
    try:
        return path.is_file() and path.stat().st_mtime <= latest
    except FileNotFoundError:  # another sweep was faster
        return False
