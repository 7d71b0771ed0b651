"""What a worker of python-gearman's interface does, call by call: each returns what it showed, described in JSON."""

from __future__ import annotations

import threading
from typing import Any

from tests.compat.library_stage import SHORT_S, SOON_S, Stage, absent_server, describe


def what_a_callback_gets(stage: Stage) -> Any:
    told: dict[str, Any] = {}

    def look(worker: Any, job: Any) -> Any:
        told["job"] = describe(job)
        told["attributes"] = {
            name: describe(getattr(job, name)) for name in ("handle", "task", "unique", "data", "connection")
        }
        told["is the worker"] = worker is working
        told["connection is the worker's"] = job.connection in working.connection_list
        return job.data

    working = stage.worker({"look": look})
    with stage.working(working):
        stage.client().submit_job("look", "abc", unique="u-1", poll_timeout=SOON_S)
    return told


def what_the_hooks_return(stage: Stage) -> Any:
    told: list[Any] = []

    def noting(name: str) -> Any:
        def note(worker: Any, *arguments: Any) -> Any:
            returned = getattr(super(type(worker), worker), name)(*arguments)
            told.append(
                [name, len(arguments), describe(arguments[-1] if name == "on_job_complete" else None), returned]
            )
            return returned

        return note

    def fail(_worker: Any, _job: Any) -> Any:
        raise ValueError("no")

    hooks = ("on_job_execute", "on_job_exception", "on_job_complete")
    worker = stage.worker(
        {"echo": lambda _worker, job: job.data, "fail": fail}, **{name: noting(name) for name in hooks}
    )
    with stage.working(worker):
        for task in ("echo", "fail"):
            stage.client().submit_job(task, "x", poll_timeout=SOON_S)
    return told


def what_an_exception_hook_gets(stage: Stage) -> Any:
    told: dict[str, Any] = {}

    def note(worker: Any, job: Any, exc_info: Any) -> bool:
        told.update(
            length=len(exc_info), kind=exc_info[0].__name__, text=str(exc_info[1]), has_traceback=bool(exc_info[2])
        )
        worker.send_job_failure(job)
        return False

    def fail(_worker: Any, _job: Any) -> Any:
        raise ValueError("no")

    with stage.working(stage.worker({"fail": fail}, on_job_exception=note)):
        told["state"] = stage.client().submit_job("fail", "x", poll_timeout=SOON_S).state
    return told


def result_that_the_callback_sends_itself(stage: Stage) -> Any:
    def keep_quiet(_worker: Any, _job: Any, _result: Any) -> bool:
        return True

    def send(worker: Any, job: Any) -> Any:
        return [worker.send_job_data(job, "1", poll_timeout=SOON_S), worker.send_job_complete(job, "sent")]

    with stage.working(stage.worker({"send": send}, on_job_complete=keep_quiet)):
        return describe(stage.client().submit_job("send", "x", poll_timeout=SOON_S))


def failure_that_the_callback_sends_itself(stage: Stage) -> Any:
    def keep_quiet(_worker: Any, _job: Any, _result: Any) -> bool:
        return True

    told: dict[str, Any] = {}

    def send(worker: Any, job: Any) -> None:
        told["returned"] = worker.send_job_failure(job)

    with stage.working(stage.worker({"send": send}, on_job_complete=keep_quiet)):
        told["state"] = stage.client().submit_job("send", "x", poll_timeout=SOON_S).state
    return told


def progress_of_each_kind(stage: Stage) -> Any:
    told: dict[str, Any] = {}

    def send(worker: Any, job: Any) -> str:
        told["text"] = stage.outcome(lambda: worker.send_job_status(job, "1", 2))
        told["returned"] = worker.send_job_status(job, 1, 2)
        return ""

    with stage.working(stage.worker({"send": send})):
        told["status"] = describe(stage.client().submit_job("send", "x", poll_timeout=SOON_S).status)
    return told


def registration_of_tasks(stage: Stage) -> Any:
    worker = stage.library.GearmanWorker([stage.server])

    def callback(_worker: Any, job: Any) -> Any:
        return job.data

    told: dict[str, Any] = {
        "registered": describe(worker.register_task("a", callback)),
        "once more": describe(worker.register_task("a", callback)),
        "abilities": {name: known is callback for name, known in worker.worker_abilities.items()},
        "initial state": describe(worker.handler_initial_state),
        "unregistered": describe(worker.unregister_task("a")),
        "not known": describe(worker.unregister_task("b")),
        "named": describe(worker.set_client_id("me")),
    }
    told["state at last"] = describe(worker.handler_initial_state)
    told["client id"] = worker.worker_client_id
    return told


