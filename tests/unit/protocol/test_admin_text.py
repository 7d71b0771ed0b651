"""Admin answers byte by byte as gearmand prints them, the forgeries that escaping stops, and the way back."""

from __future__ import annotations

import pytest

from gearjobs.errors import UsageError, WireError
from gearjobs.protocol import admin_text
from gearjobs.protocol.admin_text import AdminError, FunctionLine, JobLine, PriorityLine, WorkerLine, line_word
from gearjobs.protocol.wire_text import unescape
from gearjobs.protocol.worker_report import WorkerReport

STATUS = [FunctionLine(b"resize", 5, 2, 3), FunctionLine(b"wc", 0, 0, 0)]
PRIORITY_STATUS = [PriorityLine(b"resize", 1, 2, 3, 4)]
WORKERS = [
    WorkerLine(36, "127.0.0.1", b"w 1", (b"wc", b"resize")),
    WorkerLine(37, "::1", b"-", ()),
]
JOBS = [JobLine(b"H:host:1", 2, False, True), JobLine(b"H:host:2", 0, True, False)]
# A name that would be a line of its own, or end the list, if it were printed raw.
FORGERY = b"a\t1\t1\t1\nb\r\n.\n"


def test_status_is_name_total_running_workers() -> None:
    assert admin_text.render_status(STATUS) == b"resize\t5\t2\t3\nwc\t0\t0\t0\n.\n"


def test_prioritystatus_is_name_high_normal_low_workers() -> None:
    assert admin_text.render_prioritystatus(PRIORITY_STATUS) == b"resize\t1\t2\t3\t4\n.\n"


def test_workers_are_fd_address_id_colon_functions() -> None:
    assert admin_text.render_workers(WORKERS) == b"36 127.0.0.1 w 1 : wc resize\n37 ::1 - :\n.\n"


def test_worker_with_an_empty_id_is_printed_with_a_dash_so_that_the_fourth_word_is_the_colon() -> None:
    assert admin_text.render_workers([WorkerLine(3, "127.0.0.1", b"", (b"f",))]) == b"3 127.0.0.1 - : f\n.\n"


def test_functions_at_which_a_worker_is_benched_stand_behind_all_others() -> None:
    line = WorkerLine(36, "::1", b"-", (b"wc", b"resize"), (b"resize",))

    body = admin_text.render_workers([line])

    assert body == b"36 ::1 - : wc resize benched:resize\n.\n"
    assert admin_text.parse_workers(body) == [line]


def test_function_that_is_only_named_like_a_benched_one_is_a_function() -> None:
    line = WorkerLine(36, "::1", b"-", (b"benched:wc",))

    assert admin_text.parse_workers(admin_text.render_workers([line])) == [line]


def test_jobs_are_handle_retries_ignored_persisted() -> None:
    assert admin_text.render_jobs(JOBS) == b"H:host:1\t2\t0\t1\nH:host:2\t0\t1\t0\n.\n"


def test_unique_jobs_are_one_unique_a_line_an_empty_one_too() -> None:
    assert admin_text.render_unique_jobs([b"u-1", b"", b"\xff"]) == b"u-1\n\n\\xff\n.\n"


def test_unique_of_one_dot_does_not_end_the_list() -> None:
    assert admin_text.render_unique_jobs([b".", b".."]) == b"\\x2e\n..\n.\n"


def test_empty_list_is_its_end() -> None:
    assert admin_text.render_status([]) == b".\n"


def test_value_follows_ok() -> None:
    assert admin_text.render_value("1.1.20") == b"OK 1.1.20\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (AdminError.UNKNOWN_SHOW_ARGUMENTS, b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n"),
        (AdminError.UNKNOWN_JOB, b"ERR UNKNOWN_JOB\r\n"),
        (AdminError.UNKNOWN_ERROR, b"ERR UNKNOWN_ERROR\r\n"),
        (AdminError.FUNCTION_NOT_FOUND, b"ERR function not found\r\n"),
        (AdminError.FUNCTION_IN_USE, b"ERR there are still connected workers or executing clients\r\n"),
        (AdminError.UNKNOWN_SHUTDOWN_ARGUMENTS, b"ERR UNKNOWN_SHUTDOWN_ARGUMENTS\r\n"),
    ],
)
def test_error_is_gearmands_line(error: AdminError, line: bytes) -> None:
    assert admin_text.render_error(error) == line


