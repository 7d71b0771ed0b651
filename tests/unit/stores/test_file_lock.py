"""The lock of an SQLite file."""

from __future__ import annotations

import os

import pytest

from gearjobs.errors import StoreError
from gearjobs.stores.file_lock import FileLock, lock_file_of


@pytest.fixture
def lock_file(tmp_path):
    return lock_file_of(tmp_path / "site.sqlite3")


def test_second_lock_on_a_file_is_refused_with_the_pid_of_the_first(lock_file):
    first = FileLock(lock_file, "the site")
    first.acquire()

    with pytest.raises(StoreError, match=rf"the site has a job server already \(pid {os.getpid()}\)"):
        FileLock(lock_file, "the site").acquire()
    first.release()


def test_released_file_can_be_locked_again(lock_file):
    first, second = FileLock(lock_file, "the site"), FileLock(lock_file, "the site")
    first.acquire()
    first.acquire()
    first.release()
    first.release()

    second.acquire()
    second.release()

    assert lock_file.read_text() == f"{os.getpid()}\n"


def test_file_has_one_lock_by_whatever_link_it_is_reached(tmp_path, lock_file):
    link = tmp_path / "release" / "site.sqlite3"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "site.sqlite3")

    assert lock_file_of(link) == lock_file


def test_lock_file_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"cannot open the lock file .*No such file or directory"):
        FileLock(tmp_path / "missing" / "lock", "the site").acquire()
