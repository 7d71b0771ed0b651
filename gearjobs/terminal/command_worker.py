"""The worker mode of `gearman`: works at functions with a command, started anew for each job.

The command has the payload on its stdin; what it prints is the result, or with `-n` a piece of data a line, sent as
it comes. A command that ends with anything but 0 has failed: what it printed is sent as data before. Its stderr is the
worker's own. SIGTERM and Ctrl-C let the running command end first; it is in a process group of its own, so that the
terminal's Ctrl-C does not reach it. A job that is cancelled ends its command.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Final

from gearjobs.errors import JobCancelled, JobFailed, UsageError
from gearjobs.guarded_socket import Security
from gearjobs.protocol.wire_text import to_text
from gearjobs.servers import ServerAddress
from gearjobs.terminal.gearman_words import GearmanWords
from gearjobs.terminal.streams import EXIT_FAILURE, EXIT_OK, Streams
from gearjobs.worker.ending.interruption import hear_interrupts
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker

#: Seconds from SIGTERM to SIGKILL for a command whose job was cancelled.
_LEAVE_S: Final = 5.0


class CommandWorker:
    """Works as a command line says.

    Args:
        words: the command line.
        streams: where payloads are printed that no command takes, and failures.
        servers: all of them are served.
        security: how to show who this is.
        program: what messages begin with.

    Raises:
        UsageError: there is no such command, or a function is named twice.
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
        if words.words and shutil.which(os.fsdecode(words.words[0])) is None:
            # Else every job there is would fail, one after the other.
            raise UsageError(f"there is no command {os.fsdecode(words.words[0])!r} to run for each job")
        self._words = words
        self._streams = streams
        self._program = program
        self._left = words.count
        self._lock = threading.Lock()
        self._silence: threading.Timer | None = None
        self._is_over = False
        self._worker = Worker(servers, client_id=f"{socket.gethostname()}-{os.getpid()}", security=security)
        # A command cannot be asked to stop otherwise, so that there is nothing to wait for.
        self._worker.watch_runs(on_lost=_stop, cancel_grace_s=0.0)
        for function in words.functions:
            self._worker.register(function, self._run)

    def run(self) -> int:
        """Work until a signal comes, or as many jobs are done as are to be; return the exit code.

        Raises:
            KeyboardInterrupt, SystemExit: a second Ctrl-C, or a reader that went away, gave the running job back.
        """
        if threading.current_thread() is threading.main_thread():
            self._worker.stop_on_signals()
            hear_interrupts()
        self._listen()
        try:
            self._worker.work()
        finally:
            self._is_over = True
            self._hear()
        return EXIT_OK

    def _run(self, job: RunningJob) -> bytes:
        self._hear()
        try:
            if self._words.is_verbose:
                self._print(f"Job {job.handle} of {to_text(job.function)}\n".encode())
            return job.interruption.run(lambda: self._outcome(job))
        except JobFailed as failure:
            # Said here, without the traceback that a failing function would have.
            job.is_failure_logged = True
            job.fails_plainly = True
            self._streams.stderr(f"{self._program}: job {job.handle} failed: {failure.message}\n".encode())
            raise
        finally:
            self._count()
            self._listen()

    def _outcome(self, job: RunningJob) -> bytes:
        if not self._words.words:
            self._print(job.payload)
            return b""
        output, code = self._lines(job) if self._words.is_by_line else self._whole(job)
        if code:
            if output:
                job.send_data(output)
            end = f"exit code {code}" if code > 0 else f"signal {-code}"
            raise JobFailed(f"the command {os.fsdecode(self._words.words[0])!r} ended with {end}")
        return output

    def _whole(self, job: RunningJob) -> tuple[bytes, int]:
        with self._command(job, subprocess.PIPE) as process:
            output, _ = process.communicate(job.payload)
        return output, process.returncode

    def _lines(self, job: RunningJob) -> tuple[bytes, int]:
        # A file, not a pipe: nobody has to feed it while the lines are read.
        with tempfile.TemporaryFile() as payload:
            payload.write(job.payload)
            payload.seek(0)
            with self._command(job, payload) as process:
                for line in process.stdout or ():
                    job.send_data(line.removesuffix(b"\n") if self._words.is_stripped else line)
        return b"", process.returncode

    @contextmanager
    def _command(self, job: RunningJob, stdin: int | IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
        """Run the command; what is raised in the block, a cancel among others, ends it with all it started."""
        # Nothing may be raised while it is started and ended: it would go on, and be waited for.
        job.interruption.hold()
        with subprocess.Popen(  # noqa: S603  # what the command line of this program says
            self._words.words, stdin=stdin, stdout=subprocess.PIPE, process_group=0
        ) as process:
            try:
                job.interruption.let_go()
                yield process
            except BaseException:
                job.interruption.hold()
                _end_group(process)
                raise

    def _print(self, chunk: bytes) -> None:
        try:
            self._streams.stdout(chunk)
        except BrokenPipeError as error:
            # Nobody reads: the job is for another worker, and so are those after it.
            raise SystemExit(EXIT_FAILURE) from error

    def _count(self) -> None:
        """One job less, or one silence that counts as a job."""
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._worker.stop()

    def _listen(self) -> None:
        if self._words.timeout_s is not None and self._left > 0 and not self._is_over:
            self._silence = threading.Timer(self._words.timeout_s, self._note_silence)
            self._silence.daemon = True
            self._silence.start()

    def _hear(self) -> None:
        if self._silence is not None:
            self._silence.cancel()

    def _note_silence(self) -> None:
        self._count()
        self._listen()


def _stop(job: RunningJob) -> None:
    job.interruption.interrupt(JobCancelled("the run was lost: another worker may have the job"))


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(_LEAVE_S)
