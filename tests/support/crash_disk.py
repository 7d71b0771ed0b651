"""A disk that can lose power: what SQLite writes through it is noted, and every disk a crash might have left is made.

`RecordingDisk` is an SQLite VFS (apsw) that passes every call on to the real file system and notes writes, truncations,
syncs and removals in order, with marks that the test puts between them. `crash_images` walks through the notes and
makes, for each moment, the disks that may be found after the power failed there: what was synced is there for certain;
of what was not, nothing, everything, or any mixture by sectors of 512 bytes. Source: SQLite's own crash tests; "Atomic
Commit In SQLite", section on what hardware may do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import apsw

#: What a disk writes whole or not at all.
SECTOR_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes were written."""

    file: str
    offset: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file was cut to a length."""

    file: str
    length: int


@dataclass(frozen=True, slots=True)
class Sync:
    """A file's writes so far will survive."""

    file: str


@dataclass(frozen=True, slots=True)
class FailedSync:
    """The system could not sync a file: what was unsynced is in its cache, and may never reach the disk."""

    file: str


@dataclass(frozen=True, slots=True)
class Remove:
    """A file was removed."""

    file: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The test's own note."""

    #: What is promised from here on.
    promised: str


Step = Write | Truncate | Sync | FailedSync | Remove | Mark


class RecordingDisk(apsw.VFS):
    """The VFS; database files are opened through it by naming it.

    Args:
        name: what connections call it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        #: Everything that happened, in order.
        self.steps: list[Step] = []
        #: Syncs, and writes, until one fails; below zero for never.
        self.syncs_left = -1
        self.writes_left = -1
        super().__init__(name, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _RecordingFile:  # noqa: N802 - SQLite's
        """Open a file whose writes are noted; SQLite's temporary files have no name and do not matter."""
        return _RecordingFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's
        """Note the removal, and remove."""
        self.steps.append(Remove(Path(filename).name))
        super().xDelete(filename, syncdir)

    def promise(self, what: str) -> None:
        """Note that from here on something is promised."""
        self.steps.append(Mark(what))


class _RecordingFile(apsw.VFSFile):
    def __init__(self, disk: RecordingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._file = None if path is None else Path(path).name
        self._disk = disk
        self._steps = disk.steps

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's
        if self._file is not None:
            self._disk.writes_left -= 1
            if self._disk.writes_left == 0:
                raise apsw.FullError("no space left on device")
            self._steps.append(Write(self._file, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's
        if self._file is not None:
            self._steps.append(Truncate(self._file, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's
        if self._file is not None:
            self._disk.syncs_left -= 1
            if self._disk.syncs_left == 0:
                self._steps.append(FailedSync(self._file))
                raise apsw.IOError("input/output error")
            self._steps.append(Sync(self._file))
        super().xSync(flags)


@dataclass(slots=True)
class CrashImage:
    """A disk as it may be found after the power failed."""

    #: How many steps had happened.
    after: int
    #: What became of the unsynced writes: drop, keep or mix.
    fate: str
    files: dict[str, bytes]
    #: What had been promised.
    promised: frozenset[str]

    def write_to(self, folder: Path) -> None:
        """Put the files into a folder, and nothing else."""
        for old in folder.iterdir():
            old.unlink()
        for name, body in self.files.items():
            (folder / name).write_bytes(body)


@dataclass(slots=True)
class _Disk:
    """The state of the disk while the steps are walked through."""

    synced: dict[str, bytearray] = field(default_factory=dict)
    unsynced: dict[str, list[Write | Truncate | Remove]] = field(default_factory=dict)

    def take(self, step: Write | Truncate | Sync | FailedSync | Remove) -> None:
        if isinstance(step, FailedSync):
            self.unsynced.pop(step.file, None)
        elif isinstance(step, Sync):
            # File systems journal their folders in order: what was removed before any sync stays removed after it.
            removed = [name for name, steps in self.unsynced.items() if isinstance(steps[-1], Remove)]
            for name in {step.file, *removed}:
                for pending in self.unsynced.pop(name, ()):
                    _apply(self.synced, pending)
        else:
            self.unsynced.setdefault(step.file, []).append(step)

    def left(self, fate: str, chance: random.Random) -> dict[str, bytes]:
        files = {name: bytearray(body) for name, body in self.synced.items()}
        if fate != "drop":
            for steps in self.unsynced.values():
                for step in steps:
                    for piece in [step] if fate == "keep" else _survivors(step, chance):
                        _apply(files, piece)
        return {name: bytes(body) for name, body in files.items()}


def _survivors(step: Write | Truncate | Remove, chance: random.Random) -> Iterator[Write | Truncate | Remove]:
    """Return what is left of an unsynced step when each sector has a fate of its own."""
    if not isinstance(step, Write):
        if chance.random() < 0.5:
            yield step
        return
    kept = chance.random()
    start = 0
    while start < len(step.body):
        end = start + SECTOR_BYTES - (step.offset + start) % SECTOR_BYTES
        if chance.random() < kept:
            yield Write(step.file, step.offset + start, step.body[start:end])
        start = end


def _apply(files: dict[str, bytearray], step: Write | Truncate | Remove) -> None:
    if isinstance(step, Remove):
        files.pop(step.file, None)
        return
    body = files.setdefault(step.file, bytearray())
    if isinstance(step, Truncate):
        del body[step.length :]
        return
    if len(body) < step.offset:
        body.extend(bytes(step.offset - len(body)))
    body[step.offset : step.offset + len(step.body)] = step.body


def crash_images(steps: list[Step], *, before: dict[str, bytes], seed: int, mixtures: int = 3) -> Iterator[CrashImage]:
    """Return every disk that a crash may have left: after each step, nothing, all and mixtures of what was unsynced.

    Args:
        steps: what a RecordingDisk noted.
        before: the files there were before, whole and synced.
        seed: of the mixtures.
        mixtures: how many mixtures a moment is tried with.
    """
    chance = random.Random(seed)
    disk = _Disk({name: bytearray(body) for name, body in before.items()})
    promised: set[str] = set()
    for after, step in enumerate(steps, start=1):
        if isinstance(step, Mark):
            promised.add(step.promised)
        else:
            disk.take(step)
        for fate in ("drop", "keep", *["mix"] * mixtures):
            if fate == "drop" or disk.unsynced:
                yield CrashImage(after, fate, disk.left(fate, chance), frozenset(promised))
