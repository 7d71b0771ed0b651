"""What a worker is sent with a job: JOB_ASSIGN in one of its forms, which is the one its grab asked for.

The queue has chosen the job by then; what stands here is only how it is told. Source: PROTOCOL, for GRAB_JOB_ALL
libgearman's worker; GRAB_JOB_EXT is docs/protocol.md's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gearjobs.core.jobs import Job
from gearjobs.core.reattachment import ReattachRules
from gearjobs.protocol import attributes
from gearjobs.protocol.codec import encode_response
from gearjobs.protocol.packets import PacketType

# Read off their enumeration for every job, they would cost more than the look-up that follows.
_JOB_ASSIGN: Final = PacketType.JOB_ASSIGN
_JOB_ASSIGN_UNIQ: Final = PacketType.JOB_ASSIGN_UNIQ

#: That there is none.
NO_JOB: Final = encode_response(PacketType.NO_JOB)


class Assignments:
    """Makes the packets.

    Args:
        reattach: what workers are told of how long they may go on without the server.
    """

    def __init__(self, reattach: ReattachRules) -> None:
        self._reattach = reattach
        self._makers: dict[int, Callable[[Job], bytes]] = {
            PacketType.GRAB_JOB: _plain,
            PacketType.GRAB_JOB_UNIQ: _with_unique,
            PacketType.GRAB_JOB_ALL: _with_reducer,
            PacketType.GRAB_JOB_EXT: self._extended,
        }

    def packet(self, grab: int, job: Job) -> bytes:
        """Return what a grab of this packet type is answered."""
        return self._makers[grab](job)

    def _extended(self, job: Job) -> bytes:
        said = attributes.AssignAttributes(job.attempt, job.priority, job.run_at, job.accepted_at, list(job.worker_ids))
        said.lost = job.lost
        said.timeout_s, said.soft_timeout_s = job.terms.timeout_s, job.terms.soft_timeout_s
        if job.is_resumable:
            said.lease_s, said.resume_s = self._reattach.lease_s, self._reattach.resume_s
        body = attributes.encode(said)
        return encode_response(PacketType.JOB_ASSIGN_EXT, job.handle, job.function, job.unique, body, job.payload)


def _plain(job: Job) -> bytes:
    return encode_response(_JOB_ASSIGN, job.handle, job.function, job.payload)


def _with_unique(job: Job) -> bytes:
    return encode_response(_JOB_ASSIGN_UNIQ, job.handle, job.function, job.unique, job.payload)


def _with_reducer(job: Job) -> bytes:
    if not job.reducer:
        return _with_unique(job)
    words = (job.handle, job.function, job.unique, job.reducer, job.payload)
    return encode_response(PacketType.JOB_ASSIGN_ALL, *words)
