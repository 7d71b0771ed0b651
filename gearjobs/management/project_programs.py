"""The programs of `gearjobs.terminal` within a project: its job servers and its secret stand for what nobody says.

Each has a command line of its own, gearmand's, in which `-h` and `-v` are not Django's; so it is read by the program,
and Django's own options, which `manage.py` has carried out by then, are passed over.
"""

from __future__ import annotations

from typing import Final

from django.core.management.base import OutputWrapper

from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.site_security import site_security
from gearjobs.terminal.server_options import HomeServers
from gearjobs.terminal.streams import Streams, standard_streams

#: Django's options, `=` behind those that take a value.
DJANGO_OPTIONS: Final = (
    "settings=",
    "pythonpath=",
    "verbosity=",
    "traceback",
    "no-color",
    "force-color",
    "skip-checks",
)


def project_home() -> HomeServers:
    """Return the project's servers, and how it shows them who it is.

    Raises:
        UsageError: the settings cannot be used.
    """
    return HomeServers(tuple(gearjobs_settings().servers), site_security())


def command_streams(stdout: OutputWrapper, stderr: OutputWrapper) -> Streams:
    """Return a command's streams, on which no line end is added and nothing is coloured."""
    for stream in (stdout, stderr):
        stream.ending = ""
        stream.style_func = None
    return standard_streams(stdout, stderr)
