"""Power failures at every moment of a job table's life: what was acknowledged is there, and nothing else.

The disks that a crash may leave are made from what SQLite really wrote (`crash_disk`), by the real store and the real
`insert_jobs`. GEARJOBS_CRASH_IMAGES says how many are looked at; `make crash-points` asks for 100,000.
"""

from __future__ import annotations

import itertools
import os

import pytest

from tests.support.crash_disk import crash_images
from tests.support.crash_workload import FILE, Workload, make_empty_file, violations

#: Disks that every run of the suite looks at: some ten seconds.
IMAGES = int(os.environ.get("GEARJOBS_CRASH_IMAGES", "20000"))
#: Disks within which a mutant must be found out; the worst needs some hundred.
MUTANT_IMAGES = 4_000
#: Calls of which each fails once.
FAILURES = 30


@pytest.fixture(autouse=True)
def own_database(django_db_blocker):
    """No database of pytest-django's: each run makes a file of its own."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="module")
def empty(tmp_path_factory, django_db_blocker):
    with django_db_blocker.unblock():
        return make_empty_file(tmp_path_factory.mktemp("empty"))


def run(tmp_path, name, empty, seed, **mutation):
    folder = tmp_path / f"{name}"
    folder.mkdir()
    workload = Workload(folder, empty, seed, **mutation)
    return workload, crash_images(workload.run(), before={FILE: empty}, seed=seed)


def first_violations(tmp_path, empty, *, images, **mutation):
    """Look at so many disks; return how many there were, and what is wrong with the first bad one."""
    found = tmp_path / "found"
    found.mkdir()
    looked_at = 0
    for seed in itertools.count(1):
        workload, left = run(tmp_path, f"run-{seed}", empty, seed, **mutation)
        for image in left:
            looked_at += 1
            if wrong := violations(image, workload.history, found):
                return looked_at, [f"seed {seed}, after step {image.after} ({image.fate}): {one}" for one in wrong]
            if looked_at == images:
                return looked_at, []
    raise AssertionError("the seeds never end")


def test_power_failure_loses_nothing_that_was_acknowledged_and_leaves_no_phantom(tmp_path, empty):
    looked_at, wrong = first_violations(tmp_path, empty, images=IMAGES)

    assert wrong == []
    assert looked_at == IMAGES


@pytest.mark.parametrize("call", ["fails_at_sync", "fails_at_write"])
def test_disk_that_fails_once_loses_nothing_that_was_acknowledged_before_or_after(tmp_path, empty, call):
    found = tmp_path / "found"
    found.mkdir()
    failures = 0
    for number in range(1, FAILURES + 1):
        workload, left = run(tmp_path, f"run-{number}", empty, number % 5, **{call: number})
        failures += workload.failures
        # The worst that may be found, at each promise: most other moments say nothing new.
        promised: frozenset[str] = frozenset()
        for image in left:
            if image.fate == "drop" and image.promised != promised:
                promised = image.promised
                assert violations(image, workload.history, found) == [], f"{call}={number}, step {image.after}"

    assert failures >= FAILURES // 2


@pytest.mark.parametrize("level", ["NORMAL", "OFF"])
def test_session_that_syncs_too_little_is_found_out(tmp_path, empty, level):
    def weaken(cursor):
        cursor.execute(f"PRAGMA synchronous = {level}")

    _, wrong = first_violations(tmp_path, empty, images=MUTANT_IMAGES, after_open=weaken)

    assert wrong


def test_acknowledgement_before_the_commit_is_found_out(tmp_path, empty):
    _, wrong = first_violations(tmp_path, empty, images=MUTANT_IMAGES, promises_early=True)

    assert any("lost" in one for one in wrong)
