"""Secrets of the demo: made once, kept, and nobody else's to read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo_site.kept_secrets import kept_secret


def test_secret_stays_the_same(tmp_path: Path):
    path = tmp_path / "var" / "secret"

    first = kept_secret(path, random_bytes=9)

    assert kept_secret(path, random_bytes=9) == first
    assert len(first) == 18


def test_secrets_differ(tmp_path: Path):
    assert kept_secret(tmp_path / "a", random_bytes=9) != kept_secret(tmp_path / "b", random_bytes=9)


def test_only_the_owner_may_read_it(tmp_path: Path):
    kept_secret(tmp_path / "secret", random_bytes=9)

    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_all_who_ask_at_once_get_the_same(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: kept_secret(tmp_path / "secret", random_bytes=9), range(64)))

    assert len(secrets) == 1
