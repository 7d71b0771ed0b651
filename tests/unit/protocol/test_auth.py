"""The proof of a shared secret: known answers, and every way in which one must not be had."""

from __future__ import annotations

import pytest

from gearjobs.errors import UsageError, WireError
from gearjobs.protocol.auth import (
    AUTH_OPTION,
    PROOF_OPTION,
    ClientExchange,
    Secret,
    ServerExchange,
    client_proof,
    parse_secret,
    parse_secrets,
    server_proof,
)

KEY = "0123456789abcdef0123456789abcdef"
WEB = Secret("web", KEY.encode())
DECOY = b"d" * 32
CLIENT_NONCE, SERVER_NONCE = b"\x11" * 32, b"\x22" * 32
BINDING = b"tls-server-end-point:" + b"\x33" * 32


def client(secret: Secret = WEB, *, binding: bytes = b"") -> ClientExchange:
    return ClientExchange(secret, CLIENT_NONCE, binding=binding)


def server(*secrets: Secret, binding: bytes = b"") -> ServerExchange:
    return ServerExchange({one.key_id: one for one in secrets or (WEB,)}, DECOY, binding=binding)


def failure_of(step, *arguments) -> WireError:
    with pytest.raises(WireError) as failed:
        step(*arguments)
    assert failed.value.code == "AUTH_FAILED"
    return failed.value


# Worked out with `openssl dgst -sha256 -hmac` over: each of label, key id, nonces in hex and binding, led by its
# length in 4 bytes.
@pytest.mark.parametrize(
    ("prove", "binding", "expected"),
    [
        (client_proof, b"", b"287bdbc53ce0a1d37317e0589dc01d8e7c691f095f2e542455efb9af65c9ffd5"),
        (server_proof, b"", b"c5937ced6d5623f142a282bea3002e45f154114adeda74bd5966afc8782a99b4"),
        (client_proof, BINDING, b"a1b2e5af41e86f210d3ac0e147bf5b7d68ea05aa43373c4fe34359ddc772117a"),
        (server_proof, BINDING, b"078f6e08f8d88b85ab838b534934768e86a755d7895009e8bb1faa4a4de32ddc"),
    ],
)
def test_proof_is_the_known_answer(prove, binding, expected):
    assert prove(WEB, b"11" * 32, b"22" * 32, binding=binding) == expected


@pytest.mark.parametrize("binding", [b"", BINDING])
def test_two_ends_with_the_secret_believe_each_other(binding):
    us, them = client(binding=binding), server(binding=binding)

    challenge = us.challenge()
    answer = them.challenged(challenge, SERVER_NONCE)
    proof = us.prove(answer)
    us.verify(them.proven(proof))

    assert challenge == AUTH_OPTION + b"web:" + b"11" * 32
    assert answer == AUTH_OPTION + b"22" * 32
    assert them.claimed == "web"


def test_any_of_several_secrets_is_taken():
    old, new = Secret("web", b"o" * 32), Secret("web-2", b"n" * 32)

    for secret in (old, new):
        us, them = client(secret), server(old, new)
        us.verify(them.proven(us.prove(them.challenged(us.challenge(), SERVER_NONCE))))


@pytest.mark.parametrize("stranger", [Secret("web", b"x" * 32), Secret("nobody", KEY.encode()), Secret("no", DECOY)])
def test_wrong_secret_and_unknown_key_are_refused_in_the_same_words(stranger):
    us, them = client(stranger), server()

    refusal = failure_of(them.proven, us.prove(them.challenged(us.challenge(), SERVER_NONCE)))

    assert refusal.text == "the key id is unknown or the proof is wrong"
    assert not refusal.is_fatal


def test_proof_over_another_tls_connection_is_refused():
    us, them = client(binding=BINDING), server(binding=b"tls-server-end-point:" + b"\x44" * 32)

    failure_of(them.proven, us.prove(them.challenged(us.challenge(), SERVER_NONCE)))


def test_proof_is_good_for_one_challenge():
    us, them = client(), server()
    proof = us.prove(them.challenged(us.challenge(), SERVER_NONCE))
    them.proven(proof)

    assert "needs a challenge first" in failure_of(them.proven, proof).text


def test_replayed_proof_meets_another_nonce():
    us, them = client(), server()
    proof = us.prove(them.challenged(us.challenge(), SERVER_NONCE))
    them.challenged(us.challenge(), b"\x55" * 32)

    failure_of(them.proven, proof)


@pytest.mark.parametrize("cut", [0, 1, 32, 63])
def test_part_of_a_proof_is_none(cut):
    us, them = client(), server()
    proof = us.prove(them.challenged(us.challenge(), SERVER_NONCE))

    failure_of(them.proven, proof[: len(PROOF_OPTION) + cut])


def test_third_failure_is_fatal():
    them = server()

    refusals = [failure_of(them.proven, PROOF_OPTION + b"0" * 64) for _ in range(3)]

    assert [refusal.is_fatal for refusal in refusals] == [False, False, True]


@pytest.mark.parametrize(
    "option",
    [b"", b"web", b"web:", b":" + b"11" * 32, b"web:" + b"11" * 31, b"web:" + b"GG" * 32, b"w b:" + b"11" * 32],
)
def test_challenge_that_cannot_be_read_is_a_failure(option):
    failure_of(server().challenged, AUTH_OPTION + option, SERVER_NONCE)


def test_client_s_own_proof_sent_back_proves_nothing():
    us = client()
    proof = us.prove(AUTH_OPTION + b"11" * 32)

    assert failure_of(us.verify, proof).is_fatal


@pytest.mark.parametrize("answer", [b"", b"gearjobs/1", AUTH_OPTION, AUTH_OPTION + b"22" * 31, b"22" * 32])
def test_answer_without_a_nonce_ends_the_exchange(answer):
    assert failure_of(client().prove, answer).is_fatal


def test_answer_to_a_proof_that_was_not_given_proves_nothing():
    failure_of(client().verify, PROOF_OPTION)


def test_secret_is_read_and_never_shown():
    secret = parse_secret(f" web:{KEY}\n")

    assert secret == WEB
    assert KEY not in repr(secret)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "<key id>:<secret>"),
        (KEY, "1 to 64 letters"),
        (f"a b:{KEY}", "1 to 64 letters"),
        (f"{'a' * 65}:{KEY}", "1 to 64 letters"),
        ("web:short", "32 or more visible ASCII characters, got 5"),
        ("web:" + "ä" * 32, "visible ASCII"),
        ("web:" + "a b" * 20, "visible ASCII"),
    ],
)
def test_what_is_no_secret_is_refused_without_showing_it(text, words):
    with pytest.raises(UsageError, match=words) as refusal:
        parse_secret(text)

    assert KEY not in str(refusal.value)


def test_file_of_secrets_may_have_comments_and_empty_lines():
    assert parse_secrets(["# the web", "", f"web:{KEY}", f"worker:{KEY}"]).keys() == {"web", "worker"}


@pytest.mark.parametrize(
    ("lines", "words"), [([], "at least one"), (["# none"], "at least one"), ([f"web:{KEY}"] * 2, "comes twice")]
)
def test_file_of_secrets_must_have_one_of_each_id(lines, words):
    with pytest.raises(UsageError, match=words):
        parse_secrets(lines)
