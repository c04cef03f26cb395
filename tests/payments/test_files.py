"""What may be uploaded, and what is left of it (A3; promises 11 to 14)."""

import io
import os
import random
import stat
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pypdf
import pytest
from PIL import Image

from audit.errors import Unavailable
from payments import draw_pdf, files
from payments.errors import FileRefused, FileTooLarge
from payments.models.proof import proof_storage
from tests import factories as f


def image(kind="JPEG", mode="RGB", size=(40, 30), **kwargs):
    out = io.BytesIO()
    Image.new(mode, size, 128).save(out, kind, **kwargs)
    return out.getvalue()


def pdf(pages=1, password=None):
    writer = pypdf.PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(200, 200)
    if password:
        writer.encrypt(password, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


GOOD = {
    "a.jpg": image("JPEG"),
    "a.JPEG": image("JPEG"),
    "a.png": image("PNG"),
    "a.webp": image("WEBP"),
    "a.pdf": pdf(),
}


@pytest.mark.parametrize("name", GOOD)
def test_pictures_and_pdfs_are_taken(name):
    clean = files.examine(GOOD[name], name)

    assert clean.content_type == files.TYPES[name.rpartition(".")[2].lower()]
    assert len(clean.sha256) == 64
    if not name.endswith("pdf"):
        assert Image.open(io.BytesIO(clean.content)).size == (40, 30)


@pytest.mark.parametrize(
    "name", ["a.gif", "a.svg", "a.html", "a", "a.", ".jpg.exe", "jpg", "", "a.jpg "]
)
def test_other_names_are_refused(name):
    with pytest.raises(FileRefused, match="JPEG, PNG, WebP or PDF"):
        files.examine(image(), name)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.pdf"])
def test_a_name_that_does_not_fit_the_content_is_refused(name):
    with pytest.raises(FileRefused, match="not what its name says"):
        files.examine(image("JPEG"), name)


@pytest.mark.parametrize(
    "content",
    [b"<html><script>alert(1)</script>", b"GIF89a" + b"\0" * 40, b"MZ" + b"\0" * 99, b"\xff\xd8"],
)
def test_content_that_is_something_else_is_refused(content):
    with pytest.raises(FileRefused):
        files.examine(content, "a.jpg")


def test_first_bytes_alone_do_not_make_a_picture():
    for name, magic in [
        ("a.jpg", b"\xff\xd8\xff\xe0"),
        ("a.png", b"\x89PNG\r\n\x1a\n"),
        ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 "),
        ("a.pdf", b"%PDF-1.7\n"),
    ]:
        with pytest.raises(FileRefused):
            files.examine(magic + b"<script>alert(1)</script>", name)


def test_an_empty_file_is_refused():
    with pytest.raises(FileRefused, match="empty"):
        files.examine(b"", "a.jpg")


@pytest.mark.parametrize(
    ("kind", "name"), [("JPEG", "a.jpg"), ("PNG", "a.png"), ("WEBP", "a.webp")]
)
def test_what_is_appended_to_a_picture_is_gone(kind, name):
    polyglot = image(kind) + b"<html><script>alert(1)</script></html>"

    clean = files.examine(polyglot, name)

    assert b"script" not in clean.content
    assert Image.open(io.BytesIO(clean.content)).size == (40, 30)


def test_what_is_hidden_in_comments_and_chunks_is_gone():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("comment", "<script>alert(1)</script>")
    hidden = {
        "a.jpg": image("JPEG", comment=b"<script>alert(1)</script>"),
        "a.png": image("PNG", pnginfo=info),
    }
    for name, content in hidden.items():
        assert b"script" in content
        assert b"script" not in files.examine(content, name).content


def exif(orientation=None):
    data = Image.Exif()
    data[0x010F] = "MaxSecretCamera"
    data[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}  # where it was taken
    if orientation:
        data[0x0112] = orientation
    return data


@pytest.mark.parametrize(
    ("kind", "name"), [("JPEG", "a.jpg"), ("PNG", "a.png"), ("WEBP", "a.webp")]
)
def test_where_and_with_what_a_picture_was_taken_is_gone(kind, name):
    content = image(kind, exif=exif())
    assert b"MaxSecretCamera" in content

    clean = files.examine(content, name).content

    assert b"MaxSecretCamera" not in clean
    assert not Image.open(io.BytesIO(clean)).getexif()


def test_a_colour_profile_is_gone():
    content = image("PNG", icc_profile=b"secret profile" * 20)

    clean = files.examine(content, "a.png").content

    assert "icc_profile" not in Image.open(io.BytesIO(clean)).info


def test_a_picture_that_was_taken_upright_stays_upright():
    clean = files.examine(image(size=(40, 30), exif=exif(orientation=6)), "a.jpg").content

    assert Image.open(io.BytesIO(clean)).size == (30, 40)


# Pictures of all kinds


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "1"])
def test_jpegs_of_every_mode_are_taken(mode):
    content = image("JPEG", mode)

    assert Image.open(io.BytesIO(files.examine(content, "a.jpg").content)).mode == "RGB"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pngs_of_every_mode_are_taken(mode):
    found = Image.open(io.BytesIO(files.examine(image("PNG", mode), "a.png").content))

    assert found.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")


