"""Django's settings for the site of every library: BENCH_SETTINGS, an object of JSON, says in what they differ.

What is common favours nobody: SQLite with a write-ahead log and transactions that take their lock at once, as the
documents of most of these libraries advise, and connections that are kept.
"""

from __future__ import annotations

import importlib
import json
import os

USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS: list[str] = []
DATABASES: dict[str, dict[str, object]] = {}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

globals().update(json.loads(os.environ["BENCH_SETTINGS"]))

for database in DATABASES.values():
    database["CONN_MAX_AGE"] = None
    if database["ENGINE"] == "django.db.backends.mysql":
        # PyMySQL stands in for mysqlclient, which needs a compiler to install.
        importlib.import_module("pymysql").install_as_MySQLdb()
    if database["ENGINE"] == "django.db.backends.sqlite3":
        database["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL",
        }
