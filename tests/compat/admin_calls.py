"""What an administrative client of python-gearman's interface answers, and its small tools, call by call."""

from __future__ import annotations

from typing import Any

from tests.compat.library_stage import SHORT_S, SOON_S, Stage, absent_server, describe, silent_server


def status_lines(stage: Stage) -> Any:
    stage.client().submit_job("status-1", "x", background=True, poll_timeout=SOON_S)
    answer = stage.admin().get_status()
    return [type(answer).__name__, [describe(line) for line in answer if line["task"] == stage.name("status-1")]]


def worker_lines(stage: Stage) -> Any:
    worker = stage.worker({"workers-1": lambda _worker, job: job.data, "workers-2": lambda _worker, job: job.data})
    worker.set_client_id("named")
    admin = stage.admin()
    with stage.working(worker):
        stage.client().submit_job("workers-1", "x", poll_timeout=SOON_S)
        answer = admin.get_workers()
    (line,) = [line for line in answer if line["client_id"] == stage.name("named")]
    return {
        "container": type(answer).__name__,
        "types": {name: type(value).__name__ for name, value in line.items()},
        "ip": line["ip"],
        "tasks": describe(sorted(line["tasks"])),
        "digits": line["file_descriptor"].isdigit(),
        "without a name": describe(sorted({each["client_id"] for each in answer} - {stage.name("named")})),
    }


def version_of_the_server(stage: Stage) -> Any:
    version = stage.admin().get_version()
    return [type(version).__name__, describe(version.split()[0]), len(version.split()), version == version.strip()]


def pid_of_the_server(stage: Stage) -> Any:
    pid = stage.admin().get_pid()
    return [type(pid).__name__, describe(pid.split()[0]), pid.split()[1].isdigit(), pid == pid.strip()]


def ping(stage: Stage) -> Any:
    admin = stage.admin()
    return [type(admin.ping_server()).__name__, 0.0 < admin.ping_server() < SOON_S]


def jobs_of_the_server(stage: Stage) -> Any:
    request = stage.client().submit_job("listed", "x", unique="listed-1", background=True, poll_timeout=SOON_S)
    handle = request.job.handle
    admin = stage.admin()
    jobs = [line for line in admin.get_jobs() if line["handle"] == handle]
    uniques = [line for line in admin.get_unique_jobs() if stage.name("listed-1") in line["unique"]]
    return {
        "jobs": describe(jobs),
        "uniques": describe(uniques),
        "cancelled": describe(admin.cancel_job(handle)),
        "unknown": describe(admin.cancel_job(handle + handle[-1:] * 3)),
    }


def maximum_of_a_queue(stage: Stage) -> Any:
    # gearmand knows a function only once somebody asked for it.
    stage.client().submit_job("few", "x", background=True, poll_timeout=SOON_S)
    return stage.outcome(lambda: stage.admin().send_maxqueue("few", 3))


def several_commands_on_one_client(stage: Stage) -> Any:
    admin = stage.admin()
    return [type(admin.get_version()).__name__, type(admin.ping_server()).__name__, type(admin.get_status()).__name__]


def admin_client_of_other_servers(stage: Stage) -> Any:
    nowhere = stage.admin(absent_server())
    told: dict[str, Any] = {
        "status": stage.outcome(nowhere.get_status),
        "ping": stage.outcome(nowhere.ping_server),
        "none": stage.outcome(lambda: stage.library.GearmanAdminClient().get_status()),
        "two": stage.outcome(lambda: stage.admin("a", "b")),
    }
    with silent_server() as server:
        told["silent status"] = stage.outcome(lambda: stage.admin(server, poll_timeout=SHORT_S).get_status())
        told["silent ping"] = stage.outcome(lambda: stage.admin(server, poll_timeout=SHORT_S).ping_server())
    return told