def test_unknown_command_is_named_without_a_space() -> None:
    answer = admin_text.render_unknown_command(b"shutdown")

    assert answer == b"ERR UNKNOWN_COMMAND Unknown+server+commandshutdown\r\n"


def test_unknown_command_cannot_forge_a_second_line() -> None:
    assert admin_text.render_unknown_command(b"x\rOK").count(b"\r") == 1


def test_incomplete_command_is_named() -> None:
    expected = b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+create\r\n"

    assert admin_text.render_incomplete_command("create") == expected


def test_answer_reads_back_as_the_lines_it_was_written_of() -> None:
    assert admin_text.parse_status(admin_text.render_status(STATUS)) == STATUS
    assert admin_text.parse_prioritystatus(admin_text.render_prioritystatus(PRIORITY_STATUS)) == PRIORITY_STATUS
    assert admin_text.parse_workers(admin_text.render_workers(WORKERS)) == WORKERS
    assert admin_text.parse_jobs(admin_text.render_jobs(JOBS)) == JOBS


def test_forged_names_stay_inside_their_line() -> None:
    forged = FunctionLine(FORGERY, 0, 0, 1)

    body = admin_text.render_status([forged])

    assert body.count(b"\n") == 2
    assert admin_text.parse_status(body) == [forged]


def test_forged_client_id_stays_inside_its_line() -> None:
    forged = WorkerLine(9, "127.0.0.1", FORGERY, (FORGERY,))

    body = admin_text.render_workers([forged])

    assert body.count(b"\n") == 2
    assert admin_text.parse_workers(body) == [forged]


def test_function_without_a_name_reads_back() -> None:
    line = WorkerLine(9, "127.0.0.1", b"-", (b"",))

    assert admin_text.parse_workers(admin_text.render_workers([line])) == [line]


def test_what_follows_the_end_of_the_list_is_not_read() -> None:
    assert admin_text.parse_status(b"wc\t0\t0\t1\n.\nOK\n") == [FunctionLine(b"wc", 0, 0, 1)]


def test_list_without_its_end_and_with_crlf_is_read() -> None:
    assert admin_text.parse_status(b"wc\t0\t0\t1\r\n") == [FunctionLine(b"wc", 0, 0, 1)]


def test_raw_name_of_a_stock_gearmand_is_read() -> None:
    assert admin_text.parse_status(b"a\tb\xff\t0\t0\t1\n.\n") == [FunctionLine(b"a\tb\xff", 0, 0, 1)]


@pytest.mark.parametrize(
    "line", [b"", b"wc", b"wc\t1\t2", b"wc\t1\t2\tx", b"wc\t1\t2\t-3", b"wc\t1\t2\t" + b"9" * 5000]
)
def test_line_that_is_no_status_is_refused_with_its_text(line: bytes) -> None:
    with pytest.raises(WireError, match="must be NAME TOTAL RUNNING WORKERS, got b'") as caught:
        admin_text.parse_status(line + b"\n.\n")

    assert caught.value.code == "INVALID_PACKET"


@pytest.mark.parametrize("line", [b"", b"x 127.0.0.1 - :", b"3 127.0.0.1 -", b"3 127.0.0.1 - :f", b"3 \xff - :"])
def test_line_that_is_no_worker_is_refused_with_its_text(line: bytes) -> None:
    with pytest.raises(WireError, match="must be FD IP ID"):
        admin_text.parse_workers(line + b"\n")


def test_worker_reports_come_back_as_they_were() -> None:
    lines = [
        admin_text.WorkerReportLine(b"a\tb", "10.0.0.9:4000", WorkerReport(pid=7, queues=("mail",))),
        admin_text.WorkerReportLine(b"box-0", "unix:", WorkerReport()),
    ]

    assert admin_text.parse_worker_reports(admin_text.render_worker_reports(lines)) == lines


def test_line_that_is_no_worker_report_is_refused_with_its_text() -> None:
    with pytest.raises(WireError, match="must be ID ADDRESS REPORT, got b'box-0"):
        admin_text.parse_worker_reports(b"box-0\t10.0.0.9:4000\n")


@pytest.mark.parametrize("name", ["resize", b"two words", "größe", b"\xff\\\t", b"."])
def test_name_becomes_one_word_and_comes_back(name: str | bytes) -> None:
    word = line_word(name)

    assert len(word.split()) == 1
    assert unescape(word) == (name.encode() if isinstance(name, str) else name)


def test_empty_name_is_no_word() -> None:
    with pytest.raises(UsageError, match="must not be empty"):
        line_word("")
