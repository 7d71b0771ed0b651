"""How many files the process may open, and as whom it runs. What cannot be undone is tried in a process of its own."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gearjobs.errors import UsageError
from gearjobs.server.command.process_limits import allow_core_file, set_file_limit, switch_user

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")

BECOME = """
import os, sys
from gearjobs.server.command.process_limits import switch_user
switch_user(sys.argv[1])
print(os.getuid(), os.geteuid(), os.getgid(), *os.getgroups())
"""


@pytest.fixture(autouse=True)
def old_limit() -> Iterator[None]:
    """Put the soft limits back."""
    limits = {kind: resource.getrlimit(kind) for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)}
    yield
    for kind, old in limits.items():
        resource.setrlimit(kind, old)


def test_limit_is_set():
    assert set_file_limit(200) == 200
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 200


def test_core_file_may_be_as_large_as_the_user_may_have():
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))

    allow_core_file()

    assert resource.getrlimit(resource.RLIMIT_CORE) == (hard, hard)


def test_no_limit_given_is_as_many_as_the_user_may_have():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 200), hard))

    assert set_file_limit(0) == hard
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_more_than_the_system_allows_is_refused_and_changes_nothing():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    with pytest.raises(UsageError, match=r"Failed to set limit .* giving a smaller value to -f"):
        set_file_limit(2**40)

    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


@needs_root
def test_process_becomes_the_user_with_the_user_s_groups():
    run = subprocess.run([sys.executable, "-c", BECOME, "nobody"], capture_output=True, text=True, timeout=20)

    uid, effective, gid, *groups = run.stdout.split()
    assert uid == effective != "0"
    assert "0" not in {gid, *groups}


@needs_root
def test_unknown_user_is_refused():
    with pytest.raises(UsageError, match="Could not find user : no-such-user"):
        switch_user("no-such-user")


def test_only_root_may_switch(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(UsageError, match="Must be root to switch users"):
        switch_user("nobody")
