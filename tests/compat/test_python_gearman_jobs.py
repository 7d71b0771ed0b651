"""Programs written for python-gearman: submitting jobs in every mode, and doing them, on both servers."""

from __future__ import annotations

import json
import pickle
from collections import deque
from typing import Any

import pytest

from gearjobs.compat import gearman
from gearjobs.compat.gearman.errors import ProtocolError, ServerUnavailable
from tests.compat.working import working
from tests.support.eventually import eventually
from tests.support.gearmand import free_port

#: Seconds for anything that is to happen soon; the machine may be busy.
SOON_S = 10.0


def reverse(_worker: gearman.GearmanWorker, job: gearman.GearmanJob) -> bytes:
    return bytes(reversed(job.data))


def fail(_worker: gearman.GearmanWorker, job: gearman.GearmanJob) -> bytes:
    raise ValueError(job.data)


def tell_everything(worker: gearman.GearmanWorker, job: gearman.GearmanJob) -> bytes:
    worker.send_job_status(job, 1, 4)
    worker.send_job_data(job, b"part 1")
    worker.send_job_data(job, b"part 2")
    worker.send_job_warning(job, b"careful")
    return b"whole"


def noting(done: list[bytes]) -> Any:
    def note(_worker: gearman.GearmanWorker, job: gearman.GearmanJob) -> bytes:
        done.append(job.data)
        return b""

    return note


def new_worker(server: str, **tasks: Any) -> gearman.GearmanWorker:
    worker = gearman.GearmanWorker([server])
    for task, callback in tasks.items():
        worker.register_task(task, callback)
    return worker


def test_foreground_job_comes_back_with_its_result(server: str):
    client = gearman.GearmanClient([server])

    with working(new_worker(server, reverse=reverse)):
        request = client.submit_job("reverse", b"abc", poll_timeout=SOON_S)

    assert (request.complete, request.timed_out, request.state) == (True, False, gearman.JOB_COMPLETE)
    assert request.result == b"cba"
    assert isinstance(request.job.handle, str)


def test_text_payload_is_sent_as_utf8(server: str):
    client = gearman.GearmanClient([server])

    with working(new_worker(server, echo=lambda _worker, job: job.data)):
        request = client.submit_job("echo", "größer", poll_timeout=SOON_S)

    assert request.result == "größer".encode()


def test_updates_of_a_running_job_are_kept_in_the_request(server: str):
    client = gearman.GearmanClient([server])

    with working(new_worker(server, tell=tell_everything)):
        request = client.submit_job("tell", b"", poll_timeout=SOON_S)

    assert request.result == b"whole"
    assert request.data_updates == deque([b"part 1", b"part 2"])
    assert request.warning_updates == deque([b"careful"])
    assert request.status_updates == deque([(1.0, 4.0)])
    assert set(request.status) == {"handle", "known", "running", "numerator", "denominator", "time_received"}


def test_exception_of_a_callback_fails_the_job_and_the_worker_goes_on(server: str):
    client = gearman.GearmanClient([server])

    with working(new_worker(server, fail=fail, reverse=reverse)):
        failed = client.submit_job("fail", b"x", poll_timeout=SOON_S)
        after = client.submit_job("reverse", b"ab", poll_timeout=SOON_S)

    assert (failed.state, failed.complete, failed.result) == (gearman.JOB_FAILED, True, None)
    assert after.result == b"ba"


def test_result_that_cannot_be_encoded_fails_the_job_and_the_worker_goes_on(server: str):
    client = gearman.GearmanClient([server])

    with working(new_worker(server, number=lambda _worker, _job: 7, reverse=reverse)):
        failed = client.submit_job("number", b"", poll_timeout=SOON_S)
        after = client.submit_job("reverse", b"ab", poll_timeout=SOON_S)

    assert failed.state == gearman.JOB_FAILED
    assert after.result == b"ba"


