"""The packet table against what libgearman's headers and the extension's contract say, written down a second time."""

from __future__ import annotations

import pytest

from gearjobs.protocol.packets import PACKETS, ErrorCode, PacketType, Refusal, Sender

# Name, arguments without data, and `+` where data follows: libgearman's command table in its order, from 1.
GEARMAN = """
CAN_DO 1, CANT_DO 1, RESET_ABILITIES 0, PRE_SLEEP 0, UNUSED 0, NOOP 0, SUBMIT_JOB 2+, JOB_CREATED 1, GRAB_JOB 0,
NO_JOB 0, JOB_ASSIGN 2+, WORK_STATUS 3, WORK_COMPLETE 1+, WORK_FAIL 1, GET_STATUS 1, ECHO_REQ 0+, ECHO_RES 0+,
SUBMIT_JOB_BG 2+, ERROR 2, STATUS_RES 5, SUBMIT_JOB_HIGH 2+, SET_CLIENT_ID 1, CAN_DO_TIMEOUT 2, ALL_YOURS 0,
WORK_EXCEPTION 1+, OPTION_REQ 1, OPTION_RES 1, WORK_DATA 1+, WORK_WARNING 1+, GRAB_JOB_UNIQ 0, JOB_ASSIGN_UNIQ 3+,
SUBMIT_JOB_HIGH_BG 2+, SUBMIT_JOB_LOW 2+, SUBMIT_JOB_LOW_BG 2+, SUBMIT_JOB_SCHED 7+, SUBMIT_JOB_EPOCH 3+,
SUBMIT_REDUCE_JOB 4+, SUBMIT_REDUCE_JOB_BACKGROUND 4+, GRAB_JOB_ALL 0, JOB_ASSIGN_ALL 4+, GET_STATUS_UNIQUE 1,
STATUS_RES_UNIQUE 6
"""
EXTENSIONS = """
SUBMIT_JOB_EXT 4+, GRAB_JOB_EXT 0, JOB_ASSIGN_EXT 4+, WORK_FAIL_EXT 1+, WORK_STATUS_EXT 3+, ADOPT_JOBS 0,
RESUME_JOB 2, RESUME_RES 3, RENEW_JOBS 0, RENEW_RES 1, OUTCOME_SETTLED 1, CANCEL_JOB 2, CANCEL_RES 2, CANCEL_NOTICE 2,
WORKER_REPORT 0+, WORKER_CONTROL 1, CONTROL_WORKERS 2, CONTROL_RES 1, LOSS_REPORT 2+, QUEUES_CHANGED 0,
CANCEL_FOR_REASON 2+, CHANGE_JOB 5, CHANGE_RES 2
"""


def written_table(first_number: int, text: str) -> dict[int, str]:
    return dict(enumerate((row.strip() for row in text.split(",")), first_number))


def test_every_packet_has_libgearmans_number_name_and_arguments() -> None:
    expected = written_table(1, GEARMAN) | written_table(128, EXTENSIONS)

    rows = {
        number: f"{spec.type.name} {len(spec.arguments) - spec.ends_with_data}{'+' * spec.ends_with_data}"
        for number, spec in PACKETS.items()
    }

    assert rows == expected


def test_every_type_has_one_row_under_its_own_number() -> None:
    assert [spec.type for spec in PACKETS.values()] == list(PacketType)
    assert list(PACKETS) == list(PacketType)


def test_no_argument_of_a_packet_has_the_name_of_another() -> None:
    assert all(len(set(spec.arguments)) == len(spec.arguments) for spec in PACKETS.values())


def test_every_row_says_in_a_sentence_what_the_packet_means() -> None:
    assert all(spec.sentence[0].isupper() and spec.sentence[-1] in ".?" for spec in PACKETS.values())


def test_server_passes_on_what_a_worker_says_of_its_job() -> None:
    relayed = {spec.type.name for spec in PACKETS.values() if spec.is_relayed}

    assert relayed == {"WORK_STATUS", "WORK_COMPLETE", "WORK_FAIL", "WORK_EXCEPTION", "WORK_DATA", "WORK_WARNING"}
    assert all(spec.sender is Sender.WORKER for spec in PACKETS.values() if spec.is_relayed)


def test_requests_that_gearmand_answers_with_command_not_expected_come_from_no_peer() -> None:
    # As probed, without ALL_YOURS (24), which peers may send and every server refuses, and SUBMIT_JOB_SCHED (35), which
    # only gearmand does.
    refused = {5, 6, 8, 10, 11, 17, 19, 20, 27, 31, 40, 42}

    assert {n for n, spec in PACKETS.items() if n < 128 and spec.sender in {Sender.SERVER, Sender.NOBODY}} == refused


@pytest.mark.parametrize("refusal", list(Refusal))
def test_refusal_is_a_code_and_a_text(refusal: Refusal) -> None:
    code, text = refusal.value

    assert code in ErrorCode
    assert text


def test_refusals_speak_gearmands_words() -> None:
    assert Refusal.QUEUE_FULL.value == ("QUEUE_ERROR", "Job queue is full")
    assert Refusal.NOT_REQUEST_MAGIC.value == ("INVALID_MAGIC", "Request magic expected")
    assert Refusal.NOT_A_REQUEST.value == ("INVALID_COMMAND", "Command not expected")
