"""docs/protocol.md, written from the packet table, the refusals and the classes of the JSON arguments.

What the tables say is theirs; here is the page's shape, and the admin lines, whose answers are code and not a table. A
test holds their list against the server's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Final

from gearjobs.protocol.attributes import AssignAttributes, FailureReport, SubmitAttributes
from gearjobs.protocol.packets import EXTENSIONS_OPTION, HEADER_BYTES, PACKETS, PacketSpec, Refusal, Sender
from scripts.written_docs.field_sentences import field_sentences

PATH: Final = "docs/protocol.md"

#: Numbers from here are gearjobs' own.
_FIRST_EXTENSION: Final = 128

_INTRODUCTION: Final = f"""# What the job server speaks

The Gearman protocol as gearmand 1.1.20 and 2.0 speak it, without their defects; what differs on purpose is in
[gearmand-differences.md](gearmand-differences.md).

A packet is a header of {HEADER_BYTES} bytes and a body. The header is the magic (`\\0REQ` to the server, `\\0RES`
from it), the packet's number and the body's length in bytes, both unsigned, of four bytes, most significant first. The
body is the arguments, a NUL byte between each two; the last one ends with the body and may hold NUL bytes. A packet
whose first byte is no NUL is a line of text, up to its LF: see [admin lines](#admin-lines). Both kinds may follow each
other on a connection.

Answers come in the order of the requests. JOB_CREATED comes before anything else about its job; for a background job it
comes when the job is in the database. A worker's reports marked *passed on* go to every client that waits for the job
in the foreground, under the same number.

"""

_EXTENSIONS: Final = f"""
## Packets of gearjobs

A peer may send them after `OPTION_REQ {EXTENSIONS_OPTION.decode()}` was answered with OPTION_RES, and is sent none
before; a stock gearmand answers the option with ERROR, and everything works without them. gearjobs' own clients and
workers ask for them at once.

"""

_RESUMING: Final = """
## Going on without the server

A job that was got by GRAB_JOB_EXT and whose assignment has a `resume_s` is resumable: its worker need not stop when the
connection breaks, and nobody else gets the job while the worker may still be at it. The worker keeps to this:

* While it holds such jobs it sends RENEW_JOBS every few seconds. The run must be over `resume_s` after it sent the
  last one that was answered with 1, or the GRAB_JOB_EXT that brought the job, whichever was later; and on a connection
  that is open but silent, `lease_s` after it sent the last one that was answered at all.
* When the connection breaks, it goes on and asks the servers of its list in turn: OPTION_REQ, SET_CLIENT_ID with the
  name it had, RESUME_JOB. `accepted`: it reports there from then on. `refused`: it stops the run and forgets the
  outcome. `unknown`: it asks again, there or elsewhere, until the time is over.
* It keeps what it reported of the job's end until OUTCOME_SETTLED names the job. When the connection breaks before, it
  asks RESUME_JOB and, where that is accepted, reports the end once more; twice does no harm. A report on a job that is
  not the worker's is answered with OUTCOME_SETTLED and ERROR JOB_NOT_FOUND.
"""

_ERRORS: Final = """
## Errors

ERROR carries a code and a text. What gearmand refuses is refused in gearmand's words:

| code | text |
|---|---|
"""

_OTHER_ERRORS: Final = """
Where gearmand has no words, because it waits for ever or closes, the code is `INVALID_PACKET` or `ARGUMENT_TOO_LARGE`,
and the text says what was expected and what came. Closed without a word are connections that send an unknown number,
an unknown magic, or a line of more than five words or 8 KiB.
"""

_ADMIN: Final = """
## Admin lines

Words are divided by spaces and taken in any case; a line ends with LF or CRLF. In names, control characters, bytes
that are not UTF-8 and backslashes stand as `\\xNN` (a backslash doubled), so that no name can forge a line; lines that
take a name read it the same way, a space is `\\x20`. Lists end with a line that is a dot. What cannot be carried out is
answered with `ERR` and the reason.

| line | answer |
|---|---|
"""

_SHOWING: Final[Mapping[str, str]] = {
    "status": "`FUNCTION\\tTOTAL\\tRUNNING\\tWORKERS` for each function; TOTAL: jobs that wait, are delayed or run",
    "prioritystatus": "`FUNCTION\\tHIGH\\tNORMAL\\tLOW\\tWORKERS` for each function; delayed jobs are NORMAL",
    "workers": "`FD IP CLIENT-ID : FUNCTION ...` for each connection; `-` where it gave no id; `benched:FUNCTION` "
    "where it fails fast and gets only some of the function's jobs",
    "show jobs": "`HANDLE\\tRETRIES\\tIGNORED\\tPERSISTED` for each job; nothing is ever ignored",
    "show unique jobs": "the unique of each job",
    "show worker reports": "`ID\\tADDRESS\\tREPORT` for each worker that sent WORKER_REPORT: the last; ours",
    "show snapshot": "one line of JSON: functions, connections with what they run, the store, the server itself; ours",
    "version": "`OK` and the version",
    "getpid": "`OK` and the process id",
    "verbose": "`OK` and the log level",
}
_CHANGING: Final[Mapping[str, str]] = {
    "cancel job HANDLE": "`OK`; the job is over: its record says cancelled, its clients hear WORK_FAIL, its unique is "
    "free, and what a worker that runs it still reports is passed over",
    "create function NAME": "`OK`; the function is listed and can be limited before anybody uses it",
    "drop function NAME": "`OK`; its jobs are gone with their records, and their clients hear WORK_FAIL; refused while "
    "workers can do it",
    "maxqueue NAME [N \\| HIGH NORMAL LOW]": "`OK`; a new job is refused while the function has so many, waiting or "
    "running, whatever their priority; 0, or no number, is any number; forgotten when the server ends",
    "pause NAME": "`OK`; no job of the function is handed out from now on, and what runs goes on; with `--queue-type "
    "database` it holds at every server of the database and over restarts, and `OK` means that it is kept; ours",
    "resume NAME": "`OK`; its jobs are handed out again; ours",
    "clear NAME": "`OK` and how many jobs of the function wait here: they end as cancelled, some at a time; ours",
    "shutdown [graceful]": "`OK`; the server ends, graceful: with its last connection",
}

_END: Final = """
The lines from `cancel` on are taken only from peers on the server's own machine (127.0.0.0/8, ::1).

## SUBMIT_JOB_SCHED

The five fields are a crontab's: numbers, three-letter names, `*`, ranges (`1-5`), steps (`*/15`) and lists (`0,30`);
an empty field and -1 are `*`. The day of the week counts from Monday = 0, as the Gearman protocol says and unlike cron.
Where both the day of the month and the day of the week are given, either matches. The job runs once, at the next minute
that matches in the time zone of the server (Django's `TIME_ZONE`); the time is kept with the job.
"""


def render() -> str:
    """Return the page."""
    ours = [spec for spec in PACKETS.values() if spec.type >= _FIRST_EXTENSION]
    stock = [spec for spec in PACKETS.values() if spec.type < _FIRST_EXTENSION]
    # The other magic is the client's to expect.
    said = [refusal.value for refusal in Refusal if refusal is not Refusal.NOT_RESPONSE_MAGIC]
    refusals = [f"| `{code}` | {text} |\n" for code, text in said]
    lines = [f"| `{line}` | {answer} |\n" for line, answer in {**_SHOWING, **_CHANGING}.items()]
    parts = [
        *(_INTRODUCTION, "## Packets\n\n", _packet_table(stock), _EXTENSIONS, _packet_table(ours)),
        _json_table("attributes of SUBMIT_JOB_EXT", SubmitAttributes),
        _json_table("attributes of JOB_ASSIGN_EXT", AssignAttributes),
        _json_table("failure of WORK_FAIL_EXT", FailureReport),
        *(_RESUMING, _ERRORS, *refusals, _OTHER_ERRORS, _ADMIN, *lines, _END),
    ]
    return "".join(parts)


def admin_words() -> set[str]:
    """Return the first words of the admin lines that the page tells of."""
    return {line.split()[0] for line in {**_SHOWING, **_CHANGING}}


def _packet_table(specs: Iterable[PacketSpec]) -> str:
    rows = [
        f"| {spec.type.value} | `{spec.type.name}` | {_sender(spec)} | {', '.join(spec.arguments)} "
        f"| {spec.sentence} |\n"
        for spec in specs
    ]
    return "".join(["| number | name | from | arguments | meaning |\n|---|---|---|---|---|\n", *rows])


def _sender(spec: PacketSpec) -> str:
    if spec.sender is Sender.NOBODY:
        return ""
    return f"{spec.sender.value}, passed on" if spec.is_relayed else spec.sender.value


def _json_table(title: str, kind: type[SubmitAttributes | AssignAttributes | FailureReport]) -> str:
    """Return the table of a JSON argument; what has its default is left out on the wire."""
    sentences = field_sentences(kind)
    rows = [f"| `{one.name}` | {one.type} | {sentences[one.name]} |\n" for one in fields(kind)]
    return "".join([f"\nThe {title}, a JSON object:\n\n| key | type | meaning |\n|---|---|---|\n", *rows])
