"""A job's end as the packet that says it: what a worker sends, and keeps until it is settled.

WORK_FAIL_EXT carries the whole report and is understood by servers with the extensions only; what a stock server is
told of a failure takes two packets and is `grab_loop`'s matter.
"""

from __future__ import annotations

from gearjobs.protocol.attributes import FailureReport, encode
from gearjobs.protocol.codec import encode_request
from gearjobs.protocol.packets import PacketType


def success_packet(handle: bytes, result: bytes) -> bytes:
    """Return the packet that says what the job's result is."""
    return encode_request(PacketType.WORK_COMPLETE, handle, result)


def failure_packet(handle: bytes, report: FailureReport) -> bytes:
    """Return the packet that says how the job failed, for a server with the extensions."""
    return encode_request(PacketType.WORK_FAIL_EXT, handle, encode(report))


def plain_failure_packet(handle: bytes) -> bytes:
    """Return the packet that says that the job failed, for any server."""
    return encode_request(PacketType.WORK_FAIL, handle)