def test_transparency_of_a_palette_is_kept():
    content = image("PNG", "P", transparency=0)

    assert Image.open(io.BytesIO(files.examine(content, "a.png").content)).mode == "RGBA"


@pytest.mark.parametrize(("kind", "name"), [("PNG", "a.png"), ("WEBP", "a.webp")])
def test_of_an_animation_the_first_picture_is_kept(kind, name):
    frames = [Image.new("RGB", (40, 30), c) for c in ("red", "green", "blue")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], lossless=True)
    assert getattr(Image.open(io.BytesIO(out.getvalue())), "n_frames", 1) == 3

    clean = Image.open(io.BytesIO(files.examine(out.getvalue(), name).content))

    assert getattr(clean, "n_frames", 1) == 1
    darkest, brightest = zip(*clean.convert("RGB").getextrema(), strict=True)
    assert darkest[0] > 240  # all of it is red
    assert max(brightest[1:]) < 15


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    ("kind", "name"), [("JPEG", "a.jpg"), ("PNG", "a.png"), ("WEBP", "a.webp")]
)
def test_a_picture_that_was_cut_off_is_refused(kind, name, share):
    out = io.BytesIO()
    Image.effect_noise((120, 90), 80).convert("RGB").save(out, kind)
    content = out.getvalue()

    with pytest.raises(FileRefused):
        files.examine(content[: int(len(content) * share)], name)


@pytest.mark.parametrize(
    ("kind", "name"), [("JPEG", "a.jpg"), ("PNG", "a.png"), ("WEBP", "a.webp")]
)
def test_a_picture_with_flipped_bytes_is_taken_or_refused_and_never_a_crash(kind, name):
    """Decoders raise struct.error, TypeError, AttributeError and more for such files."""
    chance = random.Random(11)
    content = image(kind, exif=exif(orientation=6))
    taken = refused = 0

    for _ in range(400):
        broken = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(12, len(broken))] = chance.randrange(256)
        try:
            clean = files.examine(bytes(broken), name)
        except FileRefused:
            refused += 1
        else:
            taken += 1
            assert Image.open(io.BytesIO(clean.content)).format == kind

    assert refused > 20
    assert taken > 0


