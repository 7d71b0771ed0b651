"""The pages of the demo site: a person's albums, one album, and the files of its pictures.

Everybody sees their own albums only; another person's album does not exist (404). A page shows what the rows say when
it is asked for; the bars in it ask REST how far the jobs are.
"""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from demo_site.album.forms import UPLOAD_LIMIT_FILES, AlbumForm, UploadForm, title_of
from demo_site.album.intake import add_pictures, add_sample_pictures, order_thumbnail
from demo_site.album.models import Album, Picture
from demo_site.album.sample import SAMPLE_PHOTOS
from gearjobs.models import Job

#: Seconds a browser may keep a picture's file; its address changes with the file.
FILE_MAX_AGE_S = 3600


@login_required
@require_http_methods(["GET", "POST"])
def album_list(request: HttpRequest) -> HttpResponse:
    """Show the albums; POST makes a new one of the uploaded pictures."""
    form = AlbumForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            album = form.save(commit=False)
            album.owner = _user(request)
            album.save()
            add_pictures(album, [(Picture(title=title_of(file)), file) for file in form.cleaned_data["pictures"]])
        return redirect(album)
    albums = Album.objects.filter(owner=_user(request)).prefetch_related("pictures")
    context = {"albums": albums, "form": form, "samples": SAMPLE_PHOTOS, "upload_limit": UPLOAD_LIMIT_FILES}
    return render(request, "album/album_list.html", context, status=200 if not form.errors else 400)


@login_required
@require_POST
def make_sample_album(request: HttpRequest) -> HttpResponse:
    """Make an album of the photographs that come with the demo."""
    with transaction.atomic():
        album = Album.objects.create(title="Six photographs", owner=_user(request))
        add_sample_pictures(album)
    return redirect(album)


@login_required
@require_http_methods(["GET", "POST"])
def album_page(request: HttpRequest, album_id: int) -> HttpResponse:
    """Show an album; POST adds the uploaded pictures to it."""
    album = get_object_or_404(Album, pk=album_id, owner=_user(request))
    form = UploadForm(request.POST or None, request.FILES or None, album=album)
    if request.method == "POST" and form.is_valid():
        files = form.cleaned_data["pictures"]
        add_pictures(album, [(Picture(title=title_of(file)), file) for file in files])
        messages.success(request, f"{len(files)} more on the way." if len(files) > 1 else "One more on the way.")
        return redirect(album)
    jobs = Job.objects.in_bulk([*album.pictures.values_list("thumbnail_job", flat=True), album.contact_sheet_job])
    # Read after the jobs: what one that is seen as ended has made is seen, too.
    album.refresh_from_db()
    context = {
        "album": album,
        # A job that came meanwhile is known by its handle.
        "pictures": [(one, jobs.get(one.thumbnail_job) or one.thumbnail_job) for one in album.pictures.all()],
        "sheet_job": jobs.get(album.contact_sheet_job) or album.contact_sheet_job,
        "form": form,
        "jobs_url": reverse("gearjobs:job-list"),
        "upload_limit": UPLOAD_LIMIT_FILES,
    }
    return render(request, "album/album_page.html", context, status=200 if not form.errors else 400)


@login_required
@require_POST
def delete_album(request: HttpRequest, album_id: int) -> HttpResponse:
    """Remove an album, its pictures and their files; what their jobs did stays in the jobs' rows."""
    album = get_object_or_404(Album, pk=album_id, owner=_user(request))
    pictures = album.pictures.all()
    files = [
        album.contact_sheet,
        *(picture.original for picture in pictures),
        *(picture.thumbnail for picture in pictures),
    ]
    album.delete()
    for file in files:
        if file.name:
            file.storage.delete(file.name)
    messages.success(request, f"“{album.title}” is gone.")
    return redirect("album_list")


@login_required
@require_POST
def retry_thumbnail(request: HttpRequest, picture_id: int) -> HttpResponse:
    """Enqueue a new job for a picture whose job failed."""
    with transaction.atomic():
        picture = get_object_or_404(Picture.objects.select_related("album"), pk=picture_id, album__owner=_user(request))
        order_thumbnail(picture)
    return redirect(picture.album)


@login_required
@require_GET
@cache_control(private=True, max_age=FILE_MAX_AGE_S)
def thumbnail(request: HttpRequest, picture_id: int) -> FileResponse:
    """Give a picture's thumbnail."""
    return _file(get_object_or_404(Picture, pk=picture_id, album__owner=_user(request)).thumbnail)


@login_required
@require_GET
@cache_control(private=True, max_age=FILE_MAX_AGE_S)
def original(request: HttpRequest, picture_id: int) -> FileResponse:
    """Give a picture as it was uploaded."""
    return _file(get_object_or_404(Picture, pk=picture_id, album__owner=_user(request)).original)


@login_required
@require_GET
@cache_control(private=True, max_age=FILE_MAX_AGE_S)
def contact_sheet(request: HttpRequest, album_id: int) -> FileResponse:
    """Give an album's contact sheet."""
    return _file(get_object_or_404(Album, pk=album_id, owner=_user(request)).contact_sheet)


def _file(file: FieldFile) -> FileResponse:
    if not file:
        raise Http404("this file is not made yet")
    return FileResponse(file.open("rb"))


def _user(request: HttpRequest) -> User:
    """Return who is logged in; `login_required` saw to it that there is somebody."""
    assert isinstance(request.user, User)  # noqa: S101  # narrows the type; the decorator has decided
    return request.user
