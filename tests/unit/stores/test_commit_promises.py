"""What a database server's settings are believed to keep, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gearjobs.errors import StoreError
from gearjobs.stores.commit_promises import MysqlSettings, mysql_promise, postgres_promise
from gearjobs.stores.durability_level import DurabilityLevel

FULL, PROCESS = DurabilityLevel.FULL, DurabilityLevel.PROCESS
SAFE = MysqlSettings(flush=1, log_bin=1, sync_binlog=1, binlog_format="ROW")


@pytest.mark.parametrize(
    ("level", "found", "wanted"),
    [(FULL, "on", "on"), (FULL, "off", "on"), (FULL, "remote_apply", "remote_apply"), (PROCESS, "on", "off")],
)
def test_postgres_session_waits_for_what_was_asked(level, found, wanted):
    synchronous, words = postgres_promise("the table", level, fsync="on", synchronous=found)

    assert synchronous == wanted
    assert f"synchronous_commit={wanted}" in words


def test_postgres_without_fsync_is_refused_under_full_only():
    with pytest.raises(StoreError, match=r"the table may lose .*fsync=off.*--durability process"):
        postgres_promise("the table", FULL, fsync="off", synchronous="on")
    assert postgres_promise("the table", PROCESS, fsync="off", synchronous="on")[0] == "off"


def promised(level, found, engine="InnoDB"):
    return mysql_promise("the table", level, found=found, engine=engine, product="MariaDB")


def test_mysql_that_flushes_keeps_all():
    assert promised(FULL, SAFE).startswith("an acknowledged job survives power loss (MariaDB: ")


@pytest.mark.parametrize(
    ("found", "setting"),
    [(replace(SAFE, flush=0), "innodb_flush_log_at_trx_commit"), (replace(SAFE, sync_binlog=0), "sync_binlog")],
)
def test_mysql_that_does_not_flush_is_refused_under_full_only(found, setting):
    with pytest.raises(StoreError, match=f"SET GLOBAL {setting} = 1"):
        promised(FULL, found)
    assert "may take back the last second" in promised(PROCESS, found)


@pytest.mark.parametrize(
    ("found", "engine", "words"),
    [(SAFE, "MyISAM", "must be InnoDB's"), (replace(SAFE, binlog_format="STATEMENT"), "InnoDB", "replicas")],
)
def test_mysql_that_loses_jobs_at_any_level_is_refused(found, engine, words):
    with pytest.raises(StoreError, match=words):
        promised(PROCESS, found, engine)