@pytest.mark.parametrize(
    "error",
    [
        struct.error("short"),
        TypeError(),
        AttributeError(),
        KeyError(1),
        IndexError(),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("step", ["_decode", "_encode"])
def test_whatever_a_decoder_raises_is_a_refusal(step, error, monkeypatch):
    def broken(*args):
        raise error

    monkeypatch.setattr(files, step, broken)

    with pytest.raises(FileRefused, match="damaged"):
        files.examine(image(), "a.jpg")


def test_too_little_memory_is_not_the_fault_of_the_picture(monkeypatch):
    def full(*args):
        raise MemoryError

    monkeypatch.setattr(files, "_decode", full)

    with pytest.raises(Unavailable, match="memory"):
        files.examine(image(), "a.jpg")


# Bombs


def png_of(width, height):
    """A PNG that says it is huge; a few bytes long."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(13_000, 13_000), (40_001, 1_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(size, monkeypatch):
    from PIL.PngImagePlugin import PngImageFile

    decoded = []
    monkeypatch.setattr(PngImageFile, "load", lambda self: decoded.append(self))

    with pytest.raises(FileRefused):
        files.examine(png_of(*size), "a.png")

    assert decoded == []


def test_the_limit_of_pixels_is_the_setting(settings):
    settings.PROOF_MAX_PIXELS = 40 * 30
    files.examine(image("PNG"), "a.png")

    with pytest.raises(FileRefused, match="41 × 30 pixels"):
        files.examine(image("PNG", size=(41, 30)), "a.png")


def test_a_file_with_too_many_bytes_is_refused_before_anybody_looks_at_it(settings):
    settings.PROOF_MAX_BYTES = 1024 * 1024

    with pytest.raises(FileTooLarge, match="1 MB"):
        files.examine(b"x" * (1024 * 1024 + 1), "a.jpg")


# PDF


def test_a_pdf_stays_as_it_is():
    content = pdf(3)

    assert files.examine(content, "a.pdf").content == content


@pytest.mark.parametrize("pages", [0, 21])
def test_a_pdf_without_pages_or_with_too_many_is_refused(pages):
    with pytest.raises(FileRefused):
        files.examine(pdf(pages), "a.pdf")


def test_a_pdf_with_as_many_pages_as_are_allowed_is_taken():
    files.examine(pdf(20), "a.pdf")


def test_a_pdf_with_a_password_is_refused():
    with pytest.raises(FileRefused, match="protected"):
        files.examine(pdf(password="secret"), "a.pdf")


def test_a_pdf_that_was_cut_off_is_refused_or_can_be_shown():
    content = pdf(3)

    for end in range(20, len(content), 97):
        try:
            clean = files.examine(content[:end], "a.pdf")
        except FileRefused:
            continue
        assert files.preview(clean.content).startswith(b"\x89PNG")


@pytest.mark.parametrize("size", [(200, 200), (5, 14_000), (14_000, 5), (0.001, 14_400)])
def test_a_page_of_any_shape_is_drawn_within_bounds(size):
    writer = pypdf.PdfWriter()
    writer.add_blank_page(*size)
    out = io.BytesIO()
    writer.write(out)

    try:
        clean = files.examine(out.getvalue(), "a.pdf")
    except FileRefused:
        return
    drawn = Image.open(io.BytesIO(files.preview(clean.content)))
    assert max(drawn.size) <= files.PREVIEW_PIXELS


@pytest.mark.parametrize(
    "box",
    [
        "0 0 1e9 1e9",
        "0 0 1e38 1e38",
        "0 0 1e39 1",
        "-1e38 -1e38 1e38 1e38",
        "0 0 0 0",
        "5 5 1 1",
        "0 0 nan 1",
    ],
)
def test_a_page_of_an_absurd_size_is_refused_or_drawn_within_bounds(box):
    try:
        clean = files.examine(pdf_of(b"0 0 m 9 9 l S", box=box), "a.pdf")
    except FileRefused:
        return
    drawn = Image.open(io.BytesIO(files.preview(clean.content)))
    assert max(drawn.size) <= files.PREVIEW_PIXELS


# PDFs that ask for too much: each is drawn in a process with limits


def pdf_of(operators, box="0 0 200 200"):
    """One page that is drawn with these operators, compressed."""
    packed = zlib.compress(operators, 9)
    return b"\n".join(
        [
            b"%PDF-1.7",
            b"1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj",
            b"2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj",
            b"3 0 obj <</Type /Page /Parent 2 0 R /Contents 4 0 R /MediaBox [%s]>> endobj"
            % box.encode(),
            b"4 0 obj <</Filter /FlateDecode /Length %d>> stream" % len(packed),
            packed,
            b"endstream endobj",
            b"trailer <</Root 1 0 R>>",
            b"%%EOF",
        ]
    )


def laborious():
    """A few kilobytes that PDFium works on for half a minute."""
    content = pdf_of(b"0 0 m 200 200 l 3 190 l 99 2 l b\n" * 600_000)
    assert len(content) < 100_000
    return content


@pytest.fixture
def drawer(tmp_path, monkeypatch):
    """Takes the source of a script that is run instead of the one that draws."""

    def use(source):
        script = tmp_path / "drawer.py"
        script.write_text(source)
        monkeypatch.setattr(files, "DRAWER", script)

    return use


def test_a_pdf_that_is_drawn_forever_is_refused_in_time(monkeypatch):
    monkeypatch.setattr(files, "DRAW_SECONDS", 1)
    content = laborious()
    begun = os.times()

    with pytest.raises(FileRefused, match="takes too long"):
        files.examine(content, "a.pdf")
    with pytest.raises(FileRefused, match="takes too long"):
        files.preview(content)

    ended = os.times()
    assert ended.children_user - begun.children_user < 3.5
    assert ended.user - begun.user < 1  # nothing of it is drawn here


def test_a_pdf_that_waits_forever_is_refused_in_time(monkeypatch, drawer):
    """Time on the clock is limited too."""
    monkeypatch.setattr(files, "DRAW_SECONDS", 1)
    monkeypatch.setattr(files, "DRAW_PATIENCE", 0.2)
    drawer("import signal; signal.pause()")

    with pytest.raises(FileRefused, match="takes too long"):
        files.preview(pdf())


@pytest.mark.parametrize("number", ["SIGSEGV", "SIGABRT"])
def test_a_pdf_that_crashes_pdfium_is_refused(number, drawer):
    drawer(f"import os, signal; os.kill(os.getpid(), signal.{number})")

    with pytest.raises(FileRefused, match="damaged"):
        files.preview(pdf())


def test_an_installation_that_cannot_draw_is_not_the_fault_of_the_pdf(drawer, monkeypatch):
    logged = []
    monkeypatch.setattr(files.log, "error", lambda *args: logged.append(args))
    drawer("import this_is_not_installed")

    with pytest.raises(Unavailable):
        files.preview(pdf())

    assert "this_is_not_installed" in str(logged)


def test_a_pdf_cannot_read_our_secrets(drawer, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    drawer("import os; print(dict(os.environ))")

    assert b"secret" not in files.preview(pdf())


def test_the_process_that_draws_has_limits_and_nothing_of_django():
    """Asked of the process itself, after it drew a page."""
    asking = f"""
import resource, runpy, sys
sys.argv[1:] = ["64", "20", "8"]
try:
    runpy.run_path({str(files.DRAWER)!r}, run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
for kind in ("CPU", "AS", "FSIZE", "CORE"):
    print(resource.getrlimit(getattr(resource, "RLIMIT_" + kind)), file=sys.stderr)
print("django" in sys.modules or "payments" in sys.modules, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", asking], input=pdf(), capture_output=True, check=False
    )

    most = draw_pdf.MOST_MEMORY
    assert done.stderr.decode().splitlines() == [
        "(8, 8)",
        f"({most}, {most})",
        "(0, 0)",
        "(0, 0)",
        "False",
    ]
    assert Image.open(io.BytesIO(done.stdout)).size == (64, 64)


def test_while_one_pdf_takes_long_others_are_drawn(monkeypatch):
    content = laborious()
    started = threading.Event()
    processes = []
    refusals = []

    class Watched(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            processes.append(self)
            started.set()

    def draw_for_long():
        try:
            files.preview(content)
        except FileRefused as error:
            refusals.append(error.detail)

    monkeypatch.setattr(files, "DRAW_SECONDS", 60)
    monkeypatch.setattr(subprocess, "Popen", Watched)
    thread = threading.Thread(target=draw_for_long)
    thread.start()
    try:
        assert started.wait(30)

        files.examine(pdf(), "a.pdf")

        assert processes[0].poll() is None
        assert refusals == []
    finally:
        processes[0].kill()
        thread.join(30)
    assert refusals == [files.TOO_SLOW]


def test_only_two_pdfs_are_drawn_at_a_time_and_the_next_is_asked_to_come_back(monkeypatch):
    monkeypatch.setattr(files, "DRAW_WAIT_SECONDS", 0.01)
    for _ in range(2):
        assert files._drawing.acquire(timeout=1)
    try:
        with pytest.raises(Unavailable, match="Try again"):
            files.examine(pdf(), "a.pdf")
    finally:
        files._drawing.release(2)

    files.examine(pdf(), "a.pdf")


def test_a_refused_pdf_gives_its_place_back(monkeypatch):
    monkeypatch.setattr(files, "DRAW_WAIT_SECONDS", 0.01)

    for _ in range(2 * files.DRAW_AT_ONCE):
        with pytest.raises(FileRefused):
            files.preview(b"%PDF-1.7 nothing")


# Names and places


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Überweisung März.png", "Überweisung März.png"),
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\Users\\me\\receipt.png", "receipt.png"),
        ("a\r\nSet-Cookie: x\0.png", "aSet-Cookie: x.png"),
        ("\u202egnp.exe.png", "gnp.exe.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
    ],
)
def test_the_name_that_is_shown_later_is_harmless(name, kept):
    assert files.examine(image("PNG"), name).original_name == kept


def test_the_name_on_disk_says_nothing_and_nobody_else_may_read_it():
    with files.stored(files.examine(f.png(), "my secret.png")) as file:
        path = Path(proof_storage().path(file.name))
        folder, name = file.name.split("/")
        assert name.startswith(folder)
        assert len(Path(name).stem) == 40
        assert path.suffix == ".png"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_same_file_twice_has_two_names():
    clean = files.examine(f.png(), "a.png")
    with files.stored(clean) as one, files.stored(clean) as other:
        assert one.name != other.name