def test_result_that_an_encoder_leaves_unencoded_fails_the_job_and_the_worker_goes_on(server: str):
    class LenientEncoder(gearman.DataEncoder):
        @classmethod
        def encode(cls, encodable_object: Any) -> Any:
            return encodable_object

        @classmethod
        def decode(cls, decodable_string: bytes) -> str:
            return decodable_string.decode()

    class LenientWorker(gearman.GearmanWorker):
        data_encoder = LenientEncoder

    worker = LenientWorker([server])
    worker.register_task("number", lambda _worker, _job: 7)
    worker.register_task("nothing", lambda _worker, _job: None)
    worker.register_task("upper", lambda _worker, job: job.data.upper())
    client = gearman.GearmanClient([server])

    with working(worker):
        failed = [client.submit_job(task, b"", poll_timeout=SOON_S) for task in ("number", "nothing")]
        after = client.submit_job("upper", b"ab", poll_timeout=SOON_S)

    assert [request.state for request in failed] == [gearman.JOB_FAILED] * 2
    assert after.result == b"AB"


def test_exception_that_a_worker_sends_reaches_the_client(server: str):
    # python-gearman never asked for exceptions, so that clients saw a failure without a reason.
    class TellingWorker(gearman.GearmanWorker):
        def on_job_exception(self, current_job: gearman.GearmanJob, exc_info: Any) -> bool:
            self.send_job_exception(current_job, repr(exc_info[1]))
            return False

    worker = TellingWorker([server])
    worker.register_task("fail", fail)
    client = gearman.GearmanClient([server])
    with working(worker):
        request = client.submit_job("fail", b"x", poll_timeout=SOON_S)
        again = client.submit_job("fail", b"y", poll_timeout=SOON_S)

    assert (request.state, request.exception) == (gearman.JOB_FAILED, b"ValueError(b'x')")
    assert again.exception == b"ValueError(b'y')"


@pytest.mark.parametrize("priority", [gearman.PRIORITY_NONE, gearman.PRIORITY_LOW, gearman.PRIORITY_HIGH])
@pytest.mark.parametrize("background", [False, True])
def test_job_of_each_priority_is_accepted(server: str, priority: str | None, background: bool):
    request = gearman.GearmanClient([server]).submit_job(
        "nobody", b"", priority=priority, background=background, wait_until_complete=False, poll_timeout=SOON_S
    )

    assert (request.state, request.complete) == (gearman.JOB_CREATED, background)


def test_jobs_of_high_priority_come_first(server: str):
    client = gearman.GearmanClient([server])
    jobs = [
        {"task": "note", "data": name, "priority": priority}
        for name, priority in ((b"low", "LOW"), (b"normal", None), (b"high", "HIGH"))
    ]
    client.submit_multiple_jobs(jobs, background=True, poll_timeout=SOON_S)
    done: list[bytes] = []

    with working(new_worker(server, note=noting(done))):
        eventually(lambda: len(done) == 3, SOON_S, "three jobs")

    assert done == [b"high", b"normal", b"low"]


def test_several_jobs_come_back_in_the_order_they_were_given(server: str):
    client = gearman.GearmanClient([server])
    payloads = [b"a%d" % number for number in range(50)]
    jobs = [{"task": "reverse", "data": payload} for payload in payloads]

    with working(new_worker(server, reverse=reverse)):
        requests = client.submit_multiple_jobs(jobs, poll_timeout=SOON_S)

    assert [request.result for request in requests] == [payload[::-1] for payload in payloads]


def test_requests_that_were_coalesced_all_complete(server: str):
    # python-gearman kept one request a handle: all but the last stayed incomplete for ever.
    client = gearman.GearmanClient([server])
    jobs = [{"task": "tell", "data": b"", "unique": "same"} for _ in range(3)]
    requests = client.submit_multiple_jobs(jobs, wait_until_complete=False, poll_timeout=SOON_S)

    with working(new_worker(server, tell=tell_everything)):
        client.wait_until_jobs_completed(requests, poll_timeout=SOON_S)

    assert len({request.job.handle for request in requests}) == 1
    assert [request.result for request in requests] == [b"whole"] * 3
    assert [list(request.data_updates) for request in requests] == [[b"part 1", b"part 2"]] * 3


def test_request_that_is_not_done_in_time_says_so_and_may_be_waited_for_again(server: str):
    client = gearman.GearmanClient([server])

    request = client.submit_job("reverse", b"abc", poll_timeout=0.2)

    assert (request.timed_out, request.complete, request.state) == (True, False, gearman.JOB_CREATED)
    with working(new_worker(server, reverse=reverse)):
        client.wait_until_jobs_completed([request], poll_timeout=SOON_S)
    assert (request.timed_out, request.result) == (False, b"cba")


