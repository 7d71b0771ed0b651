"""The addresses of the albums."""

from __future__ import annotations

from django.urls import path

from demo_site.album import views

urlpatterns = [
    path("", views.album_list, name="album_list"),
    path("albums/sample/", views.make_sample_album, name="make_sample_album"),
    path("albums/<int:album_id>/", views.album_page, name="album_page"),
    path("albums/<int:album_id>/delete/", views.delete_album, name="delete_album"),
    path("albums/<int:album_id>/contact-sheet.jpg", views.contact_sheet, name="contact_sheet"),
    path("pictures/<int:picture_id>/thumbnail.jpg", views.thumbnail, name="thumbnail"),
    path("pictures/<int:picture_id>/original", views.original, name="original"),
    path("pictures/<int:picture_id>/retry/", views.retry_thumbnail, name="retry_thumbnail"),
]
