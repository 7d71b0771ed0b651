"""Answers to GET_STATUS and GET_STATUS_UNIQUE."""

from __future__ import annotations

from gearjobs.client.job_status import JobStatus, read_status


def test_running_job_tells_how_far_it_is():
    assert read_status((b"H:a:1", b"1", b"1", b"3", b"10")) == JobStatus(True, True, 3, 10)


def test_unknown_job_is_neither_known_nor_running():
    assert read_status((b"H:a:1", b"0", b"0", b"0", b"0")) == JobStatus(False, False, 0, 0)


def test_question_by_unique_learns_how_many_clients_wait():
    assert read_status((b"u", b"1", b"0", b"0", b"0", b"2")) == JobStatus(True, False, 0, 0, waiting_clients=2)
