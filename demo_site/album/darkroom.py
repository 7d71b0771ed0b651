"""Pictures in, smaller pictures out: the work of the album's jobs, by Pillow.

Nothing here knows of Django, files or jobs: bytes come in, JPEG bytes go out, and the caller is told each step before
it begins. The steps of a thumbnail are real ones; the sizes on the way down are also what keeps fine patterns from
flickering in the result.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

#: What Pillow may try to read an upload as: the formats browsers show.
FORMATS: Final = ("JPEG", "PNG", "WEBP")
#: Sides of the box a thumbnail fits into, in pixels: a card of the page.
THUMBNAIL_BOX: Final = (480, 360)

_RESIZE_STEPS: Final = 4
_JPEG_QUALITY: Final = 86

_SHEET_COLUMNS: Final = 3
_FRAME: Final = (400, 300)
#: Where a picture that is too high is cut: rather its feet than its head.
_CENTERING: Final = (0.5, 0.3)
_MARGIN: Final = 28
_CAPTION_HEIGHT: Final = 40
_HEADING_HEIGHT: Final = 84
_PAPER: Final = (250, 249, 246)
_INK: Final = (38, 36, 33)
_FAINT_INK: Final = (120, 116, 108)

#: Called before each step with its number from 0, the number of steps, and what it does.
Tell = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A finished JPEG."""

    jpeg: bytes
    #: Pixels.
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a contact sheet."""

    jpeg: bytes
    caption: str


def draw_thumbnail(original: bytes, tell: Tell) -> Drawing:
    """Return a sharpened copy of `original` that fits into THUMBNAIL_BOX.

    Raises:
        OSError: `original` is no picture in one of FORMATS, or is damaged.
    """
    steps = _RESIZE_STEPS + 3
    tell(0, steps, "decoding")
    image = _decode(original)
    for number, size in enumerate(_sizes_down(image.size), start=1):
        tell(number, steps, f"resizing to {size[0]} × {size[1]}")
        image = image.resize(size, Image.Resampling.LANCZOS)
    tell(steps - 2, steps, "sharpening")
    image = image.filter(ImageFilter.UnsharpMask(radius=1.2, percent=60, threshold=2))
    tell(steps - 1, steps, "saving")
    return _encode(image)


def draw_contact_sheet(title: str, frames: Sequence[Frame], tell: Tell) -> Drawing:
    """Return one sheet with the heading `title` and every frame with its caption below, three in a row."""
    steps = len(frames) + 1
    rows = -(-len(frames) // _SHEET_COLUMNS)
    width = _MARGIN + _SHEET_COLUMNS * (_FRAME[0] + _MARGIN)
    height = _HEADING_HEIGHT + rows * (_FRAME[1] + _CAPTION_HEIGHT + _MARGIN)
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _HEADING_HEIGHT // 2), title, fill=_INK, font=ImageFont.load_default(34), anchor="lm")
    for place, frame in enumerate(frames):
        tell(place, steps, f"placing {frame.caption}")
        row, column = divmod(place, _SHEET_COLUMNS)
        left = _MARGIN + column * (_FRAME[0] + _MARGIN)
        top = _HEADING_HEIGHT + row * (_FRAME[1] + _CAPTION_HEIGHT + _MARGIN)
        photograph = ImageOps.fit(_decode(frame.jpeg), _FRAME, Image.Resampling.LANCZOS, centering=_CENTERING)
        sheet.paste(photograph, (left, top))
        caption = _cut_to_width(frame.caption, pen)
        pen.text((left, top + _FRAME[1] + 10), caption, fill=_FAINT_INK, font=ImageFont.load_default(20))
    tell(steps - 1, steps, "saving")
    return _encode(sheet)


def _decode(body: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(body), formats=FORMATS)
    upright = ImageOps.exif_transpose(image)
    if "A" not in upright.getbands() and "transparency" not in upright.info:
        return upright.convert("RGB")
    paper = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(paper, upright.convert("RGBA")).convert("RGB")


def _sizes_down(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sizes on the way from `size` to the thumbnail's, in equal ratios; a small picture keeps its size."""
    ratio = min(1.0, THUMBNAIL_BOX[0] / size[0], THUMBNAIL_BOX[1] / size[1])
    ratios = [ratio ** (step / _RESIZE_STEPS) for step in range(1, _RESIZE_STEPS + 1)]
    return [(max(1, round(size[0] * part)), max(1, round(size[1] * part))) for part in ratios]


def _encode(image: Image.Image) -> Drawing:
    body = io.BytesIO()
    image.save(body, "JPEG", quality=_JPEG_QUALITY, optimize=True, progressive=True)
    return Drawing(body.getvalue(), *image.size)


def _cut_to_width(caption: str, pen: ImageDraw.ImageDraw) -> str:
    font = ImageFont.load_default(20)
    if pen.textlength(caption, font=font) <= _FRAME[0]:
        return caption
    while caption and pen.textlength(caption + "…", font=font) > _FRAME[0]:
        caption = caption[:-1].rstrip()
    return caption + "…"
