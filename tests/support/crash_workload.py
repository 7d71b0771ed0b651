"""What is done to a job table before the power fails, and what must be true of every disk that is found afterwards.

A seed draws batches of a job server's store and transactions of web processes that enqueue, some of them rolled back,
all on one SQLite file that lies on a `RecordingDisk`. `violations` then reads an image with the ordinary sqlite3 module
and says what is wrong with it: invariants I1, I2 and I10 of a single server, no job without its transaction, and no
retry without the record of the attempt that failed.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import apsw
from django.db import Error, connections, transaction

from gearjobs.core.changes import Accepted, Change, Finished, JobFailure, Outcome, Retried, Started
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.errors import StoreError
from gearjobs.models import Job, JobAttempt, JobGroup, JobMember, JobOutput, JobServer
from gearjobs.records.job_queries import NewJob, insert_jobs
from gearjobs.records.record_store import RecordStore
from tests.support.crash_disk import CrashImage, RecordingDisk, Step

ALIAS: Final = "crash"
FILE: Final = "jobs.sqlite3"
#: What a project keeps beside its jobs; one row for each job enqueued with it.
_ORDERS: Final = "CREATE TABLE orders (handle TEXT PRIMARY KEY)"


@dataclass
class History:
    """What was done, as far as an image can be held against it."""

    #: Payload of every job that was ever handed in, kept or not.
    payloads: dict[str, bytes] = field(default_factory=dict)
    #: Result of every job whose end was handed in.
    results: dict[str, bytes] = field(default_factory=dict)
    #: How many attempts of each job were handed in.
    attempts: dict[str, int] = field(default_factory=dict)
    #: Handles that one transaction wrote together.
    together: list[set[str]] = field(default_factory=list)
    #: Handles enqueued by web processes, which have an order each.
    ordered: set[str] = field(default_factory=set)
    rolled_back: set[str] = field(default_factory=set)


@dataclass
class Workload:
    """One run on one disk.

    Args:
        folder: where the files lie.
        empty: the file with empty tables, from `make_empty_file`.
        seed: draws the run.
        after_open: makes the store's session worse, for a mutant.
        promises_early: acknowledges before the commit, for a mutant.
    """

    folder: Path
    empty: bytes
    seed: int
    after_open: Callable[[Any], None] = lambda cursor: None
    promises_early: bool = False
    #: Syncs, or writes, after which one fails; 0 for never.
    fails_at_sync: int = 0
    fails_at_write: int = 0
    #: How many transactions failed.
    failures: int = 0
    history: History = field(default_factory=History)

    def run(self, *, actions: int = 40) -> list[Step]:
        """Do it all and return what the disk was told."""
        chance = random.Random(self.seed)
        disk = RecordingDisk(f"recording-{self.seed}")
        path = self.folder / FILE
        path.write_bytes(self.empty)
        with _database(path, disk.name), closing(RecordStore(ALIAS, "server")) as store:
            store.load()
            # A web process that has the file open as well: the store's connection is not the last one to be closed.
            web = apsw.Connection(str(path), vfs=disk.name)
            web.execute("SELECT count(*) FROM orders").fetchall()
            with connections[ALIAS].cursor() as cursor:
                # So that the log is moved into the file while we watch.
                cursor.execute("PRAGMA wal_autocheckpoint = 20")
                self.after_open(cursor)
            disk.syncs_left, disk.writes_left = self.fails_at_sync, self.fails_at_write
            for number in range(actions):
                some = (self._accept, self._accept, self._finish, self._retry, self._order, self._order)
                action = chance.choice(some)
                action(number, store, disk, chance)
            with suppress(apsw.Error):
                web.close()
        disk.unregister()
        return disk.steps

    def _accept(self, number: int, store: RecordStore, disk: RecordingDisk, chance: random.Random) -> None:
        handles = [f"H:crash:{number:03}{place:03}" for place in range(chance.choice((1, 3, 12)))]
        changes: list[Change] = []
        for handle in handles:
            self.history.payloads[handle] = chance.randbytes(chance.choice((0, 30, 700, 5000)))
            changes.append(
                Accepted(
                    JobHandle(handle.encode()), FunctionName(b"f"), b"", self.history.payloads[handle], 0, 0.0, 1.8e9
                )
            )
        if self._commit(store, changes, disk, [f"kept {handle}" for handle in handles]):
            self.history.together.append(set(handles))

    def _finish(self, number: int, store: RecordStore, disk: RecordingDisk, chance: random.Random) -> None:
        changes: list[Change] = []
        for handle in self._unfinished(chance, 4):
            self.history.results[handle] = chance.randbytes(40)
            changes.append(self._start(handle))
            changes.append(Finished(changes[-1].handle, Outcome.SUCCEEDED, self.history.results[handle], 1.8e9))
        finished = [change.handle.decode() for change in changes if isinstance(change, Finished)]
        self._commit(store, changes, disk, [f"finished {handle}" for handle in finished])

    def _retry(self, number: int, store: RecordStore, disk: RecordingDisk, chance: random.Random) -> None:
        changes: list[Change] = []
        for handle in self._unfinished(chance, 3):
            start = self._start(handle)
            failure = JobFailure("a.B", "no picture", "x" * chance.choice((0, 3000)))
            changes += [start, Retried(start.handle, start.attempt, failure, 1.8e9, 1.8e9)]
        promises = [f"retried {one.handle.decode()} {one.attempt}" for one in changes if isinstance(one, Retried)]
        self._commit(store, changes, disk, promises)

    def _unfinished(self, chance: random.Random, count: int) -> list[str]:
        unfinished = sorted(set().union(*self.history.together) - self.history.results.keys() - self.history.ordered)
        return chance.sample(unfinished, min(len(unfinished), count))

    def _start(self, handle: str) -> Started:
        attempt = self.history.attempts[handle] = self.history.attempts.get(handle, 0) + 1
        return Started(JobHandle(handle.encode()), attempt, ["w"] * attempt, 1.8e9)

    def _order(self, number: int, store: RecordStore, disk: RecordingDisk, chance: random.Random) -> None:
        handles = [f"H:web:{number:03}{place:03}" for place in range(chance.choice((1, 4)))]
        is_undone = chance.random() < 0.3
        self.history.payloads.update({handle: chance.randbytes(60) for handle in handles})
        self.history.ordered |= set(handles)
        if is_undone:
            self.history.rolled_back |= set(handles)
        if self.promises_early and not is_undone:
            _promise(disk, [f"kept {handle}" for handle in handles])
        is_kept = self._enqueue_with_orders(handles, is_undone=is_undone)
        if is_kept:
            self.history.together.append(set(handles))
            _promise(disk, [f"kept {handle}" for handle in handles])

    def _enqueue_with_orders(self, handles: list[str], *, is_undone: bool) -> bool:
        """Do what a web process does in a transaction; return whether it was committed."""
        try:
            with transaction.atomic(using=ALIAS):
                with connections[ALIAS].cursor() as cursor:
                    cursor.executemany("INSERT INTO orders (handle) VALUES (%s)", [(handle,) for handle in handles])
                insert_jobs([NewJob(handle, b"f", self.history.payloads[handle]) for handle in handles], using=ALIAS)
                transaction.set_rollback(is_undone, using=ALIAS)
        except Error:
            # As at the end of a web process's request.
            _close()
            self.failures += 1
            return False
        return not is_undone

    def _commit(self, store: RecordStore, changes: list[Change], disk: RecordingDisk, promises: list[str]) -> bool:
        if self.promises_early:
            _promise(disk, promises)
        try:
            store.commit(changes)
        except StoreError:
            self.failures += 1
            return False
        _promise(disk, promises)
        return True


def violations(image: CrashImage, history: History, folder: Path) -> list[str]:
    """Return what is wrong with an image; nothing, if all is well."""
    image.write_to(folder)
    try:
        with closing(sqlite3.connect(folder / FILE)) as reader:
            columns = "handle, payload, result, attempt, finished_at IS NOT NULL"
            jobs = {handle: rest for handle, *rest in reader.execute(f"SELECT {columns} FROM gearjobs_job")}
            attempts = reader.execute("SELECT job_id, number FROM gearjobs_jobattempt").fetchall()
            orders = {handle for (handle,) in reader.execute("SELECT handle FROM orders")}
            (verdict,) = reader.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return [f"cannot be read: {error}"]
    found = [] if verdict == "ok" else [f"corrupt: {verdict}"]
    numbers: dict[str, list[int]] = {handle: [] for handle in jobs}
    for handle, number in sorted(attempts):
        numbers.setdefault(handle, []).append(number)
    for promise in image.promised:
        kind, handle, *attempt = promise.split()
        is_lost = handle not in jobs or (kind == "finished" and jobs[handle][1] != history.results[handle])
        if is_lost or (attempt and int(attempt[0]) not in numbers[handle]):
            found.append(f"lost: {promise}")
    found += [
        f"attempts of {handle}: {some}" for handle, some in numbers.items() if not _are_whole(jobs.get(handle), some)
    ]
    found += [f"not as handed in: {handle}" for handle in jobs if jobs[handle][0] != history.payloads.get(handle)]
    found += [f"torn: {min(group)}" for group in history.together if group & jobs.keys() not in (set(), group)]
    found += [f"phantom: {handle}" for handle in history.rolled_back & (jobs.keys() | orders)]
    found += [f"job and order differ: {handle}" for handle in (jobs.keys() & history.ordered) ^ orders]
    return found


def _are_whole(job: list[Any] | None, attempts: list[int]) -> bool:
    """Tell whether the recorded attempts fit the job: every run failed, but for the one that ended it."""
    if job is None:
        return not attempts
    _, _, attempt, is_finished = job
    return all(number < attempt for number in attempts) if is_finished else max(attempts, default=0) == attempt


def _promise(disk: RecordingDisk, promises: list[str]) -> None:
    for promise in promises:
        disk.promise(promise)


def _close() -> None:
    # The last close moves the log into the file, and the disk may fail just then.
    with suppress(Error):
        connections[ALIAS].close()


def make_empty_file(folder: Path) -> bytes:
    """Return a database file with the tables and nothing in them."""
    path = folder / FILE
    with _database(path, None):
        with connections[ALIAS].schema_editor() as editor:
            # No others: each image is a whole file.
            for model in (Job, JobOutput, JobAttempt, JobGroup, JobMember, JobServer):
                editor.create_model(model)
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(_ORDERS)
    return path.read_bytes()


@contextmanager
def _database(path: Path, vfs: str | None) -> Iterator[None]:
    """Let Django know the file under the alias, on the VFS or as an ordinary one."""
    plain = connections.settings["default"]
    engine, options = "django.db.backends.sqlite3", {}
    if vfs is not None:
        engine, options = "tests.support.crash_database", {"vfs": vfs}
    connections.settings[ALIAS] = {**plain, "ENGINE": engine, "NAME": path, "OPTIONS": options}
    try:
        yield
    finally:
        _close()
        del connections[ALIAS]
        del connections.settings[ALIAS]
