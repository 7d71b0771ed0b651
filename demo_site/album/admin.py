"""Albums and pictures in the Django admin, read mostly: to look up which job worked for which picture."""

from __future__ import annotations

from django.contrib import admin

from demo_site.album.models import Album, Picture


@admin.register(Album)
class AlbumAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """The albums, newest first."""

    list_display = ["title", "owner", "created_at", "contact_sheet_job"]
    list_filter = ["owner"]
    search_fields = ["title", "contact_sheet_job"]


@admin.register(Picture)
class PictureAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """The pictures of all albums."""

    list_display = ["title", "album", "credit", "thumbnail_job"]
    list_select_related = ["album"]
    search_fields = ["title", "thumbnail_job"]
