"""Draws what customers upload: receipts of bank transfers. The banks are invented."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

BANKS = {
    "Meridian Savings Bank": "#0b5d4e",
    "Alpine Cantonal Bank": "#8a1c2b",
    "Northwind Direct": "#23408e",
}
SIZE = (640, 420)
Format = Literal["png", "jpg", "pdf"]


@dataclass(frozen=True, slots=True)
class Slip:
    """One transfer."""

    bank: str
    payer: str
    payee: str
    amount: Decimal
    currency: str
    reference: str
    paid_at: datetime


def draw(slip: Slip, kind: Format) -> bytes:
    """A receipt as a PNG or JPEG picture, or as a PDF of one page."""
    image = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(image)
    color = BANKS[slip.bank]
    pen.rectangle((0, 0, SIZE[0], 74), fill=color)
    pen.text((28, 22), slip.bank, font=_font(26), fill="white")
    pen.text((28, 92), "Transfer receipt", font=_font(22), fill="#222222")
    lines = [
        ("From", slip.payer),
        ("To", slip.payee),
        ("Reference", slip.reference),
        ("Date", f"{slip.paid_at:%d %B %Y, %H:%M}"),
        ("Status", "Executed"),
    ]
    for row, (label, value) in enumerate(lines):
        y = 136 + 36 * row
        pen.text((28, y), label, font=_font(16), fill="#777777")
        pen.text((180, y), value, font=_font(18), fill="#222222")
        pen.line((28, y + 29, SIZE[0] - 28, y + 29), fill="#e4e4e4")
    pen.text((28, 338), "Amount", font=_font(16), fill="#777777")
    pen.text((180, 326), f"{slip.amount} {slip.currency}", font=_font(32), fill=color)
    pen.rectangle((0, SIZE[1] - 8, SIZE[0], SIZE[1]), fill=color)
    out = io.BytesIO()
    if kind == "jpg":
        image.save(out, "JPEG", quality=85)
    elif kind == "pdf":
        image.save(out, "PDF", resolution=96, title="Transfer receipt")
    else:
        image.save(out, "PNG")
    return out.getvalue()


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
