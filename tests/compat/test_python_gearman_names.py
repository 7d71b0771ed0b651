"""The names, signatures and modules of python-gearman 2.0.2, without Django settings, and in gearman3's mode."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from typing import Any

import pytest

from gearjobs.compat import gearman
from tests.support.job_server import ROOT, running_memory_server

SUBMODULES = [
    "admin_client",
    "admin_client_handler",
    "client",
    "client_handler",
    "command_handler",
    "compat",
    "connection",
    "connection_manager",
    "constants",
    "errors",
    "job",
    "protocol",
    "util",
    "worker",
    "worker_handler",
]

SIGNATURES = {
    gearman.GearmanClient: ["host_list=None", "random_unique_bytes=16"],
    gearman.GearmanClient.submit_job: [
        "task",
        "data",
        "unique=None",
        "priority=None",
        "background=False",
        "wait_until_complete=True",
        "max_retries=0",
        "poll_timeout=None",
    ],
    gearman.GearmanClient.submit_multiple_jobs: [
        "jobs_to_submit",
        "background=False",
        "wait_until_complete=True",
        "max_retries=0",
        "poll_timeout=None",
    ],
    gearman.GearmanClient.submit_multiple_requests: ["job_requests", "wait_until_complete=True", "poll_timeout=None"],
    gearman.GearmanWorker: ["host_list=None"],
    gearman.GearmanWorker.send_job_status: ["current_job", "numerator", "denominator", "poll_timeout=None"],
    gearman.GearmanAdminClient: ["host_list=None", "poll_timeout=10.0"],
    gearman.GearmanAdminClient.send_shutdown: ["graceful=True"],
    gearman.GearmanJob: ["connection", "handle", "task", "unique", "data"],
    gearman.GearmanJobRequest: ["gearman_job", "initial_priority=None", "background=False", "max_attempts=1"],
}


def test_constants_have_their_values():
    values = {name: getattr(gearman, name) for name in gearman.__all__ if name.isupper()}

    assert values == {
        "PRIORITY_NONE": None,
        "PRIORITY_LOW": "LOW",
        "PRIORITY_HIGH": "HIGH",
        "JOB_UNKNOWN": "UNKNOWN",
        "JOB_PENDING": "PENDING",
        "JOB_CREATED": "CREATED",
        "JOB_FAILED": "FAILED",
        "JOB_COMPLETE": "COMPLETE",
    }
    assert gearman.__version__ == "2.0.2"


@pytest.mark.parametrize("name", SUBMODULES)
def test_submodule_can_be_imported_and_is_an_attribute(name: str):
    module = importlib.import_module(f"gearjobs.compat.gearman.{name}")

    assert getattr(gearman, name) is module


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda function: function.__qualname__)
def test_arguments_have_their_names_and_defaults(function: object):
    assert callable(function)
    parameters = inspect.signature(function).parameters.values()
    written = [
        parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"
        for parameter in parameters
        if parameter.name != "self"
    ]

    assert written == SIGNATURES[function]


def test_packets_go_there_and_back():
    args = {"task": "resize", "unique": "u", "data": b"a\0b"}
    packed = gearman.protocol.pack_binary_command(gearman.protocol.GEARMAN_COMMAND_SUBMIT_JOB, args)

    assert gearman.protocol.parse_binary_command(packed, is_response=False) == (7, args, len(packed))
    assert gearman.protocol.parse_binary_command(packed[:-1], is_response=False) == (None, None, 0)
    assert gearman.protocol.get_command_name(7) == "GEARMAN_COMMAND_SUBMIT_JOB"


def test_job_and_server_names_are_read_as_ever():
    job = gearman.GearmanJob(None, "H:a:1", "resize", "u", b"x")

    assert job.to_dict() == {"task": "resize", "job_handle": "H:a:1", "unique": "u", "data": b"x"}
    assert gearman.util.disambiguate_server_parameter("host") == ("host", 4730)
    assert gearman.util.disambiguate_server_parameter("host", 99) == ("host", 99)
    assert gearman.util.disambiguate_server_parameter("[::1]:5") == ("::1", 5)
    assert gearman.util.disambiguate_server_parameter(("host", "5")) == ("host", 5)


def test_mistakes_are_told_by_gearman_errors():
    wrong: Any = ("127.0.0.1:4730", ["host:port"], [{"host": "a", "port": 1, "keyfile": "k"}])
    for hosts in wrong:
        with pytest.raises(gearman.errors.GearmanError):
            gearman.GearmanClient(hosts)
    one_job: Any = {"task": "a", "data": b""}
    with pytest.raises(TypeError, match="list, tuple or set"):
        gearman.GearmanClient(["127.0.0.1"]).submit_multiple_jobs(one_job)


def test_no_django_settings_are_needed():
    program = "from gearjobs.compat import gearman; import sys; assert 'django' not in sys.modules"

    assert _run(program).returncode == 0


def test_gearman3_mode_has_bytes_everywhere():
    with running_memory_server() as server:
        program = f"""
from gearjobs.compat import gearman
host = [{str(server.address)!r}]
client = gearman.GearmanClient(host)
request = client.submit_job("echo", b"x", wait_until_complete=False, poll_timeout=10.0)
class Worker(gearman.GearmanWorker):
    def after_job(self):
        return False
worker = Worker(host)
worker.register_task("echo", lambda worker, job: repr((job.task, job.data)))
worker.work(poll_timeout=10.0)
client.wait_until_jobs_completed([request], poll_timeout=10.0)
assert request.result == b"(b'echo', b'x')", request.result
assert type(request.job.handle) is bytes
refused = client.get_job_status_by_handle(request.job.handle, poll_timeout=10.0)
assert refused["known"] is False
"""
        finished = _run(program, GEARMAN_COMPAT="gearman3")

    assert finished.returncode == 0, finished.stderr


def _run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=30,
    )
