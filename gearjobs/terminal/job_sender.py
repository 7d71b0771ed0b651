"""The client mode of `gearman`: submits jobs, and prints what comes of them.

Each payload is submitted to every function, to several at once; the next payload follows when all of them have ended.
Background jobs are submitted as many at once as are there, so that a file of a million lines is soon in.
Data and results go to stdout as they are, with no line end added; warnings and failures to stderr. A job that fails
does not keep the others from being submitted, a server that cannot be reached does.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from typing import Final

from gearjobs.client.client import Client
from gearjobs.client.in_flight import JobCreated, JobData, JobEvent, JobProgress, JobWarning
from gearjobs.client.requests import job_request, put_in_background
from gearjobs.errors import DeadlineExceeded, GearjobsError, JobFailed, ServerError
from gearjobs.guarded_socket import Security
from gearjobs.protocol.wire_text import to_text
from gearjobs.servers import ServerAddress
from gearjobs.terminal.gearman_words import GearmanWords
from gearjobs.terminal.streams import EXIT_FAILURE, EXIT_OK, Streams

#: A high and a low lane are all that gearmand's tool knows.
_LANE: Final = 1
#: Bytes of stdin taken at once, where there are as many.
_CHUNK_BYTES: Final = 65_536


class JobSender:
    """Submits what a command line says.

    Args:
        words: the command line.
        streams: where payloads come from and results go.
        servers: in order of preference.
        security: how to show who this is.
        program: what messages begin with.
    """

    def __init__(
        self,
        words: GearmanWords,
        streams: Streams,
        *,
        servers: Sequence[ServerAddress],
        security: Security,
        program: str,
    ) -> None:
        self._words = words
        self._streams = streams
        self._program = program
        self._client = Client(servers, security=security)
        self._priority = words.priority * _LANE
        self._is_failed = False
        # Several functions' jobs print side by side.
        self._lock = threading.Lock()

    def run(self) -> int:
        """Submit everything, and return the exit code.

        Raises:
            UsageError: a function's name cannot be.
            ServerUnavailable: no server answered.
        """
        with self._client:
            for payloads in self._payloads():
                if self._words.is_background:
                    self._submit([(function, payload) for payload in payloads for function in self._words.functions])
                else:
                    for payload in payloads:
                        self._do_at_all(payload)
        return EXIT_FAILURE if self._is_failed else EXIT_OK

    def _payloads(self) -> Iterator[list[bytes]]:
        """Yield payloads as they come, as many at once as are there."""
        if self._words.words:
            yield self._words.words
        elif self._words.is_without_input:
            yield [b""]
        elif self._words.is_by_line:
            for lines in _lines_of(self._streams.stdin):
                yield [line.removesuffix(b"\n") for line in lines] if self._words.is_stripped else lines
        else:
            yield [self._streams.stdin.read()]

    def _submit(self, jobs: list[tuple[bytes, bytes]]) -> None:
        """Submit background jobs, each a function and a payload, in as few writes as they take."""
        requests = [
            job_request(function, payload, unique=self._words.unique, priority=self._priority)
            for function, payload in jobs
        ]
        for request in requests:
            put_in_background(request)
        for request, outcome in zip(requests, self._client.submit_all(requests), strict=True):
            prefix = self._prefix(request.function)
            if isinstance(outcome, ServerError):
                self._fail(prefix, f"{self._program}: {outcome}")
            else:
                self._show(JobCreated(outcome), prefix)

    def _do_at_all(self, payload: bytes) -> None:
        """Have every function do the payload, and wait for the last."""
        functions = self._words.functions
        if len(functions) == 1:
            self._do(functions[0], payload)
            return
        faults: list[Exception] = []
        # Daemons: Ctrl-C ends the program, though they wait.
        threads = [
            threading.Thread(target=self._do_beside, args=(function, payload, faults), daemon=True)
            for function in functions
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise faults[0]

    def _do_beside(self, function: bytes, payload: bytes, faults: list[Exception]) -> None:
        try:
            self._do(function, payload)
        except (GearjobsError, OSError) as fault:
            faults.append(fault)

    def _do(self, function: bytes, payload: bytes) -> None:
        prefix = self._prefix(function)
        try:
            result = self._client.do(
                function,
                payload,
                unique=self._words.unique,
                priority=self._priority,
                timeout_s=self._words.timeout_s,
                on_event=lambda event: self._show(event, prefix),
            )
            self._print(prefix + result)
        except JobFailed as failure:
            self._fail(prefix, f"Job failed{_reason(failure)}")
        except (ServerError, DeadlineExceeded) as error:
            self._fail(prefix, f"{self._program}: {error}")

    def _prefix(self, function: bytes) -> bytes:
        return to_text(function).encode() + b": " if self._words.has_prefix else b""

    def _show(self, event: JobEvent, prefix: bytes) -> None:
        match event:
            case JobCreated() if self._words.is_verbose:
                self._print(f"Task created: {event.handle}\n".encode())
            case JobProgress() if event.denominator:
                share = event.numerator * 100 // event.denominator
                self._print(prefix + b"%d%% Complete\n" % share)
            case JobData():
                self._print(prefix + event.body)
            case JobWarning():
                with self._lock:
                    self._streams.stderr(prefix + event.body)
            case _:
                pass

    def _print(self, chunk: bytes) -> None:
        with self._lock:
            self._streams.stdout(chunk)

    def _fail(self, prefix: bytes, sentence: str) -> None:
        with self._lock:
            self._is_failed = True
            self._streams.stderr(prefix + sentence.encode("utf-8", "backslashreplace") + b"\n")


def _lines_of(stdin: io.BufferedIOBase) -> Iterator[list[bytes]]:
    """Yield the lines that are there, with their ends, as often as some have come; the last may have none."""
    begun: list[bytes] = []
    while chunk := stdin.read1(_CHUNK_BYTES):
        # Not splitlines, for which a line also ends at a CR.
        *ends, rest = chunk.split(b"\n")
        if ends:
            yield [b"".join([*begun, ends[0], b"\n"]), *(line + b"\n" for line in ends[1:])]
            begun = []
        if rest:
            begun.append(rest)
    if begun:
        yield [b"".join(begun)]


def _reason(failure: JobFailed) -> str:
    # A command that failed has no exception worth a name.
    is_plain = failure.class_path in {"", f"{JobFailed.__module__}.{JobFailed.__qualname__}"}
    text = failure.message if is_plain else str(failure)
    return f": {text}" if text else ""
