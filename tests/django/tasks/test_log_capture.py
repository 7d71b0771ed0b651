"""What a task logs, kept with its job."""

from __future__ import annotations

import logging
import threading

import pytest

from gearjobs.errors import JobTimedOut
from gearjobs.settings import WorkerSettings
from gearjobs.tasks import log_capture
from gearjobs.tasks.execution import run_job
from gearjobs.tasks.log_capture import captured_logs
from gearjobs.tasks.payload import encode_call
from gearjobs.tasks.worker_groups import WorkerGroup
from gearjobs.tasks.worker_plan import WorkerPlan
from gearjobs.tasks.worker_process import WorkerProcess
from gearjobs.worker.pool.process_pool import ChildPlace
from gearjobs.worker.pool.recycling import RecycleLimits
from gearjobs.worker.pool.signal_pipe import QUIET_SIGNAL
from gearjobs.worker.pool.work_board import WorkBoard
from tests.support import sample_tasks
from tests.support.fake_client import FakeRunningJob

logger = logging.getLogger(__name__)


@pytest.fixture(autouse=True)
def capture_handler_gone():
    yield
    logging.getLogger().removeHandler(log_capture._handler)


@pytest.fixture
def sent() -> list[bytes]:
    return []


@pytest.mark.django_db
def test_what_a_task_logs_becomes_warnings_of_its_job():
    job = FakeRunningJob(encode_call([2], {}))

    run_job(job, task=sample_tasks.log_something, worker_id="worker-1")
    logger.warning("not the job's")

    ((kind, body),) = job.reports
    assert kind == "warning"
    assert isinstance(body, bytes)
    assert [line.partition("WARNING ")[2] for line in body.decode().splitlines()] == [
        "tests.support.sample_tasks: line 0",
        "tests.support.sample_tasks: line 1",
    ]


@pytest.mark.django_db
def test_coroutine_is_captured_from_its_level_on():
    job = FakeRunningJob(encode_call([], {}))

    run_job(job, task=sample_tasks.log_something_awaiting, worker_id="worker-1")

    ((_, body),) = job.reports
    assert isinstance(body, bytes)
    assert body.endswith(b"ERROR tests.support.sample_tasks: but this")


@pytest.mark.django_db
def test_task_that_does_not_want_it_is_not_captured():
    job = FakeRunningJob(encode_call([], {}))

    run_job(job, task=sample_tasks.tell_context, worker_id="worker-1")

    assert job.reports == []


def test_much_is_sent_in_pieces(sent, monkeypatch):
    monkeypatch.setattr(log_capture, "PIECE_CHARACTERS", 100)

    with captured_logs(logging.INFO, sent.append):
        for _ in range(5):
            logger.warning("x" * 60)

    assert [body.count(b"\n") + 1 for body in sent] == [1, 1, 1, 1, 1]


def test_what_is_old_is_sent_with_the_next_line(sent, monkeypatch):
    monkeypatch.setattr(log_capture, "PIECE_EVERY_S", 0.0)

    with captured_logs(logging.INFO, sent.append):
        logger.warning("first")
        assert len(sent) == 1


@pytest.mark.parametrize(("limit", "value"), [("MAX_LINES", 3), ("MAX_CHARACTERS", 300)])
def test_too_much_is_counted(sent, monkeypatch, limit, value):
    monkeypatch.setattr(log_capture, limit, value)

    with captured_logs(logging.INFO, sent.append):
        for _ in range(100):
            logger.warning("x")

    lines = b"\n".join(sent).decode().splitlines()
    kept = len(lines) - 1
    assert 1 < kept <= 4
    assert lines[-1] == f"... and {100 - kept} more lines, beyond what is kept of one run"


def test_line_that_cannot_be_formatted_harms_nobody(sent, monkeypatch):
    complaints: list[logging.LogRecord] = []
    monkeypatch.setattr(log_capture._handler, "handleError", complaints.append)

    with captured_logs(logging.INFO, sent.append):
        logger.getChild("quiet").propagate = True
        log_capture._handler.handle(logging.makeLogRecord({"levelno": 40, "msg": "%d", "args": ("x",)}))

    assert (len(complaints), sent) == (1, [])


@pytest.mark.django_db
def test_what_a_run_logged_is_sent_before_it_is_ended_by_force():
    job = FakeRunningJob(encode_call([], {}))
    reports: list[tuple[object, ...]] = []

    def log_and_be_ended() -> None:
        logger.warning("where it hangs")
        # By another thread, as it is in a worker.
        ending = threading.Thread(target=job.on_forced_end, args=(JobTimedOut("too long"),))
        ending.start()
        ending.join()
        reports.extend(job.reports)

    sample_tasks.to_do[:] = [log_and_be_ended]
    run_job(job, task=sample_tasks.log_as_told, worker_id="worker-1")

    assert len(reports) == len(job.reports) == 1
    assert "where it hangs" in str(reports[0][1])


def test_what_a_signal_logs_is_not_the_interrupted_jobs(sent):
    # The signal comes between any two steps of the job, those under the locks of its reports too.
    place = ChildPlace(0, "mail", 0, WorkBoard([1]).cells[0], RecycleLimits())
    process = WorkerProcess(place, WorkerGroup("mail", WorkerSettings(), WorkerPlan(("127.0.0.1:1",), {})))

    with captured_logs(logging.DEBUG, sent.append):
        process._signalled(QUIET_SIGNAL, None)

    assert sent == []