def test_status_of_a_background_job_is_told(server: str):
    client = gearman.GearmanClient([server])
    request = client.submit_job("nobody", b"", background=True, poll_timeout=SOON_S)

    asked = client.get_job_status(request, poll_timeout=SOON_S)

    assert asked is request
    assert not request.timed_out
    assert (request.status["known"], request.status["running"]) == (True, False)
    assert request.status["handle"] == request.job.handle


def test_status_can_be_asked_for_by_handle_alone(server: str):
    handle = gearman.GearmanClient([server]).submit_job("nobody", b"", background=True, poll_timeout=SOON_S).job.handle
    assert handle is not None
    other = gearman.GearmanClient([server])

    assert other.get_job_status_by_handle(handle, poll_timeout=SOON_S)["known"] is True
    assert other.get_job_status_by_handle(handle + "0", poll_timeout=SOON_S)["known"] is False


def test_job_that_the_server_refuses_is_failed_and_not_pending(server: str):
    # python-gearman took no notice of ERROR: the request stayed PENDING, and the wait never ended.
    gearman.GearmanAdminClient([server]).get_version()
    client = gearman.GearmanClient([server])
    client.submit_job("few", b"", unique="1", background=True, poll_timeout=SOON_S)
    gearman.GearmanAdminClient([server]).send_maxqueue("few", 1)

    refused = client.submit_job("few", b"", unique="2", background=True, poll_timeout=SOON_S)

    assert (refused.state, refused.complete, refused.timed_out) == (gearman.JOB_FAILED, False, False)
    assert refused.exception.startswith("QUEUE_ERROR")
    assert client.submit_job("other", b"", background=True, poll_timeout=SOON_S).complete


@pytest.mark.parametrize("codec", [json, pickle])
def test_encoder_of_a_subclass_makes_the_payloads(server: str, codec: Any):
    class Encoder(gearman.DataEncoder):
        @classmethod
        def encode(cls, encodable_object: Any) -> Any:
            return codec.dumps(encodable_object)

        @classmethod
        def decode(cls, decodable_string: bytes) -> Any:
            return codec.loads(decodable_string)

    class Client(gearman.GearmanClient):
        data_encoder = Encoder

    class Worker(gearman.GearmanWorker):
        data_encoder = Encoder

    worker = Worker([server])
    worker.register_task("add", lambda _worker, job: {"sum": sum(job.data)})
    with working(worker):
        request = Client([server]).submit_job("add", [1, 2, 3], poll_timeout=SOON_S)

    assert request.result == {"sum": 6}


def test_worker_is_known_by_its_client_id_and_its_tasks(server: str):
    worker = new_worker(server, one=reverse, two=reverse)
    worker.set_client_id("worker-1")
    worker.unregister_task("two")
    admin = gearman.GearmanAdminClient([server])

    with working(worker):
        (line,) = eventually(
            lambda: [line for line in admin.get_workers() if line["tasks"]], SOON_S, "the worker to be there"
        )

    assert (line["client_id"], line["tasks"]) == ("worker-1", ("one",))


def test_after_poll_ends_the_work(server: str):
    polls: list[bool] = []

    class Worker(gearman.GearmanWorker):
        def after_poll(self, any_activity: bool) -> bool:
            polls.append(any_activity)
            return not any_activity

    worker = Worker([server])
    worker.register_task("reverse", reverse)

    worker.work(poll_timeout=SOON_S)

    assert polls == [False, True]


def test_after_job_ends_the_work_and_the_result_has_arrived(server: str):
    class OneJobWorker(gearman.GearmanWorker):
        def after_job(self) -> bool:
            return False

    client = gearman.GearmanClient([server])
    requests = [
        client.submit_job("reverse", data, wait_until_complete=False, poll_timeout=SOON_S) for data in (b"ab", b"cd")
    ]
    worker = OneJobWorker([server])
    worker.register_task("reverse", reverse)

    worker.work(poll_timeout=SOON_S)
    client.wait_until_jobs_completed(requests[:1], poll_timeout=SOON_S)

    assert [request.result for request in requests] == [b"ba", None]


