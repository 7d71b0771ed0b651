"""The settings of gearjobs: `GEARJOBS` in the project's settings, typed, with a default for every key.

The dataclasses are the table: a field in upper case is a key, its annotation the type, its default
the default, its `#:` sentence the documentation, `metadata` its range. Reading is strict: what is unknown or of a wrong
type is a SettingProblem; the system checks list all of them, and `gearjobs_settings()` refuses to guess. How enqueuing
works is Django's own setting `TASKS`, not this one. Only keys that something reads stand here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, Self, get_type_hints

from django.conf import settings
from django.core.signals import setting_changed
from django.db import DEFAULT_DB_ALIAS

from gearjobs.core.reattachment import REATTACH_S, STOCK_GRACE_S, STORE_LEASE_S
from gearjobs.core.redelivery import MAX_CRASHES
from gearjobs.errors import SettingsError
from gearjobs.log_lines import LOG_FORMATS
from gearjobs.stores.durability_level import DurabilityLevel

#: The project's setting that this module reads.
SETTING_NAME: Final = "GEARJOBS"

#: What a group of workers may be called: it stands in command lines and unit names.
_GROUP_NAME: Final = r"[A-Za-z0-9_-]{1,64}"
#: Days that a job may be kept at most, but for ever: a hundred years, within any calendar.
_MOST_DAYS: Final = 36_500
#: What the text of a file's permissions must match, and how that is said.
_PERMISSIONS: Final = ("0?[0-7]{3}", "permissions in octal, such as '660'")
#: What arguments are called that are secret: these are the names that people give such things.
SECRET_NAMES: Final = (
    *("*password*", "*passwd*", "*passphrase*", "*secret*", "*token*", "*api_key*", "*apikey*", "*private_key*"),
    *("*credential*", "authorization", "*cookie*", "*card_number*", "cvv", "cvc", "iban", "ssn", "pin"),
)
#: The same of how many requests there may be in a time.
_RATE: Final = ("[1-9][0-9]{0,8}/[smhd]", "a number of requests in a time, such as '100/m'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """`GEARJOBS["SERVER"]`: defaults of `manage.py runjobserver`; a flag wins over them."""

    #: Whether `manage.py runserver` starts a job server and workers beside itself, for development: "off", "debug" with
    #: DEBUG on, or "always".
    autostart: str = field(default="off", metadata={"words": ("off", "debug", "always")})
    #: Addresses the job server listens on, `unix:/path` among them; anything but these and loopback lets the network
    #: submit and work.
    listen: tuple[str, ...] = ("127.0.0.1", "::1")
    #: Permissions of the files of Unix sockets, in octal: who may connect.
    socket_mode: str = field(default="660", metadata={"pattern": _PERMISSIONS})
    #: TCP port; 4730 is Gearman's at IANA, 0 takes a free one.
    port: int = field(default=4730, metadata={"minimum": 0, "maximum": 65535})
    #: Failures in a row, each within a second of the job's start, that a worker may report of a function before it gets
    #: only 20 jobs of it a minute (it would else fail through the whole queue); 0 for any number.
    bench_after: int = field(default=20, metadata={"minimum": 0})
    #: Lost workers after which a background job is dead, for it most likely kills whoever runs it; 0 for any number.
    max_crashes: int = field(default=MAX_CRASHES, metadata={"minimum": 0})
    #: What an acknowledged background job survives: "full", that the database's machine loses its power; "process", the
    #: end of the job server, however it comes; "memory", nothing for sure. docs/durability.md says what each costs.
    durability: str = field(default="full", metadata={"words": tuple(DurabilityLevel)})
    #: Seconds within which the submitter of a background job is answered, with ERROR where the database is silent.
    store_timeout_s: int = field(default=2, metadata={"minimum": 1, "maximum": 60})
    #: Seconds after which the other job servers of a database that several share (PostgreSQL, MySQL, MariaDB) take over
    #: the jobs of one that is gone; the same for all of them.
    lease_ttl_s: int = field(default=int(STORE_LEASE_S), metadata={"minimum": 2, "maximum": 3600})
    #: Seconds a gearjobs worker may go on with a background job whose job server is gone, to hand its result to the
    #: next one; the job runs again after that.
    reattach_s: int = field(default=int(REATTACH_S), metadata={"minimum": 4, "maximum": 3600})
    #: Seconds until a background job runs again that any other worker ran when its job server ended.
    stock_grace_s: int = field(default=int(STOCK_GRACE_S), metadata={"minimum": 0, "maximum": 3600})
    #: Whether the job server fires schedules: "on" or "off". Of several servers of a database any may; each due time
    #: fires once all the same.
    schedules: str = field(default="on", metadata={"words": ("on", "off")})
    #: Who may send the admin lines that change something, where no access rules decide: "local", peers on this machine;
    #: "auth", who has shown who it is; "all", everybody let in, as in gearmand; "off", nobody, whatever rules say.
    admin: str = field(default="local", metadata={"words": ("local", "auth", "all", "off")})
    #: TLS connections only.
    ssl: bool = False
    #: Certificates of those who sign clients' certificates; clients must then have one.
    ssl_ca_file: str = ""
    #: The server's certificate.
    ssl_certificate: str = ""
    #: Key of the certificate.
    ssl_key: str = ""
    #: Certificates that the signers of SSL_CA_FILE took back.
    ssl_crl_file: str = ""
    #: File of shared secrets, one `<key id>:<secret>` a line; peers must prove one.
    secret_file: str = ""
    #: File of access rules, one a line; without it, who is admitted may do everything.
    access_file: str = ""
    #: What a request to the HTTP module must bear (`Authorization: Bearer ...`), health apart. Without it, jobs are as
    #: open as on Gearman's port, and metrics are for this machine only.
    http_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """`GEARJOBS["WORKERS"]`: defaults of `manage.py runworkers`; a flag wins over them."""

    #: Groups of worker processes by name, each with what differs from the keys here: any of them but GROUPS, HEALTH,
    #: LOG_FORMAT and SHUTDOWN_TIMEOUT_S. Without groups there is one, `default`, which is as the keys here say.
    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, metadata={"is_groups": True})
    #: Queues whose jobs are taken; `*` for all that tasks are declared on or TASKS lists.
    queues: tuple[str, ...] = ("*",)
    #: Gearman functions of these queues that are served, `*` and `?` match; all when not given.
    functions: tuple[str, ...] = ()
    #: Worker processes; the number of processors when not given.
    processes: int = field(default_factory=lambda: os.cpu_count() or 1, metadata={"minimum": 1})
    #: Worker processes there may be when none of them is idle; 0 for no more than PROCESSES.
    max_processes: int = field(default=0, metadata={"minimum": 0})
    #: Seconds without a job after which a process beyond PROCESSES ends.
    idle_timeout_s: float = field(default=30.0, metadata={"minimum": 0.1})
    #: Load average of the machine (1 minute) from which on no process beyond PROCESSES is started; 0 for any.
    max_load: float = field(default=0.0, metadata={"minimum": 0})
    #: Jobs that a process runs at once, each in a thread; 1 for one at a time.
    threads: int = field(default=1, metadata={"minimum": 1, "maximum": 1000})
    #: Jobs that a process runs at once, coroutines in one event loop and other functions in threads; 0 for none.
    async_concurrency: int = field(default=0, metadata={"minimum": 0, "maximum": 10_000})
    #: Jobs after which a process is replaced by a fresh one; 0 for any number.
    max_tasks: int = field(default=0, metadata={"minimum": 0})
    #: MiB of memory from which on a process is replaced by a fresh one, after its job; 0 for any.
    max_memory_mib: int = field(default=0, metadata={"minimum": 0})
    #: Seconds after which a process is replaced by a fresh one, after its job; 0 for never.
    max_lifetime_s: float = field(default=0.0, metadata={"minimum": 0})
    #: Share by which the three limits of a process may be lower, by chance, so that not all are replaced at once.
    recycle_jitter: float = field(default=0.1, metadata={"minimum": 0, "maximum": 1})
    #: Seconds a worker may go on with its running job after SIGTERM before it is killed; the default is gunicorn's.
    shutdown_timeout_s: float = field(default=30.0, metadata={"minimum": 0})
    #: Where GET /livez and /readyz are answered, `host:port`; nowhere when not given.
    health: str = ""
    #: How a line of the log looks: "text", or "json", an object a line.
    log_format: str = field(default="text", metadata={"words": LOG_FORMATS})

    def of_group(self, name: str) -> Self:
        """Return the settings of a group, which has all those that it does not have itself from here."""
        return replace(self, **self.groups.get(name, {}))


#: Keys of WORKERS that are no group's.
_POOL_KEYS: Final = frozenset({"groups", "shutdown_timeout_s", "health", "log_format"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSettings:
    """`GEARJOBS["RESULTS"]`: how long jobs stay in the table after their end, with result, output and attempts."""

    #: Days that a job stays that succeeded; 0 for ever.
    successful_days: float = field(default=7.0, metadata={"minimum": 0, "maximum": _MOST_DAYS})
    #: Days that a job stays that ended in any other way; 0 for ever.
    failed_days: float = field(default=30.0, metadata={"minimum": 0, "maximum": _MOST_DAYS})
    #: Days that figures by the hour stay, which charts are made of; those by the minute stay two.
    figures_days: float = field(default=90.0, metadata={"minimum": 3, "maximum": _MOST_DAYS})
    #: Days that a group of failures stays after the last one; 0 for ever.
    groups_days: float = field(default=90.0, metadata={"minimum": 0, "maximum": _MOST_DAYS})
    #: Days that the book of what operators did is kept; 0 for ever.
    audit_days: float = field(default=365.0, metadata={"minimum": 0, "maximum": _MOST_DAYS})


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuritySettings:
    """`GEARJOBS["SECURITY"]`: how clients and workers show job servers who they are, and whom they believe."""

    #: Connect with TLS; the servers' certificates and host names are then verified.
    tls: bool = False
    #: Certificates of those who sign the servers' certificates; the system's when not given.
    ca_file: str = ""
    #: Certificate to show, for servers that want one.
    certificate: str = ""
    #: Key of the certificate.
    key: str = ""
    #: Shared secret to prove, `<key id>:<secret>`; servers that know none are then not used.
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSettings:
    """`GEARJOBS["ADMIN"]`: the screens in the Django admin."""

    #: Seconds between two refreshes of an open page; at least 1, so that nobody's browser can flood the site.
    refresh_s: float = field(default=3.0, metadata={"minimum": 1})
    #: Seconds a screen waits for a job server before it shows it as down.
    server_timeout_s: float = field(default=2.0, metadata={"minimum": 0.05, "maximum": 30})


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """`GEARJOBS["API"]`: the REST API."""

    #: Seconds that a request may wait for news of a job at most; below the time-outs of proxies.
    wait_s: float = field(default=25.0, metadata={"minimum": 0, "maximum": 300})
    #: Requests that wait at the same time in a process that serves WSGI, where each holds a thread; more are answered
    #: at once.
    wsgi_waits: int = field(default=4, metadata={"minimum": 0})
    #: Requests that wait, and streams of events, at the same time in a process that serves ASGI.
    asgi_waits: int = field(default=1000, metadata={"minimum": 0})
    #: Seconds until a stream of events ends, and its reader comes back with a request that is authenticated anew.
    stream_s: float = field(default=300.0, metadata={"minimum": 1})
    #: Reading requests that a user may make in a time, `<number>/s`, `/m`, `/h` or `/d`. The project's
    #: DEFAULT_THROTTLE_RATES of the scope `gearjobs-status` goes before.
    status_rate: str = field(default="1200/m", metadata={"pattern": _RATE})
    #: The same for requests that change something; scope `gearjobs-write`.
    write_rate: str = field(default="240/m", metadata={"pattern": _RATE})
    #: Hours that the answer to a request with an Idempotency-Key is kept, to be given again.
    idempotency_h: float = field(default=24.0, metadata={"minimum": 0.1, "maximum": 720})


@dataclass(frozen=True, slots=True, kw_only=True)
class GearjobsSettings:
    """`GEARJOBS`: everything but enqueuing, which is `TASKS`."""

    #: Job servers, `host[:port]` or `unix:/path`, in the order in which clients try them; workers serve all of them.
    servers: tuple[str, ...] = ("127.0.0.1:4730",)
    #: Alias of the database that holds the Job table.
    database: str = DEFAULT_DB_ALIAS
    #: Defaults of the job server.
    server: ServerSettings = field(default_factory=ServerSettings)
    #: Defaults of the worker processes.
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    #: How long ended jobs are kept.
    results: ResultSettings = field(default_factory=ResultSettings)
    #: Names of arguments, and of keys in them, that no page and no answer shows to those who may not see payloads;
    #: `*` and `?` match, in any case. The project's list stands in the place of this one; tasks add theirs by `mask=`.
    mask: tuple[str, ...] = SECRET_NAMES
    #: TLS and secrets of clients and workers.
    security: SecuritySettings = field(default_factory=SecuritySettings)
    #: The admin's screens.
    admin: AdminSettings = field(default_factory=AdminSettings)
    #: The REST API.
    api: ApiSettings = field(default_factory=ApiSettings)


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One thing that is wrong with the project's GEARJOBS."""

    #: Id of the system check, such as `gearjobs.E001`.
    check_id: str
    #: What was expected and what came.
    text: str
    #: What to do about it.
    hint: str