def registration_while_connected(stage: Stage) -> Any:
    def learn(worker: Any, _job: Any) -> str:
        worker.register_task(stage.name("more"), lambda _worker, job: job.data * 2)
        worker.unregister_task(stage.name("gone"))
        worker.set_client_id("learner")
        learnt.set()
        return "learnt"

    learnt = threading.Event()
    worker = stage.worker(
        {"gone": learn}, after_poll=lambda worker, _activity: not (learnt.is_set() or worker.is_to_stop)
    )
    # What became of this job differs from run to run: the old library's RESET_ABILITIES gives it back while it runs.
    with stage.working(worker):
        stage.client().submit_job("gone", "x", background=True, poll_timeout=SOON_S)
        learnt.wait(SOON_S)
    return [describe(name) for name in worker.worker_abilities]


def worker_without_a_server(stage: Stage) -> Any:
    def work(*servers: str) -> Any:
        worker = stage.library.GearmanWorker(list(servers))
        worker.register_task("a", lambda _worker, job: job.data)
        return worker.work(poll_timeout=SHORT_S)

    return {
        "down": stage.outcome(lambda: work(absent_server())),
        "none": stage.outcome(work),
        "wrong": stage.outcome(lambda: work("host:port")),
    }


def work_that_is_stopped_at_once(stage: Stage) -> Any:
    told: list[bool] = []

    def stop(_worker: Any, any_activity: bool) -> bool:
        told.append(any_activity)
        return False

    worker = stage.worker({"a": lambda _worker, job: job.data}, after_poll=stop)
    returned = worker.work(poll_timeout=SOON_S)
    return {"returned": returned, "told": told, "connected": [each.connected for each in worker.connection_list]}


def work_that_idles(stage: Stage) -> Any:
    told: list[bool] = []

    def note(_worker: Any, any_activity: bool) -> bool:
        told.append(any_activity)
        return told.count(False) < 3

    stage.worker({"a": lambda _worker, job: job.data}, after_poll=note).work(poll_timeout=SHORT_S)
    return {"first": told[0], "last": told[-1], "idle": told.count(False)}


def job_lock_of_a_worker(stage: Stage) -> Any:
    worker = stage.worker({"a": lambda _worker, job: job.data})
    stranger = object()
    told: dict[str, Any] = {
        "holder": worker.command_handler_holding_job_lock,
        "stranger": [worker.set_job_lock(stranger, lock=True), worker.check_job_lock(stranger)],
    }
    (connection,) = worker.establish_worker_connections()
    handler = worker.connection_to_handler_map[connection]
    told["taken"] = [worker.set_job_lock(handler, lock=True), worker.check_job_lock(handler)]
    told["taken twice"] = worker.set_job_lock(handler, lock=True)
    told["given back"] = [worker.set_job_lock(handler, lock=False), worker.check_job_lock(handler)]
    told["given back twice"] = worker.set_job_lock(handler, lock=False)
    worker.set_job_lock(handler, lock=True)
    told["shutdown"] = [worker.shutdown(), worker.command_handler_holding_job_lock, connection.connected]
    return told


def job_made_by_a_job_class(stage: Stage) -> Any:
    class Job(stage.library.job.GearmanJob):  # type: ignore[misc,name-defined]  # the library is any
        """A job of the program's own."""

    told: dict[str, Any] = {}

    def look(_worker: Any, job: Any) -> Any:
        told["worker"] = type(job).__name__
        return job.data

    request_class = type("Request", (stage.library.job.GearmanJobRequest,), {})
    with stage.working(stage.worker({"look": look}, job_class=Job)):
        client = stage.client(job_class=Job, job_request_class=request_class)
        request = client.submit_job("look", "x", poll_timeout=SOON_S)
    told["client"] = [type(request.job).__name__, type(request).__name__]
    return told


CALLS = (
    what_a_callback_gets,
    what_the_hooks_return,
    what_an_exception_hook_gets,
    result_that_the_callback_sends_itself,
    failure_that_the_callback_sends_itself,
    progress_of_each_kind,
    registration_of_tasks,
    registration_while_connected,
    worker_without_a_server,
    work_that_is_stopped_at_once,
    work_that_idles,
    job_lock_of_a_worker,
    job_made_by_a_job_class,
)
