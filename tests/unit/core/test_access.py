"""Access rules: what they grant, and that whatever they do not grant is refused."""

from __future__ import annotations

import pytest

from gearjobs.core.access import Grants, Identity, Verb, parse_rules
from gearjobs.errors import UsageError

WEB = Identity(frozenset({"key:web"}), "10.0.0.7")


@pytest.mark.parametrize(
    ("names", "principal"),
    [
        ({"local", "cert:a", "key:web", "http"}, "key:web"),
        ({"cert:b", "cert:a", "unix:me"}, "cert:a,cert:b"),
        ({"unix:me", "uid:1000", "local"}, "unix:me"),
        ({"uid:1000", "local"}, "uid:1000"),
        ({"http", "local"}, "http"),
        ({"local"}, "net:10.0.0.7"),
    ],
)
def test_jobs_are_known_by_the_strongest_name_of_who_submitted_them(names, principal):
    assert Identity(frozenset(names), "10.0.0.7").principal == principal


def grants_of(identity: Identity, *lines: str) -> Grants:
    return parse_rules(lines).grants_of(identity)


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("granted", list(Verb))
def test_rule_grants_its_verb_and_no_other(verb, granted):
    grants = grants_of(WEB, f"key:web {granted} resize")

    assert grants.may(verb, b"resize") == (verb is granted)
    assert grants.may_any(verb) == (verb is granted)


@pytest.mark.parametrize(
    ("pattern", "function", "is_allowed"),
    [
        ("build", b"build", True),
        # Handled as a prefix, a rule for `build` opened every function whose name begins so.
        ("build", b"build-evil", False),
        ("build", b"rebuild", False),
        ("build", b"Build", False),
        ("build", b"build\n", False),
        ("build", b"", False),
        ("mail.*", b"mail.send", True),
        ("mail.*", b"mail.\nsend", True),
        ("mail.*", b"mail", False),
        ("mail.*", b"xmail.send", False),
        ("?", b"a", True),
        ("[ab]", b"b", True),
        ("*", b"\xff\0anything", True),
        ("größe", "größe".encode(), True),
    ],
)
def test_pattern_must_match_the_whole_name(pattern, function, is_allowed):
    assert grants_of(WEB, f"key:web submit {pattern}").may(Verb.SUBMIT, function) == is_allowed


@pytest.mark.parametrize(
    ("who", "is_meant"),
    [
        ("key:web", True),
        ("key:w*", True),
        ("key:we", False),
        ("key:web2", False),
        ("cert:web", False),
        ("cert:*", False),
        ("net:10.0.0.7", True),
        ("net:10.0.0.0/8", True),
        ("net:10.0.0.8", False),
        ("net:::/0", False),
        ("local", False),
        ("http", False),
        ("*", True),
    ],
)
def test_rule_is_for_those_it_names(who, is_meant):
    assert grants_of(WEB, f"{who} all *").is_empty != is_meant


@pytest.mark.parametrize(
    ("identity", "who"),
    [
        (Identity(frozenset({"cert:worker-1", "cert:w.example"})), "cert:*.example"),
        (Identity(frozenset({"local"}), "127.0.0.1"), "local"),
        (Identity(frozenset({"http"})), "http"),
        (Identity(host="::1"), "net:::1"),
        (Identity(host="fe80::1%eth0"), "net:fe80::/10"),
        (Identity(host="::ffff:10.0.0.7"), "net:10.0.0.0/8"),
    ],
)
def test_peer_is_found_by_every_name_and_its_address(identity, who):
    assert not grants_of(identity, f"{who} all *").is_empty


def test_certificate_cannot_take_a_key_s_place():
    impostor = Identity(frozenset({"cert:key:web"}))

    assert grants_of(impostor, "key:web all *").is_empty


@pytest.mark.parametrize("host", ["", "-", "host.example"])
def test_peer_without_an_address_is_in_no_network(host):
    assert grants_of(Identity(host=host), "net:0.0.0.0/0 all *").is_empty


def test_rules_add_up():
    grants = grants_of(WEB, "* status *", "key:web submit a b", "key:web submit,cancel c")

    assert [grants.may(Verb.SUBMIT, name) for name in (b"a", b"b", b"c", b"d")] == [True, True, True, False]
    assert grants.may(Verb.CANCEL, b"c")
    assert not grants.may(Verb.CANCEL, b"a")


def test_without_a_rule_nobody_may_anything():
    grants = grants_of(WEB, "# nothing", "")

    assert grants.is_empty
    assert not any(grants.may(verb, b"resize") for verb in Verb)


def test_every_function_is_the_star_alone():
    assert grants_of(WEB, "key:web admin *").may_every(Verb.ADMIN)
    assert not grants_of(WEB, "key:web admin **a").may_every(Verb.ADMIN)
    assert not grants_of(WEB, "key:web work *").may_every(Verb.ADMIN)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("key:web", "at least one function"),
        ("key:web submit", "at least one function"),
        ("web submit *", "who must be key:"),
        ("key: submit *", "who must be key:"),
        ("user:web submit *", "who must be key:"),
        ("net:10.0.0.7/8 submit *", "host bits set"),
        ("net:here submit *", "does not appear to be"),
        ("key:web run *", "expected submit, work, status, cancel, admin or all"),
        ("key:web submit, *", "got ''"),
    ],
)
def test_line_that_is_no_rule_is_refused_by_its_number(line, words):
    with pytest.raises(UsageError, match=words) as refusal:
        parse_rules(["# first", line])

    assert str(refusal.value).startswith("access rule in line 2: ")


def test_identity_is_shown_by_its_names():
    assert (str(WEB), str(Identity())) == ("key:web", "nobody")
