"""The album application of the demo site."""

from __future__ import annotations

from django.apps import AppConfig


class AlbumConfig(AppConfig):
    """Albums of photographs whose thumbnails and contact sheets are made by jobs."""

    name = "demo_site.album"
    label = "album"
    verbose_name = "Photograph albums"
