"""Which companions `runserver` has, and how they are started; that they work is tried in tests/integration."""

from __future__ import annotations

import sys

import pytest

from gearjobs.management import beside_runserver
from gearjobs.management.beside_runserver import SERVER, WORKERS, command_line, companions, start_beside_runserver


def test_watching_process_keeps_the_server_and_the_serving_one_the_workers():
    argv = ["manage.py", "runserver"]

    assert companions(argv, {}) == [SERVER]
    assert companions(argv, {"RUN_MAIN": "true"}) == [WORKERS]


def test_one_process_keeps_both_without_the_autoreloader():
    assert companions(["manage.py", "runserver", "--noreload"], {}) == [SERVER, WORKERS]


@pytest.mark.parametrize(
    "options",
    [["--settings=site.dev", "--pythonpath=/srv"], ["--settings", "site.dev", "8000", "--pythonpath", "/srv"]],
)
def test_companion_is_of_the_same_project(options):
    runserver = ["/usr/bin/python", "-Wd", "/srv/manage.py", "runserver", *options]

    assert command_line(SERVER, runserver) == [
        "/usr/bin/python",
        "-Wd",
        "/srv/manage.py",
        "runjobserver",
        "--settings=site.dev",
        "--pythonpath=/srv",
    ]


@pytest.mark.parametrize(
    ("argv", "autostart", "debug", "count"),
    [
        (["manage.py", "runserver"], "debug", True, 1),
        (["manage.py", "runserver"], "debug", False, 0),
        (["manage.py", "runserver"], "always", False, 1),
        (["manage.py", "runserver"], "off", True, 0),
        (["manage.py", "runserver", "--help"], "always", True, 0),
        (["manage.py", "migrate"], "always", True, 0),
        (["gunicorn"], "always", True, 0),
    ],
)
def test_only_runserver_has_companions_and_only_when_the_setting_says_so(
    argv, autostart, debug, count, monkeypatch, settings
):
    kept: list[object] = []
    monkeypatch.setattr(beside_runserver, "_keep", kept.append)
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.delenv("RUN_MAIN", raising=False)
    settings.DEBUG = debug
    settings.GEARJOBS = {"SERVER": {"AUTOSTART": autostart}}

    start_beside_runserver()

    assert len(kept) == count
