"""The queue dashboard, with job servers that are up and down."""

from __future__ import annotations

import re
import socket
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from gearjobs.admin.job_cells import duration_text
from gearjobs.admin.live_servers import ask_servers
from tests.support.fake_job_server import run_fake_job_server
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

QUEUES = "/admin/gearjobs/job/queues/"


@pytest.fixture
def fake(settings):
    with run_fake_job_server() as server:
        settings.GEARJOBS = {"SERVERS": [server.address]}
        yield server


@pytest.fixture
def dead_address():
    """An address at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def get_queues(make_user, login):
    client = login(make_user("viewer", "view_job", is_staff=True))

    def get():
        response = client.get(QUEUES)
        assert response.status_code == 200
        return response.content.decode()

    return get


def row_of(page: str, name: str) -> list[str]:
    """Return the texts of the cells of the table row that begins with a name."""
    for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL):
        cells = [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)]
        if cells and cells[0] == name:
            return cells
    raise AssertionError(f"no row begins with {name!r}")


def test_functions_are_shown_with_their_lanes_and_workers(fake, get_queues):
    fake.add_function(b"resize", (2, 5, 1), running=3, workers=4)
    fake.add_function(b"rotate", (0, 0, 0), workers=1)

    page = get_queues()

    assert row_of(page, "resize") == ["resize", "8", "2", "5", "1", "3", "4"]
    assert row_of(page, "rotate") == ["rotate", "0", "0", "0", "0", "0", "1"]
    assert 'href="/admin/gearjobs/job/?function=resize"' in page


def test_function_whose_jobs_nobody_can_do_stands_out(fake, get_queues):
    fake.add_function(b"resize", (0, 1, 0))

    page = get_queues()

    assert row_of(page, "resize no worker")[1] == "1"
    assert "Jobs of resize wait and no worker can do it." in page


def test_workers_are_shown_with_what_they_can_do(fake, get_queues):
    fake.add_worker(b"host:17", b"rotate", b"resize")

    page = get_queues()

    assert row_of(page, "host:17") == ["host:17", "10.0.0.7", "resize, rotate"]


def test_server_that_is_up_tells_its_version(fake, get_queues):
    fake.add_worker(b"host:17", b"resize")

    assert row_of(get_queues(), fake.address) == [fake.address, "up", "0.1.0", "1"]


def test_server_that_is_down_is_said_to_be(get_queues, dead_address, settings):
    settings.GEARJOBS = {"SERVERS": [dead_address]}

    page = get_queues()

    assert row_of(page, dead_address)[1].startswith("down")
    assert f"Job server {dead_address} does not answer." in page
    assert page.count("No job server answers.") == 2


def test_servers_that_are_up_are_shown_beside_those_that_are_down(fake, get_queues, dead_address, settings):
    fake.add_function(b"resize", (0, 1, 0), workers=1)
    settings.GEARJOBS = {"SERVERS": [dead_address, fake.address]}

    page = get_queues()

    assert row_of(page, "resize")[1] == "1"
    assert row_of(page, dead_address)[1].startswith("down")
    assert row_of(page, fake.address)[1] == "up"


def test_functions_of_several_servers_are_added_up(fake, get_queues, settings):
    with run_fake_job_server() as other:
        fake.add_function(b"resize", (1, 2, 3), running=1, workers=1)
        other.add_function(b"resize", (1, 0, 0), running=2, workers=1)
        other.add_worker(b"host:18", b"resize")
        settings.GEARJOBS = {"SERVERS": [fake.address, other.address]}

        page = get_queues()

    assert row_of(page, "resize") == ["resize", "7", "2", "2", "3", "3", "2"]
    assert row_of(page, "host:18")[2] == other.address


def test_silent_servers_cost_their_time_out_once(fake):
    fake.answer = lambda line: None
    before = time.monotonic()

    servers = ask_servers([fake.address] * 8, timeout_s=0.3)

    assert time.monotonic() - before < 1.5
    assert not any(server.is_up for server in servers)


def test_server_that_talks_nonsense_is_down(fake):
    fake.answer = lambda line: b"what?\nwhat?\n.\n"

    (server,) = ask_servers([fake.address], timeout_s=1.0)

    assert not server.is_up


def test_hostile_names_are_text(fake, get_queues):
    hostile = b'"><script>alert(1)</script>\n.\n'
    fake.add_function(hostile, (0, 1, 0))
    fake.add_worker(hostile.replace(b" ", b""), hostile)
    fake.version = "<script>alert(1)</script>"

    page = get_queues()

    assert "<script>alert" not in page
    assert r"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\x0a.\x0a" in page


def test_empty_server_says_what_is_missing(fake, get_queues):
    page = get_queues()

    assert "The job servers know no function yet" in page
    assert "manage.py runworkers" in page


def test_figures_of_the_table(fake, get_queues):
    make_job("failed")
    make_job("succeeded")
    make_job("waiting", enqueued_at=timezone.now() - timedelta(minutes=3))
    make_job("waiting", owner="")

    page = get_queues()

    assert re.search(r"Failed in the last hour.*?>1</a>\s*<small>of 2 that ended", page, re.DOTALL)
    assert re.search(r"Oldest waits</dt><dd>3 min [01] s</dd>", page)
    assert "1 job in the table waits for a job server to take it." in page


def test_long_tables_are_cut_and_say_so(fake, get_queues):
    for number in range(305):
        fake.add_function(b"f%03d" % number, (0, 0, 0))

    page = get_queues()

    assert "f299" in page
    assert "f300" not in page
    assert "and 5 more" in page


def test_region_is_refreshed_as_often_as_the_settings_say(fake, get_queues, settings):
    settings.GEARJOBS = {"SERVERS": [fake.address], "ADMIN": {"REFRESH_S": 1.5}}

    assert 'data-refresh-ms="1500"' in get_queues()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0123, "12 ms"),
        (2.345, "2.3 s"),
        (59.96, "59.9 s"),
        (75, "1 min 15 s"),
        (7_300, "2 h 1 min"),
        (200_000, "2 d 7 h"),
        (-1, "0 ms"),
    ],
)
def test_durations_are_told_in_two_units(seconds, words):
    assert duration_text(timedelta(seconds=seconds)) == words