@lru_cache(maxsize=1)
def gearjobs_settings() -> GearjobsSettings:
    """Return the project's settings.

    Raises:
        SettingsError: GEARJOBS has unknown keys or wrong values; the text names the first.
    """
    found, problems = read_settings(getattr(settings, SETTING_NAME, {}))
    if problems:
        raise SettingsError(f"{problems[0].text} {problems[0].hint}".strip())
    return found


def read_settings(given: object) -> tuple[GearjobsSettings, list[SettingProblem]]:
    """Read a GEARJOBS value; a key with a problem keeps its default.

    Args:
        given: the value as it stands in the project's settings.

    Returns:
        The settings, and every problem found.
    """
    problems: list[SettingProblem] = []
    return GearjobsSettings(**_read_section(GearjobsSettings, given, path=SETTING_NAME, problems=problems)), problems


def _read_section(section: type, given: object, *, path: str, problems: list[SettingProblem]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        problems.append(_wrong_value(path, "a dictionary", given))
        return {}
    known = {one.name.upper(): one for one in fields(section)}
    kinds = get_type_hints(section)
    problems.extend(_unknown_keys(given, known, path=path))
    values: dict[str, Any] = {}
    for key in [key for key in known if key in given]:
        name, where = key.lower(), f'{path}["{key}"]'
        value = given[key]
        kind = kinds[name]
        if known[key].metadata.get("is_groups"):
            values[name] = _read_groups(section, value, path=where, problems=problems)
        elif isinstance(kind, type) and is_dataclass(kind):
            values[name] = kind(**_read_section(kind, value, path=where, problems=problems))
        elif (expected := _mismatch(value, kind, known[key])) is not None:
            problems.append(_wrong_value(where, expected, value))
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return values


def _read_groups(section: type, given: object, *, path: str, problems: list[SettingProblem]) -> dict[str, Any]:
    """Read a dictionary of sections that have some of the keys of the one they stand in."""
    if not isinstance(given, Mapping):
        problems.append(_wrong_value(path, "a dictionary of groups", given))
        return {}
    groups: dict[str, Any] = {}
    for name, of_group in given.items():
        where = f'{path}["{name}"]'
        if not isinstance(name, str) or not re.fullmatch(_GROUP_NAME, name):
            problems.append(_wrong_value(where, "called by a word of letters, digits, - and _", name))
        elif not isinstance(of_group, Mapping):
            problems.append(_wrong_value(where, "a dictionary", of_group))
        else:
            foreign = [key for key in of_group if str(key).lower() in _POOL_KEYS]
            problems.extend(
                SettingProblem(
                    "gearjobs.E001",
                    f"{where} has the key {key!r}, which no group has.",
                    f"Set it in {path.rpartition('[')[0]} itself.",
                )
                for key in foreign
            )
            own = {key: value for key, value in of_group.items() if key not in foreign}
            groups[name] = _read_section(section, own, path=where, problems=problems)
    return groups


def _unknown_keys(
    given: Mapping[object, object], known: Mapping[str, object], *, path: str
) -> Iterator[SettingProblem]:
    for key in [key for key in given if key not in known]:
        near = get_close_matches(str(key).upper(), known, n=1)
        hint = f'Did you mean "{near[0]}"?' if near else f"The keys are {', '.join(known)}."
        yield SettingProblem("gearjobs.E001", f"{path} has the unknown key {key!r}.", hint)


def _mismatch(value: object, kind: object, key: Field[Any]) -> str | None:
    """Return what was expected, or None where the value is as it should be."""
    if kind == tuple[str, ...]:
        is_right = isinstance(value, list | tuple) and bool(value) and all(isinstance(one, str) for one in value)
        return None if is_right else "a list of strings that is not empty"
    if words := key.metadata.get("words"):
        return None if value in words else f"one of {', '.join(map(repr, map(str, words)))}"
    if pattern := key.metadata.get("pattern"):
        return None if isinstance(value, str) and re.fullmatch(pattern[0], value) else str(pattern[1])
    if kind is str:
        return None if isinstance(value, str) and value else "a string that is not empty"
    if kind is bool:
        return None if isinstance(value, bool) else "True or False"
    numbers, word = ((int,), "a whole number") if kind is int else ((int, float), "a number")
    minimum, maximum = key.metadata.get("minimum", float("-inf")), key.metadata.get("maximum", float("inf"))
    if isinstance(value, numbers) and not isinstance(value, bool) and minimum <= value <= maximum:
        return None
    return word + _range_words(key.metadata)


def _range_words(limits: Mapping[str, object]) -> str:
    parts = [f"at {word} {limits[end]}" for end, word in (("minimum", "least"), ("maximum", "most")) if end in limits]
    return f", {' and '.join(parts)}" if parts else ""


def _wrong_value(path: str, expected: str, came: object) -> SettingProblem:
    return SettingProblem("gearjobs.E002", f"{path} must be {expected}, got {came!r}.", "")


def _forget_settings(*, setting: str, **_: object) -> None:
    if setting == SETTING_NAME:
        gearjobs_settings.cache_clear()


setting_changed.connect(_forget_settings, dispatch_uid="gearjobs.settings")
