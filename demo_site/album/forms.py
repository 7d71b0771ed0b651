"""What a person may upload: some pictures at once, each of them truly a picture and of bearable size.

Every refused file is named with the reason, so that one look is enough to know what to leave out. Whether a file is
sound to its last byte is found out by its job; here only its beginning is read, and its size in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from PIL import Image, UnidentifiedImageError

from demo_site.album.darkroom import FORMATS
from demo_site.album.models import TITLE_LENGTH, Album

#: Files of one upload.
UPLOAD_LIMIT_FILES: Final = 12
#: Pictures of an album: what one contact sheet can show.
ALBUM_LIMIT_PICTURES: Final = 48
#: Bytes of a file: what a camera's JPEG takes.
FILE_LIMIT_BYTES: Final = 15 * 1024 * 1024
#: Pixels of a picture: a worker needs some 10 bytes of memory for each.
PICTURE_LIMIT_PIXELS: Final = 50_000_000


class PicturesInput(forms.ClearableFileInput):
    """A file chooser that takes several files."""

    allow_multiple_selected = True


class PicturesField(forms.FileField):
    """Several uploaded pictures, each checked by itself."""

    widget = PicturesInput(attrs={"accept": "image/jpeg,image/png,image/webp"})

    def clean(self, data: object, initial: object = None) -> list[UploadedFile[bytes]]:
        """Return the files of the upload.

        Raises:
            ValidationError: none or too many were chosen, or some cannot be taken: one sentence a file.
        """
        files = [data] if isinstance(data, UploadedFile) else list(data) if isinstance(data, Sequence) else []
        if not files:
            if self.required:
                raise ValidationError("Choose at least one picture.", code="required")
            return []
        if len(files) > UPLOAD_LIMIT_FILES:
            message = f"You chose {len(files)} files: at most {UPLOAD_LIMIT_FILES} can be uploaded at once."
            raise ValidationError(message, code="too_many")
        complaints = [complaint for file in files if (complaint := complaint_about(file))]
        if complaints:
            raise ValidationError(complaints)
        return files


def complaint_about(file: UploadedFile[bytes]) -> str:
    """Return the sentence that says why `file` cannot be taken, or the empty string."""
    name = f"“{file.name}”"
    if not file.size:
        return f"{name} is empty."
    if file.size > FILE_LIMIT_BYTES:
        return f"{name} has {file.size / 2**20:.1f} MB: at most {FILE_LIMIT_BYTES // 2**20} MB can be uploaded."
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
    except UnidentifiedImageError:
        return f"{name} is not a picture we can read: choose a JPEG, PNG or WebP file."
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"{name} is too large: at most {PICTURE_LIMIT_PIXELS // 1_000_000} megapixels."
    except (OSError, SyntaxError, ValueError):
        return f"{name} is damaged: its first bytes cannot be read as a picture."
    finally:
        file.seek(0)
    if width * height > PICTURE_LIMIT_PIXELS:
        limit = PICTURE_LIMIT_PIXELS // 1_000_000
        return f"{name} has {width} × {height} pixels: at most {limit} megapixels can be worked on."
    return ""


def title_of(file: UploadedFile[bytes]) -> str:
    """Return a readable title made of the uploaded file's name."""
    stem = PurePath(file.name or "").stem.replace("_", " ").replace("-", " ").strip()
    return (stem or "Untitled")[:TITLE_LENGTH]


class AlbumForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A new album with its first pictures."""

    pictures = PicturesField()

    class Meta:
        model = Album
        fields = ["title"]


class UploadForm(forms.Form):
    """More pictures for an album."""

    pictures = PicturesField()

    def __init__(self, *args: object, album: Album, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # handed through
        self._album = album

    def clean_pictures(self) -> list[UploadedFile[bytes]]:
        """Return the files, if the album has room for them."""
        files: list[UploadedFile[bytes]] = self.cleaned_data["pictures"]
        room = ALBUM_LIMIT_PICTURES - self._album.pictures.count()
        if len(files) > room:
            raise ValidationError(f"An album holds {ALBUM_LIMIT_PICTURES} pictures: there is room for {room} more.")
        return files
