"""An flock'ed file: makes one job server the only one of an SQLite database or queue file.

The kernel drops the lock when the process dies, however it dies. The file holds the owner's pid, and stays: another
server may have it open at the moment it is given back.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from gearjobs.errors import StoreError


class FileLock:
    """The right to be the one server of what the file stands for.

    Args:
        path: the lock's file, made where it is missing.
        guarded: what it stands for, for messages: "the database 'default'".
    """

    def __init__(self, path: Path, guarded: str) -> None:
        self._path = path
        self._guarded = guarded
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock; a lock that is held is held on.

        Raises:
            StoreError: another server has it, by that pid; or the file cannot be opened.
        """
        if self._file is not None:
            return
        try:
            file = self._path.open("a+", encoding="ascii")
        except OSError as error:
            raise StoreError(f"cannot open the lock file {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise StoreError(
                f"{self._guarded} has a job server already (pid {holder}); one database has one server"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Close the file, which unlocks it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def lock_file_of(database: Path) -> Path:
    """Return the lock file of an SQLite database, beside the file that links lead to: all its names are one."""
    file = database.resolve()
    return file.with_name(f"{file.name}.gearjobs.lock")
