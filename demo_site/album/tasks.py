"""The album's tasks: one job makes a picture's thumbnail, and the last of them orders the contact sheet.

The tasks read and write the album's rows and files; how a picture is drawn is in `darkroom`. A job may run twice (its
worker was lost after the work was done): both tasks then simply do the work again and replace what they made.
"""

from __future__ import annotations

import time
from typing import Final

from django.core.files.base import ContentFile
from django.db import transaction

from demo_site.album import darkroom
from demo_site.album.models import Album, Picture
from gearjobs import GearContext, gear_task, submitted_by

#: Seconds each step lasts at least: Pillow is done before an eye, or a page that asks twice a second, sees a bar move.
STEP_PAUSE_S: Final = 0.2


@gear_task(takes_context=True)
def make_thumbnail(context: GearContext, picture_id: int) -> dict[str, object]:
    """Draw the thumbnail of a picture; order the contact sheet when the album has no other picture to wait for."""
    picture = Picture.objects.select_related("album").get(pk=picture_id)
    with picture.original.open("rb") as original:
        drawing = darkroom.draw_thumbnail(original.read(), _telling(context))
    old_name = picture.thumbnail.name
    picture.thumbnail.save("thumbnail.jpg", ContentFile(drawing.jpeg), save=False)
    with transaction.atomic():
        # The album's row is the lock: of two pictures finished at once, the second sees the first.
        album = Album.objects.select_for_update().get(pk=picture.album_id)
        picture.save(update_fields=["thumbnail"])
        sheet_job = _order_contact_sheet(album)
    if old_name:
        picture.thumbnail.storage.delete(old_name)
    return {
        "image": picture.thumbnail_url,
        "width": drawing.width,
        "height": drawing.height,
        "image_bytes": len(drawing.jpeg),
        "contact_sheet_job": sheet_job,
    }


@gear_task(takes_context=True)
def make_contact_sheet(context: GearContext, album_id: int) -> dict[str, object]:
    """Draw the sheet of all thumbnails of an album."""
    album = Album.objects.get(pk=album_id)
    frames = []
    for picture in album.pictures.exclude(thumbnail=""):
        with picture.thumbnail.open("rb") as thumbnail:
            frames.append(darkroom.Frame(thumbnail.read(), picture.title))
    drawing = darkroom.draw_contact_sheet(album.title, frames, _telling(context))
    old_name = album.contact_sheet.name
    album.contact_sheet.save("contact-sheet.jpg", ContentFile(drawing.jpeg), save=False)
    album.save(update_fields=["contact_sheet"])
    if old_name:
        album.contact_sheet.storage.delete(old_name)
    return {
        "image": album.contact_sheet_url,
        "width": drawing.width,
        "height": drawing.height,
        "image_bytes": len(drawing.jpeg),
        "pictures": len(frames),
    }


def _order_contact_sheet(album: Album) -> str:
    """Enqueue the contact sheet if every picture has its thumbnail; return the job's handle, or the empty string.

    Called in the transaction that holds the album's row: the order is kept if, and only if, the thumbnail is.
    """
    if album.pictures.filter(thumbnail="").exists():
        return ""
    with submitted_by(str(album.owner_id)):
        album.contact_sheet_job = make_contact_sheet.enqueue(album.pk).id
    album.save(update_fields=["contact_sheet_job"])
    return album.contact_sheet_job


def _telling(context: GearContext) -> darkroom.Tell:
    def tell(step: int, steps: int, words: str) -> None:
        context.progress(step, steps, words)
        time.sleep(STEP_PAUSE_S)

    return tell
