"""The album's pictures: what comes out of a photograph, and what is told on the way."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from demo_site.album.darkroom import THUMBNAIL_BOX, Frame, draw_contact_sheet, draw_thumbnail
from demo_site.album.sample import PHOTOS_DIR, SAMPLE_PHOTOS

PHOTO_LIMIT_BYTES = 300 * 1024


def test_thumbnail_of_every_sample_photograph_fits_its_box():
    for photo in SAMPLE_PHOTOS:
        drawing = draw_thumbnail((PHOTOS_DIR / photo.filename).read_bytes(), _ignore)

        assert Image.open(io.BytesIO(drawing.jpeg)).size == (drawing.width, drawing.height)
        assert drawing.width <= THUMBNAIL_BOX[0]
        assert drawing.height <= THUMBNAIL_BOX[1]


def test_steps_are_told_in_order_and_before_the_last_one_is_done():
    told = []

    draw_thumbnail(_encoded(Image.new("RGB", (2000, 1000)), "JPEG"), lambda *step: told.append(step))

    assert [number for number, _, _ in told] == list(range(7))
    assert {steps for _, steps, _ in told} == {7}
    assert told[4][2] == "resizing to 480 × 240"


def test_small_picture_is_not_enlarged():
    drawing = draw_thumbnail(_encoded(Image.new("RGB", (50, 20)), "PNG"), _ignore)

    assert (drawing.width, drawing.height) == (50, 20)


def test_transparent_picture_lies_on_white():
    drawing = draw_thumbnail(_encoded(Image.new("RGBA", (40, 40), (0, 0, 0, 0)), "PNG"), _ignore)

    assert Image.open(io.BytesIO(drawing.jpeg)).getpixel((20, 20)) == (255, 255, 255)


def test_picture_is_turned_as_the_camera_was_held():
    body = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turned by a quarter.
    Image.new("RGB", (60, 20)).save(body, "JPEG", exif=exif)

    drawing = draw_thumbnail(body.getvalue(), _ignore)

    assert (drawing.width, drawing.height) == (20, 60)


@pytest.mark.parametrize("cut", [0, 10, 4000])
def test_damaged_picture_is_an_error(cut: int):
    whole = (PHOTOS_DIR / SAMPLE_PHOTOS[0].filename).read_bytes()

    with pytest.raises(OSError):  # Pillow promises no words
        draw_thumbnail(whole[:cut], _ignore)


def test_contact_sheet_grows_by_rows_of_three():
    frames = [Frame(_encoded(Image.new("RGB", (64, 48), "navy"), "JPEG"), f"picture {number}") for number in range(4)]

    three = draw_contact_sheet("Three", frames[:3], _ignore)
    four = draw_contact_sheet("Four", frames, _ignore)

    assert three.width == four.width
    assert three.height < four.height


def test_contact_sheet_shows_the_pictures():
    frame = Frame(_encoded(Image.new("RGB", (64, 48), (10, 200, 30)), "PNG"), "x" * 200)

    drawing = draw_contact_sheet("One", [frame], _ignore)

    colours = Image.open(io.BytesIO(drawing.jpeg)).crop((100, 200, 300, 210)).getcolors() or []
    assert [colour for _, colour in colours] == [pytest.approx((10, 200, 30), abs=4)]


def test_sample_photographs_are_small_and_credited():
    credits_page = (PHOTOS_DIR / "CREDITS.md").read_text(encoding="utf-8")

    for photo in SAMPLE_PHOTOS:
        assert (PHOTOS_DIR / photo.filename).stat().st_size <= PHOTO_LIMIT_BYTES
        assert f"`{photo.filename}`" in credits_page


def _ignore(_step: int, _steps: int, _words: str) -> None:
    pass


def _encoded(image: Image.Image, kind: str) -> bytes:
    body = io.BytesIO()
    image.save(body, kind)
    return body.getvalue()