def test_task_may_be_registered_while_a_job_runs(server: str):
    def learn(worker: gearman.GearmanWorker, job: gearman.GearmanJob) -> bytes:
        worker.register_task("reverse", reverse)
        return b"learnt"

    client = gearman.GearmanClient([server])
    with working(new_worker(server, learn=learn)):
        learnt = client.submit_job("learn", b"", poll_timeout=SOON_S)
        reversed_ = client.submit_job("reverse", b"ab", poll_timeout=SOON_S)

    assert (learnt.result, reversed_.result) == (b"learnt", b"ba")


def test_reset_request_may_be_submitted_again(server: str):
    client = gearman.GearmanClient([server])

    with working(new_worker(server, reverse=reverse)):
        request = client.submit_job("reverse", b"ab", poll_timeout=SOON_S)
        request.reset()
        assert (request.state, request.result, request.job.handle) == (gearman.JOB_UNKNOWN, None, None)
        client.submit_multiple_requests([request], poll_timeout=SOON_S)

    assert request.result == b"ba"


def test_without_a_server_client_and_worker_say_so_at_once():
    nowhere = [f"127.0.0.1:{free_port()}"]
    worker = gearman.GearmanWorker(nowhere)
    worker.register_task("reverse", reverse)

    with pytest.raises(ServerUnavailable):
        gearman.GearmanClient(nowhere).submit_job("reverse", b"", poll_timeout=SOON_S)
    with pytest.raises(ServerUnavailable):
        worker.work(poll_timeout=SOON_S)


def test_function_with_a_nul_is_refused_before_it_is_sent(server: str):
    with pytest.raises(ProtocolError, match="NUL"):
        gearman.GearmanClient([server]).submit_job("a\0b", b"", poll_timeout=SOON_S)


def test_callback_that_returns_nothing_completes_its_job(server: str):
    # python-gearman's documentation has one, which sends its data on the way; its worker broke on the None.
    def tell(worker: gearman.GearmanWorker, job: gearman.GearmanJob) -> None:
        for index, letter in enumerate(reversed(job.data.decode())):
            worker.send_job_data(job, letter)
            worker.send_job_status(job, index + 1, len(job.data))

    with working(new_worker(server, tell=tell)):
        request = gearman.GearmanClient([server]).submit_job("tell", "abc", poll_timeout=SOON_S)

    assert (request.state, request.result) == (gearman.JOB_COMPLETE, b"")
    assert b"".join(request.data_updates) == b"cba"
    assert (request.status["numerator"], request.status["denominator"]) == (3, 3)


def test_progress_that_is_no_whole_number_is_told_as_it_came(server: str):
    def tell(worker: gearman.GearmanWorker, job: gearman.GearmanJob) -> bytes:
        worker.send_job_status(job, 1.5, 4.0)
        return b""

    with working(new_worker(server, tell=tell)):
        request = gearman.GearmanClient([server]).submit_job("tell", b"", poll_timeout=SOON_S)

    assert repr(request.status["denominator"]) == "4"
    assert request.status["numerator"] in {1, 1.5}


def test_worker_whose_hooks_are_all_overridden_works_as_before(server: str):
    told: list[str] = []

    class HookedWorker(gearman.GearmanWorker):
        def on_job_execute(self, current_job: gearman.GearmanJob) -> bool:
            told.append("started")
            return super().on_job_execute(current_job)

        def on_job_exception(self, current_job: gearman.GearmanJob, exc_info: Any) -> bool:
            told.append("failed")
            return super().on_job_exception(current_job, exc_info)

        def on_job_complete(self, current_job: gearman.GearmanJob, job_result: Any) -> Any:
            told.append("complete")
            # As python-gearman's guide has it, which skips the hook above it.
            return super().send_job_complete(current_job, job_result)

    worker = HookedWorker([server])
    worker.register_task("reverse", reverse)
    worker.register_task("fail", fail)
    client = gearman.GearmanClient([server])
    with working(worker):
        states = [client.submit_job(task, b"x", poll_timeout=SOON_S).state for task in ("reverse", "fail")]

    assert states == [gearman.JOB_COMPLETE, gearman.JOB_FAILED]
    assert told == ["started", "complete", "started", "failed"]
