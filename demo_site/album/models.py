"""Albums and their pictures.

A row knows the handle of the last job that works for it; how far that job is stands in the job's own row and is asked
through REST. The files lie under MEDIA_ROOT in a folder an album, under names of our own making: what an uploaded
file was called is a title, never a path.
"""

from __future__ import annotations

import uuid
from pathlib import PurePath

from django.conf import settings
from django.db import models
from django.urls import reverse

#: A job's handle is shorter than 64 bytes.
HANDLE_LENGTH = 64
#: Characters: what fits on a card of the page.
TITLE_LENGTH = 120


def original_path(picture: Picture, filename: str) -> str:
    """Return where the uploaded file of `picture` is kept."""
    suffix = PurePath(filename).suffix.lower()
    return f"albums/{picture.album_id}/{uuid.uuid4().hex}{suffix}"


def thumbnail_path(picture: Picture, _filename: str) -> str:
    """Return where the thumbnail of `picture` is kept: a new name each time, so that no browser shows an old one."""
    return f"albums/{picture.album_id}/{uuid.uuid4().hex}-thumbnail.jpg"


def contact_sheet_path(album: Album, _filename: str) -> str:
    """Return where the contact sheet of `album` is kept: a new name each time, as for thumbnails."""
    return f"albums/{album.pk}/{uuid.uuid4().hex}-contact-sheet.jpg"


class Album(models.Model):
    """Pictures that belong together, and the contact sheet of them all."""

    title = models.CharField(max_length=80)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="albums")
    created_at = models.DateTimeField(auto_now_add=True)
    contact_sheet = models.FileField(upload_to=contact_sheet_path, blank=True)
    contact_sheet_job = models.CharField("handle of the contact sheet's job", max_length=HANDLE_LENGTH, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Return the address of the album's page."""
        return reverse("album_page", args=[self.pk])

    @property
    def contact_sheet_url(self) -> str:
        """Address of the contact sheet: another one whenever the sheet was made anew."""
        return f"{reverse('contact_sheet', args=[self.pk])}?v={_edition(self.contact_sheet.name)}"


class Picture(models.Model):
    """One photograph: what was uploaded, and the thumbnail a job made of it."""

    album = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="pictures")
    title = models.CharField(max_length=TITLE_LENGTH)
    credit = models.CharField(max_length=200, blank=True)
    original = models.FileField(upload_to=original_path)
    thumbnail = models.FileField(upload_to=thumbnail_path, blank=True)
    thumbnail_job = models.CharField("handle of the thumbnail's job", max_length=HANDLE_LENGTH, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.title

    @property
    def thumbnail_url(self) -> str:
        """Address of the thumbnail: another one whenever the thumbnail was made anew."""
        return f"{reverse('thumbnail', args=[self.pk])}?v={_edition(self.thumbnail.name)}"


def _edition(name: str | None) -> str:
    """Return what tells the file `name` from the one it replaced: the beginning of its random name."""
    return PurePath(name or "").name[:8]
