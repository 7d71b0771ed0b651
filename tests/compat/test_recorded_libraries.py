"""Our library beside what python-gearman 2.0.2 and gearman3 0.2.1 showed, point by point.

What they showed was recorded by `record_old_libraries`; what is to differ stands below with its reason, and a
difference that is no longer there fails the test, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from gearjobs.compat import gearman
from tests.compat.conftest import KINDS, running_server
from tests.compat.fact_comparison import differences
from tests.compat.library_calls import CALLS, run_calls
from tests.compat.library_stage import Stage
from tests.compat.library_surface import instances_of, surface_of
from tests.compat.record_old_libraries import RECORDED
from tests.support.job_server import ROOT

PROGRAM_TIMEOUT_S = 60.0

OLD = json.loads(RECORDED["2.0.2"].read_text())
GEARMAN3 = json.loads(RECORDED["gearman3"].read_text())

#: Pattern of a path -> why ours differs there from python-gearman 2.0.2.
SURFACE_DIFFERENCES = {
    "NullHandler/class/has/*": "it is logging's own since Python 2.7",
    "admin_client_handler/EXPECTED_GEARMAN_SERVER_COMMANDS/set/*": "there are more of them, as in its later versions",
    "connection/GearmanConnection/class/has/connect_cooldown_seconds/*": "pauses grow with the failures",
    "connection/GearmanConnection/class/has/read_commands_from_buffer/*": "commands wait in the decoder",
    "connection/GearmanConnection/class/has/send_commands_to_buffer/*": "a command is bytes at once",
    "connection/GearmanConnection/class/has/read_data_from_socket/arguments/1": "more bytes are read at once",
    "connection_manager/GearmanConnectionManager/class/has/command_handler_class/value": "there is a plain one",
}
INSTANCE_DIFFERENCES = {
    "client's handler/requests_awaiting_handles/deque": "every kind of answer is waited for in one line",
    "*handler/connection_manager": "a handler does not keep its client alive, and is of no use without one",
}
CALL_DIFFERENCES = {
    "admin_client_of_other_servers/none": "a client of no server is refused when it is made, not when it is used",
    "job_that_fails_with_an_exception_sent*": "the exception arrives; the old client broke on the WORK_FAIL after it",
    "jobs_of_the_server*": "the command is one of later versions",
    "pid_of_the_server*": "the command is one of later versions",
    "request_that_is_reset*": "a request that was reset may be submitted again",
    "unique_of_a_job/dash": "the server replaces it, as in later versions",
}
AT_GEARMAND = {"maximum_of_a_queue": "gearmand's answer ends in CR LF, which the old client took for an error"}
GEARMAN3_DIFFERENCES = {
    "admin_client_of_other_servers/none": CALL_DIFFERENCES["admin_client_of_other_servers/none"],
    "arguments_by_position*": "gearman3 takes them by name alone",
    "connections_of_a_client/repr": "python-gearman's words",
    "job_and_request_by_themselves/*": "python-gearman's words",
    "job_made_by_a_job_class/client/1": "gearman3 forgets job_request_class",
    "job_that_fails_with_an_exception_sent*": CALL_DIFFERENCES["job_that_fails_with_an_exception_sent*"],
    "jobs_of_the_server*": "gearman3 cannot read answers to text commands",
    "ping*": "gearman3 compares bytes with text",
    "several_commands_on_one_client*": "gearman3 cannot read answers to text commands",
    "status_lines*": "gearman3 cannot read answers to text commands",
    "worker_lines*": "gearman3 cannot read answers to text commands",
    "maximum_of_a_queue*": "gearman3 compares bytes with text",
    "packets/*": "gearman3 reads packets from an array alone",
    "registration_of_tasks/*/abilities*": "a list, as in python-gearman; gearman3 leaves Python 2's keys() a view",
    "request_that_is_reset*": CALL_DIFFERENCES["request_that_is_reset*"],
    "server_that_breaks_off/two retries": "gearman3 waits no moment before the second attempt",
    "status_of_*/known": "gearman3 compares bytes with text, so that no job is known",
    "status_of_*/running": "gearman3 compares bytes with text, so that no job is known",
    "updates_of_a_running_job/*": "deprecated attributes of python-gearman, which gearman3 lacks",
    "waits_return_what_they_are_given/*/known": "gearman3 compares bytes with text, so that no job is known",
}


@pytest.fixture(scope="module", params=KINDS)
def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """What our library shows in each call, at each kind of server."""
    with running_server(request.param, tmp_path_factory.mktemp("recorded") / "server.log") as address:
        yield request.param, run_calls(Stage(gearman, str(address)))


@pytest.mark.parametrize("module", list(OLD["surface"]), ids=lambda module: module or "gearman")
def test_every_name_of_a_module_is_there_with_its_arguments(module: str):
    ours = {module: surface_of(gearman, module)}
    found = differences({module: OLD["surface"][module]}, ours, additions_count=False, python2=True)

    assert not _unexplained(found, SURFACE_DIFFERENCES)


def test_differences_of_the_surface_are_all_there():
    ours = {module: surface_of(gearman, module) for module in OLD["surface"]}
    found = differences(OLD["surface"], ours, additions_count=False, python2=True)

    assert not _stale(found, SURFACE_DIFFERENCES)


def test_new_objects_have_their_attributes():
    found = differences(OLD["instances"], instances_of(gearman), additions_count=False, python2=True)

    assert not _unexplained(found, INSTANCE_DIFFERENCES)
    assert not _stale(found, INSTANCE_DIFFERENCES)


@pytest.mark.parametrize("call", list(CALLS))
def test_call_shows_what_the_old_library_showed(shown: tuple[str, Any], call: str):
    kind, ours = shown
    explained = CALL_DIFFERENCES if kind == "gearjobs" else CALL_DIFFERENCES | AT_GEARMAND
    old = OLD["gearjobs"].get(call, OLD["gearmand"][call]) if kind == "gearjobs" else OLD["gearmand"][call]

    assert not _unexplained(differences({call: old}, {call: ours[call]}, python2=True), explained)


def test_differences_of_the_calls_are_all_there(shown: tuple[str, Any]):
    kind, ours = shown
    old = OLD["gearmand"] | (OLD["gearjobs"] if kind == "gearjobs" else {})
    explained = CALL_DIFFERENCES if kind == "gearjobs" else CALL_DIFFERENCES | AT_GEARMAND

    assert not _stale(differences(old, ours, python2=True), explained)


def test_old_library_can_tell_our_server_from_gearmand_by_two_things_that_it_breaks_on_there():
    assert set(OLD["gearjobs"]) == {"job_that_fails_with_an_exception_sent", "maximum_of_a_queue"}
    assert OLD["gearjobs"]["maximum_of_a_queue"] == "OK"
    assert "raised" not in OLD["gearjobs"]["job_that_fails_with_an_exception_sent"]


def test_gearman3_mode_shows_what_gearman3_showed(tmp_path: Path):
    with running_server("gearjobs", tmp_path / "server.log") as address:
        ours = _shown_in_gearman3_mode(str(address))
    old = GEARMAN3["gearmand"] | GEARMAN3["gearjobs"]
    found = differences(old, ours)

    assert not _unexplained(found, GEARMAN3_DIFFERENCES)
    assert not _stale(found, GEARMAN3_DIFFERENCES)


def _shown_in_gearman3_mode(server: str) -> Any:
    # The mode is decided at import, so that it needs a process of its own.
    finished = subprocess.run(
        [sys.executable, "-m", "tests.compat.library_calls", server],
        cwd=ROOT,
        env={**os.environ, "GEARMAN_COMPAT": "gearman3"},
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def _unexplained(found: dict[str, str], explained: dict[str, str]) -> dict[str, str]:
    return {path: both for path, both in found.items() if not any(fnmatchcase(path, known) for known in explained)}


def _stale(found: dict[str, str], explained: dict[str, str]) -> list[str]:
    return [known for known in explained if not any(fnmatchcase(path, known) for path in found)]
