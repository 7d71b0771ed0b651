"""What a client of python-gearman's interface can do, call by call: each returns what it showed, described in JSON.

They are made on the old library, whose answers are recorded, and on ours; `library_stage` has the setting.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from tests.compat.library_stage import (
    SHORT_S,
    SOON_S,
    Stage,
    absent_server,
    breaking_server,
    describe,
    silent_server,
)


def job_in_the_foreground(stage: Stage) -> Any:
    client = stage.client()
    with stage.working(stage.worker({"reverse": lambda _worker, job: job.data[::-1]})):
        request = client.submit_job("reverse", "abc", poll_timeout=SOON_S)
    return {
        "request": describe(request),
        "job": describe(request.job),
        "is the same": request.job is request.gearman_job,
        "connection": describe(request.job.connection),
    }


def job_of_each_kind(stage: Stage) -> Any:
    kinds = itertools.product((None, "LOW", "HIGH"), (False, True), (False, True))
    client = stage.client()
    return {
        f"{priority} background={background} wait={wait}": describe(
            client.submit_job(
                "nobody",
                "x",
                priority=priority,
                background=background,
                wait_until_complete=wait,
                poll_timeout=SOON_S if background else SHORT_S,
            )
        )
        for priority, background, wait in kinds
    }


def arguments_by_position(stage: Stage) -> Any:
    client = stage.client()
    request = client.submit_job("nobody", "x", "u-7", "HIGH", True, False, 2, SOON_S)
    jobs = [{"task": "nobody", "data": "x", "unique": "u-8"}]
    several = client.submit_multiple_jobs(jobs, True, False, 3, SOON_S)
    return {"one": describe(request), "unique": request.job.unique, "several": describe(several)}


def several_jobs_in_each_container(stage: Stage) -> Any:
    client = stage.client()
    jobs: list[dict[str, Any]] = [{"task": "echo", "data": "1"}, {"task": "echo", "data": "2", "priority": "HIGH"}]
    with stage.working(stage.worker({"echo": lambda _worker, job: job.data})):
        first = client.submit_multiple_jobs(jobs, poll_timeout=SOON_S)
        return {
            "list": describe(first),
            "tuple": describe(client.submit_multiple_jobs(tuple(jobs), poll_timeout=SOON_S)),
            "one job": stage.outcome(lambda: client.submit_multiple_jobs(jobs[0])),
            "generator": stage.outcome(lambda: client.submit_multiple_jobs(iter(jobs))),
            "nothing": stage.outcome(lambda: client.submit_multiple_jobs([], poll_timeout=SHORT_S)),
        }


def waits_return_what_they_are_given(stage: Stage) -> Any:
    client = stage.client()
    requests = client.submit_multiple_jobs(
        [{"task": "nobody", "data": "x"}], wait_until_complete=False, poll_timeout=SOON_S
    )
    waits = {
        "accepted": client.wait_until_jobs_accepted,
        "completed": client.wait_until_jobs_completed,
        "statuses": client.get_job_statuses,
        "submitted": client.submit_multiple_requests,
    }
    told: dict[str, Any] = {
        name: {"is the same": wait(requests, poll_timeout=SHORT_S) is requests, "request": describe(requests[0])}
        for name, wait in waits.items()
    }
    as_set = set(requests)
    told["set"] = client.wait_until_jobs_completed(as_set, poll_timeout=SHORT_S) is as_set
    told["not several"] = {name: stage.outcome(wait, requests[0]) for name, wait in waits.items()}
    return told


def updates_of_a_running_job(stage: Stage) -> Any:
    def tell(worker: Any, job: Any) -> Any:
        returned = [
            worker.send_job_status(job, 1, 4),
            worker.send_job_data(job, "part"),
            worker.send_job_warning(job, "careful"),
        ]
        return json.dumps(returned)

    with stage.working(stage.worker({"tell": tell})):
        request = stage.client().submit_job("tell", "x", poll_timeout=SOON_S)
    return {
        "request": describe(request),
        "status_updates": describe(getattr(request, "status_updates", None)),
        "server_status": getattr(request, "server_status", None) is getattr(request, "status", None),
    }


def job_that_fails(stage: Stage) -> Any:
    def fail(_worker: Any, _job: Any) -> Any:
        raise ValueError("no")

    with stage.working(stage.worker({"fail": fail})):
        return describe(stage.client().submit_job("fail", "x", poll_timeout=SOON_S))


def job_that_fails_with_an_exception_sent(stage: Stage) -> Any:
    def tell(worker: Any, _job: Any, _exception: Any) -> bool:
        worker.send_job_exception(_job, "told")
        return False

    def fail(_worker: Any, _job: Any) -> Any:
        raise ValueError("no")

    with stage.working(stage.worker({"fail": fail}, on_job_exception=tell)):
        return describe(stage.client().submit_job("fail", "x", poll_timeout=SOON_S))


def status_of_jobs(stage: Stage) -> Any:
    client = stage.client()
    waiting = client.submit_job("nobody", "x", background=True, poll_timeout=SOON_S)
    told = {"before": describe(waiting.status)}
    returned = client.get_job_status(waiting, poll_timeout=SOON_S)
    told["waiting"] = describe(waiting)
    told["is the same"] = returned is waiting
    told["again"] = describe(client.get_job_status(waiting, poll_timeout=SOON_S).status)
    waiting.job.handle = type(waiting.job.handle)(waiting.job.handle + waiting.job.handle[-1:] * 3)
    told["unknown"] = describe(client.get_job_status(waiting, poll_timeout=SOON_S))
    told["not answered in time"] = describe(client.get_job_status(waiting, poll_timeout=0.0).timed_out)
    return told


def status_of_a_running_job(stage: Stage) -> Any:
    client, asker = stage.client(), stage.client()
    told: dict[str, Any] = {}

    def ask(worker: Any, job: Any) -> str:
        worker.send_job_status(job, 3, 5)
        asked = asker.submit_job("nobody", "x", background=True, poll_timeout=SOON_S)
        asked.job.handle = job.handle
        told["running"] = describe(asker.get_job_status(asked, poll_timeout=SOON_S).status)
        return ""

    with stage.working(stage.worker({"ask": ask})):
        client.submit_job("ask", "x", background=False, poll_timeout=SOON_S)
    return told


def unique_of_a_job(stage: Stage) -> Any:
    client = stage.client()
    short = stage.library.GearmanClient([stage.server], random_unique_bytes=5)
    given = {"background": True, "poll_timeout": SOON_S}
    same = [client.submit_job("nobody", "x", unique="same", **given) for _ in range(2)]
    return {
        "none": describe(client.submit_job("nobody", "x", **given).job.unique),
        "empty": describe(client.submit_job("nobody", "x", unique="", **given).job.unique),
        "shorter": describe(short.submit_job("nobody", "x", **given).job.unique),
        "given": describe(same[0].job.unique),
        "one handle": same[0].job.handle == same[1].job.handle,
        "dash": describe(client.submit_job("nobody", "payload", unique="-", **given).job.unique),
    }


def request_that_is_reset(stage: Stage) -> Any:
    client = stage.client()
    request = client.submit_job("nobody", "x", background=True, poll_timeout=SOON_S)
    request.reset()
    return {"request": describe(request), "again": stage.outcome(lambda: _submitted_again(client, request))}


def mistakes_in_a_submission(stage: Stage) -> Any:
    client = stage.client()
    soon = {"background": True, "poll_timeout": SOON_S}
    return {
        "number": stage.outcome(lambda: client.submit_job("nobody", 7, **soon)),
        "none": stage.outcome(lambda: client.submit_job("nobody", None, **soon)),
        "priority": stage.outcome(lambda: client.submit_job("nobody", "x", priority="URGENT", **soon)),
        "no task": stage.outcome(lambda: client.submit_multiple_jobs([{"data": "x"}], **soon)),
        "no data": stage.outcome(lambda: client.submit_multiple_jobs([{"task": "x"}], **soon)),
    }


def servers_that_are_down(stage: Stage) -> Any:
    nowhere = stage.client(absent_server())
    soon = {"background": True, "poll_timeout": SOON_S}
    return {
        "only one": stage.outcome(lambda: nowhere.submit_job("nobody", "x", **soon)),
        "none at all": stage.outcome(lambda: stage.library.GearmanClient().submit_job("nobody", "x", **soon)),
        "one of two": stage.outcome(
            lambda: stage.client(absent_server(), stage.server).submit_job("nobody", "x", **soon)
        ),
    }


def server_that_breaks_off(stage: Stage) -> Any:
    def submit(max_retries: int, *servers: str) -> Any:
        return lambda: stage.client(*servers).submit_job(
            "nobody", "x", background=True, max_retries=max_retries, poll_timeout=SOON_S
        )

    with breaking_server() as server:
        return {"no retry": stage.outcome(submit(0, server)), "two retries": stage.outcome(submit(2, server))}


def server_that_says_nothing(stage: Stage) -> Any:
    with silent_server() as server:
        client = stage.client(server)
        request = client.submit_job("nobody", "x", poll_timeout=SHORT_S)
        told = {"request": describe(request)}
        told["again"] = stage.outcome(lambda: client.wait_until_jobs_accepted([request], poll_timeout=SHORT_S))
        told["completed"] = stage.outcome(lambda: client.wait_until_jobs_completed([request], poll_timeout=SHORT_S))
    return told


def shutdown_of_a_client(stage: Stage) -> Any:
    client = stage.client()
    client.submit_job("nobody", "x", background=True, poll_timeout=SOON_S)
    told = {"returned": client.shutdown(), "connected": [each.connected for each in client.connection_list]}
    told["used again"] = stage.outcome(
        lambda: client.submit_job("nobody", "x", background=True, poll_timeout=SOON_S).state
    )
    return told


def connections_of_a_client(stage: Stage) -> Any:
    client = stage.library.GearmanClient()
    added = [client.add_connection(host) for host in ("a", "b:99", ("c", 98), "10.0.0.1:4730")]
    return {
        "addresses": [describe(each.get_address()) for each in client.connection_list],
        "returned": [each is known for each, known in zip(added, client.connection_list, strict=True)],
        "connected": [each.connected for each in added],
        "may be read": [each.readable() for each in added],
        "may be written": [each.writable() for each in added],
        "repr": repr(added[1]),
        "descriptor": stage.outcome(added[0].fileno),
    }


def encoder_of_a_subclass(stage: Stage) -> Any:
    class Encoder(stage.library.DataEncoder):  # type: ignore[misc,name-defined]  # the library is any
        @classmethod
        def encode(cls, encodable_object: Any) -> Any:
            return json.dumps(encodable_object)

        @classmethod
        def decode(cls, decodable_string: Any) -> Any:
            return json.loads(decodable_string)

    def add(worker: Any, job: Any) -> Any:
        worker.send_job_data(job, {"so far": 0})
        return {"sum": sum(job.data)}

    with stage.working(stage.worker({"add": add}, data_encoder=Encoder)):
        request = stage.client(data_encoder=Encoder).submit_job("add", [1, 2], poll_timeout=SOON_S)
    return {"request": describe(request), "data": describe(request.job.data)}


def encoder_without_methods(stage: Stage) -> Any:
    encoder = stage.library.DataEncoder
    return {
        "encode": stage.outcome(lambda: encoder.encode("x")),
        "decode": stage.outcome(lambda: encoder.decode("x")),
    }


def _submitted_again(client: Any, request: Any) -> Any:
    client.submit_multiple_requests([request], poll_timeout=SOON_S)
    return request.state


CALLS = (
    job_in_the_foreground,
    job_of_each_kind,
    arguments_by_position,
    several_jobs_in_each_container,
    waits_return_what_they_are_given,
    updates_of_a_running_job,
    job_that_fails,
    job_that_fails_with_an_exception_sent,
    status_of_jobs,
    status_of_a_running_job,
    unique_of_a_job,
    request_that_is_reset,
    mistakes_in_a_submission,
    servers_that_are_down,
    server_that_breaks_off,
    server_that_says_nothing,
    shutdown_of_a_client,
    connections_of_a_client,
    encoder_of_a_subclass,
    encoder_without_methods,
)
