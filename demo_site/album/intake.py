"""Pictures come into an album: their rows, their files and their jobs, all or none.

A picture's row and its job are made in one transaction: when it is rolled back, there is no job without a picture and
no picture without a job. The job servers hear of it when the transaction is committed.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.core.files.base import ContentFile, File
from django.db import transaction

from demo_site.album.models import Album, Picture
from demo_site.album.sample import PHOTOS_DIR, SAMPLE_PHOTOS
from demo_site.album.tasks import make_thumbnail


def add_pictures(album: Album, pictures: Iterable[tuple[Picture, File[bytes]]]) -> None:
    """Keep each picture with its file in `album`, and enqueue the making of its thumbnail."""
    with transaction.atomic():
        for picture, file in pictures:
            picture.album = album
            picture.original.save(file.name or "picture", file, save=True)
            order_thumbnail(picture)


def add_sample_pictures(album: Album) -> None:
    """Put the photographs that come with the demo into `album`."""
    add_pictures(
        album,
        ((Picture(title=photo.title, credit=photo.credit), _photo_file(photo.filename)) for photo in SAMPLE_PHOTOS),
    )


def order_thumbnail(picture: Picture) -> None:
    """Enqueue the making of the picture's thumbnail, and remember the job's handle."""
    picture.thumbnail_job = make_thumbnail.enqueue(picture.pk).id
    picture.save(update_fields=["thumbnail_job"])


def _photo_file(filename: str) -> File[bytes]:
    from_disk = PHOTOS_DIR / filename
    return ContentFile(from_disk.read_bytes(), name=filename)
