"""GEARJOBS in the project's settings, and the system checks over it."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest
from django.core import checks

from gearjobs.checks import check_middleware, check_settings
from gearjobs.errors import SettingsError
from gearjobs.server.config import AdminPolicy, ServerConfig
from gearjobs.settings import ServerSettings, gearjobs_settings


def test_without_a_setting_everything_has_a_default(settings):
    del settings.GEARJOBS

    found = gearjobs_settings()

    assert (found.servers, found.database) == (("127.0.0.1:4730",), "default")
    assert (found.server.listen, found.server.port) == (("127.0.0.1", "::1"), 4730)
    assert found.workers.processes >= 1
    assert check_settings() == []


def test_given_keys_win_and_the_others_keep_their_default(settings):
    settings.GEARJOBS = {"SERVERS": ["a", "b:4731"], "WORKERS": {"PROCESSES": 3}}

    found = gearjobs_settings()

    assert found.servers == ("a", "b:4731")
    assert (found.workers.processes, found.workers.shutdown_timeout_s) == (3, 30.0)


def test_defaults_of_the_server_are_the_servers_own():
    ours, the_servers = asdict(ServerSettings()), asdict(ServerConfig())
    # What `runserver` does is no business of the server itself.
    del ours["autostart"]

    assert ours == {name: the_servers[name] for name in ours}


def test_words_for_who_may_administer_are_the_servers():
    (admin,) = [one for one in fields(ServerSettings) if one.name == "admin"]

    assert admin.metadata["words"] == tuple(AdminPolicy)


def test_changed_settings_are_read_again(settings):
    settings.GEARJOBS = {"SERVER": {"PORT": 1}}
    assert gearjobs_settings().server.port == 1

    settings.GEARJOBS = {"SERVER": {"PORT": 2}}

    assert gearjobs_settings().server.port == 2


@pytest.mark.parametrize(
    ("given", "check_id", "words"),
    [
        ({"SERVER": {"PROT": 1}}, "gearjobs.E001", ("unknown key 'PROT'", 'Did you mean "PORT"?')),
        ({"servers": ["a"]}, "gearjobs.E001", ("unknown key 'servers'", 'Did you mean "SERVERS"?')),
        ({"ZZZ": 1}, "gearjobs.E001", ("unknown key 'ZZZ'", "The keys are SERVERS, DATABASE")),
        ({"SERVERS": "127.0.0.1:4730"}, "gearjobs.E002", ('GEARJOBS["SERVERS"] must be a list of strings',)),
        ({"SERVERS": []}, "gearjobs.E002", ("that is not empty, got []",)),
        ({"SERVER": {"PORT": "4730"}}, "gearjobs.E002", ('["SERVER"]["PORT"] must be a whole number', "got '4730'")),
        ({"SERVER": {"PORT": 70_000}}, "gearjobs.E002", ("at least 0 and at most 65535, got 70000",)),
        ({"SERVER": {"PORT": True}}, "gearjobs.E002", ("got True",)),
        ({"SERVER": {"STORE_TIMEOUT_S": 0}}, "gearjobs.E002", ("at least 1 and at most 60, got 0",)),
        ({"SERVER": {"ADMIN": "root"}}, "gearjobs.E002", ("one of 'local', 'auth', 'all', 'off', got 'root'",)),
        ({"SERVER": {"SOCKET_MODE": "rw"}}, "gearjobs.E002", ("permissions in octal, such as '660', got 'rw'",)),
        # Open pages ask again and again: however it is set, not all the time.
        ({"ADMIN": {"REFRESH_S": 0}}, "gearjobs.E002", ("at least 1", "got 0")),
        ({"SERVER": []}, "gearjobs.E002", ('["SERVER"] must be a dictionary, got []',)),
        ({"WORKERS": {"SHUTDOWN_TIMEOUT_S": float("nan")}}, "gearjobs.E002", ("must be a number, at least 0",)),
        ({"DATABASE": "jobs"}, "gearjobs.E003", ("'jobs', which DATABASES does not have", "DATABASES has default")),
        ({"SERVERS": ["a:b:c"]}, "gearjobs.E004", ("not host[:port]",)),
        ([], "gearjobs.E002", ("GEARJOBS must be a dictionary, got []",)),
        # No calendar goes back so far: the server did not start.
        ({"RESULTS": {"FAILED_DAYS": 1e9}}, "gearjobs.E002", ("a number, at least 0 and at most 36500",)),
        ({"WORKERS": {"GROUPS": []}}, "gearjobs.E002", ('["WORKERS"]["GROUPS"] must be a dictionary of groups',)),
        ({"WORKERS": {"GROUPS": {"a b": {}}}}, "gearjobs.E002", ("called by a word of letters", "got 'a b'")),
        ({"WORKERS": {"GROUPS": {"mail": 3}}}, "gearjobs.E002", ('["GROUPS"]["mail"] must be a dictionary, got 3',)),
        (
            {"WORKERS": {"GROUPS": {"mail": {"PROCESSES": 0}}}},
            "gearjobs.E002",
            ('["GROUPS"]["mail"]["PROCESSES"] must be a whole number',),
        ),
        (
            {"WORKERS": {"GROUPS": {"mail": {"HEALTH": "x:1"}}}},
            "gearjobs.E001",
            ("has the key 'HEALTH', which no group has", 'Set it in GEARJOBS["WORKERS"] itself'),
        ),
    ],
)
def test_mistake_is_reported_with_what_was_expected_and_what_came(settings, given, check_id, words):
    settings.GEARJOBS = given

    (report,) = check_settings()

    assert report.id == check_id
    assert all(word in f"{report.msg} {report.hint}" for word in words), report


def test_every_mistake_is_reported(settings):
    settings.GEARJOBS = {"A": 1, "SERVER": {"B": 2, "PORT": -1}}

    assert [report.id for report in check_settings()] == ["gearjobs.E001", "gearjobs.E001", "gearjobs.E002"]


def test_settings_with_a_mistake_are_not_guessed(settings):
    settings.GEARJOBS = {"SERVER": {"PROT": 1}}

    with pytest.raises(SettingsError, match=r"unknown key 'PROT'.*Did you mean"):
        gearjobs_settings()


def test_checks_run_with_manage_py_check(settings):
    settings.GEARJOBS = {"PROT": 1}

    reports = checks.run_checks(tags=["gearjobs"])

    assert [report.id for report in reports] == ["gearjobs.E001"]


AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
SUBMITTER = "gearjobs.middleware.SubmitterMiddleware"


@pytest.mark.parametrize(
    ("middleware", "ids"),
    [
        ([AUTHENTICATION, SUBMITTER], []),
        ([AUTHENTICATION], []),
        ([SUBMITTER, AUTHENTICATION], ["gearjobs.W001"]),
        ([SUBMITTER], ["gearjobs.W001"]),
    ],
)
def test_middleware_that_cannot_see_the_user_is_reported(settings, middleware, ids):
    settings.MIDDLEWARE = middleware

    assert [report.id for report in check_middleware()] == ids