def shutdown_of_an_admin_client(stage: Stage) -> Any:
    admin = stage.admin()
    admin.get_version()
    told = {"returned": admin.shutdown(), "connected": [each.connected for each in admin.connection_list]}
    told["used again"] = stage.outcome(lambda: type(admin.get_version()).__name__)
    return told


def names_of_servers(stage: Stage) -> Any:
    read = stage.library.util.disambiguate_server_parameter
    return {
        str(given): stage.outcome(read, given) for given in ("host", "host:5", ("host", 5), "10.0.0.1", "host:port")
    }


def small_tools(stage: Stage) -> Any:
    util = stage.library.util
    endless, over = util.Stopwatch(None), util.Stopwatch(0.0)
    return {
        "unlist": [stage.outcome(util.unlist, given) for given in ([], [7], [7, 8], (7,))],
        "endless": [endless.get_time_remaining(), endless.has_time_remaining(), endless.stop_time],
        "over": [over.get_time_remaining(), over.has_time_remaining(over.stop_time + 1.0)],
        "going": 0.0 < util.Stopwatch(SOON_S).get_time_remaining() <= SOON_S,
        "select": describe(util.select([], [], [], 0.0)),
    }


def packets(stage: Stage) -> Any:
    protocol = stage.library.protocol
    echo = protocol.pack_binary_command(protocol.GEARMAN_COMMAND_ECHO_REQ, {"data": "x"})
    answer = protocol.pack_binary_command(protocol.GEARMAN_COMMAND_ECHO_RES, {"data": "x"}, True)
    return {
        "request": describe(echo),
        "response": describe(answer),
        "read": stage.outcome(protocol.parse_binary_command, answer),
        "read request": stage.outcome(lambda: protocol.parse_binary_command(echo, is_response=False)),
        "cut": stage.outcome(protocol.parse_binary_command, answer[:-1]),
        "cut header": stage.outcome(protocol.parse_binary_command, answer[:5]),
        "wrong side": stage.outcome(protocol.parse_binary_command, echo),
        "missing": stage.outcome(lambda: protocol.pack_binary_command(protocol.GEARMAN_COMMAND_ECHO_REQ, {})),
        "unknown": stage.outcome(lambda: protocol.pack_binary_command(4711, {})),
        "number": stage.outcome(lambda: protocol.pack_binary_command(protocol.GEARMAN_COMMAND_ECHO_REQ, {"data": 1})),
        "name": stage.outcome(lambda: protocol.get_command_name(7)),
        "name of none": stage.outcome(lambda: protocol.get_command_name(4711)),
        "submit": [
            stage.outcome(lambda: protocol.submit_cmd_for_background_priority(True, None)),
            stage.outcome(lambda: protocol.submit_cmd_for_background_priority(False, "HIGH")),
            stage.outcome(lambda: protocol.submit_cmd_for_background_priority(False, "URGENT")),
        ],
    }


def job_and_request_by_themselves(stage: Stage) -> Any:
    job = stage.library.job.GearmanJob(None, "H:a:1", "task", "unique", "data")
    request = stage.library.job.GearmanJobRequest(job)
    told = {"job": repr(job), "new": describe(request), "request": repr(request), "dictionary": describe(job.to_dict())}
    complete: dict[str, Any] = {}
    for state in ("UNKNOWN", "PENDING", "CREATED", "FAILED", "COMPLETE"):
        for background in (False, True):
            request = stage.library.job.GearmanJobRequest(job, None, background, 3)
            request.state = state
            complete[f"{state} background={background}"] = request.complete
    told["complete"] = complete
    return told


CALLS = (
    status_lines,
    worker_lines,
    version_of_the_server,
    pid_of_the_server,
    ping,
    jobs_of_the_server,
    maximum_of_a_queue,
    several_commands_on_one_client,
    admin_client_of_other_servers,
    shutdown_of_an_admin_client,
    names_of_servers,
    small_tools,
    packets,
    job_and_request_by_themselves,
)
