"""Clients in the simulated world: what they submit, how, and what they hear.

A stock client submits over one connection and takes what comes. A client of ours names the job itself, and inserts its
row when no server answered; one inside of a transaction inserts it there, rolls back or commits, and nudges a server,
which may not hear it. What servers answered is noted by the site when they pass it to their sockets, not when it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.terms import NO_TERMS, JobTerms, write_terms
from gearjobs.protocol.attributes import SubmitAttributes, encode
from gearjobs.protocol.codec import Decoder, Packet, encode_request
from gearjobs.protocol.packets import EXTENSIONS_OPTION, RESPONSE_MAGIC, PacketType
from tests.simulation.drawn_terms import NO_FATE, Fate
from tests.simulation.network import Link
from tests.simulation.shared_table import Row
from tests.simulation.world import Host, Process
from tests.support.journal import CancelAnswered, ForegroundAsked, ForegroundOver, Promised, RolledBack

if TYPE_CHECKING:
    from gearjobs.servers import ServerAddress
    from tests.simulation.site import Site

CONNECT_TIMEOUT_S = 2.0
#: Seconds a client waits for an answer.
ANSWER_TIMEOUT_S = 6.0
_ENDS = frozenset({PacketType.WORK_COMPLETE, PacketType.WORK_FAIL, PacketType.WORK_EXCEPTION})
_BACKGROUND = {50: PacketType.SUBMIT_JOB_HIGH_BG, 0: PacketType.SUBMIT_JOB_BG, -50: PacketType.SUBMIT_JOB_LOW_BG}


class Way(Enum):
    """How a job is submitted."""

    #: SUBMIT_JOB_BG: the server names it.
    STOCK = "stock"
    #: SUBMIT_JOB_EXT: the client names it, and inserts the row when no server answers.
    NAMED = "named"
    #: SUBMIT_JOB.
    FOREGROUND = "foreground"
    #: Inserted in a transaction that commits, or is rolled back.
    TRANSACTION = "transaction"
    ROLLED_BACK = "rolled back"


@dataclass(slots=True)
class Submission:
    """One submit."""

    way: Way
    at: float
    server: int
    function: bytes
    unique: bytes
    payload: bytes
    priority: int
    #: Seconds from its submit until it is due; 0 for at once.
    delay_s: float = 0.0
    #: Whether the nudge after a transaction reaches nobody.
    loses_nudge: bool = False
    #: What a client of ours wants obeyed.
    terms: JobTerms = NO_TERMS
    fate: Fate = NO_FATE


class ClientLine:
    """One connection of a client, with one submit on it."""

    def __init__(self, client: SimulatedClient, link: Link, submission: Submission) -> None:
        self.client = client
        self.link = link
        self.submission = submission
        #: Whether the server has passed an answer to its socket.
        self.is_answered_by_server = False
        self.has_heard = False
        self.handle = b""
        self._decoder = Decoder(expects=RESPONSE_MAGIC)
        link.ends[0] = self

    def received(self, link: Link, chunk: bytes) -> None:
        """Bytes came."""
        self._decoder.receive(chunk)
        while (packet := self._decoder.next_packet()) is not None:
            if isinstance(packet, Packet):
                self.client.heard(self, packet)

    def broken(self, link: Link, *, is_reset: bool) -> None:
        """The server closed it or is gone."""
        self.client.lost(self)


class CancelLine:
    """One connection of a client that cancels a job."""

    def __init__(self, client: SimulatedClient, link: Link, handle: bytes, *, is_forced: bool) -> None:
        self._client = client
        self._decoder = Decoder(expects=RESPONSE_MAGIC)
        link.ends[0] = self
        chunk = encode_request(PacketType.OPTION_REQ, EXTENSIONS_OPTION)
        link.send(0, chunk + encode_request(PacketType.CANCEL_JOB, handle, b"%d" % is_forced))
        client.later(ANSWER_TIMEOUT_S, self._give_up, link)

    def received(self, link: Link, chunk: bytes) -> None:
        """Bytes came."""
        self._decoder.receive(chunk)
        while (packet := self._decoder.next_packet()) is not None:
            if isinstance(packet, Packet) and packet.type == PacketType.CANCEL_RES:
                handle, verdict = packet.arguments
                world = self._client.world
                world.journal.append(CancelAnswered(world.now, handle, verdict.decode()))
                link.close(0)

    def broken(self, link: Link, *, is_reset: bool) -> None:
        """Nobody knows whether the job is cancelled."""

    def _give_up(self, link: Link) -> None:
        if link.is_open(0):
            link.close(0)


class SimulatedClient(Process):
    """A client, which lives as long as the run.

    Args:
        site: what it is part of.
        host: where it runs.
        name: what it is called.
    """

    def __init__(self, site: Site, host: Host, name: str) -> None:
        super().__init__(host, name)
        self.site = site
        self._named = 0
        #: Submits that have not come to any end.
        self.open = 0

    def submit(self, submission: Submission) -> None:
        """Do what the submission says."""
        self.open += 1
        if submission.fate.cancel_in_s and submission.way is Way.NAMED:
            self.later(submission.fate.cancel_in_s, self._cancel, submission)
        if submission.way in {Way.TRANSACTION, Way.ROLLED_BACK}:
            self.later(self.world.chance.random() * 0.5, self._end_transaction, submission, self._new_handle())
            return
        address = self.site.addresses[submission.server % len(self.site.addresses)]
        self.site.connect(self, address, CONNECT_TIMEOUT_S, self._then(submission))

    def heard(self, line: ClientLine, packet: Packet) -> None:
        """A packet came."""
        submission = line.submission
        if packet.type == PacketType.JOB_CREATED:
            line.has_heard = True
            line.handle = packet.arguments[0]
            if submission.way is Way.FOREGROUND:
                server = line.link.processes[1].name
                self.world.journal.append(ForegroundAsked(self.world.now, self.name, line.handle, server))
            else:
                self._close(line)
        elif packet.type == PacketType.ERROR:
            line.has_heard = True
            self._close(line)
        elif packet.type in _ENDS:
            self._end_foreground(line)
            self._close(line)

    def lost(self, line: ClientLine) -> None:
        """The connection broke."""
        if line.handle and line.submission.way is Way.FOREGROUND:
            self._end_foreground(line)
        elif not line.has_heard and line.submission.way is Way.NAMED:
            self._insert(line.submission, self._handle_of(line.submission))
            return
        self._over()

    def _then(self, submission: Submission) -> Callable[[ServerAddress, Link | None, bool], None]:
        def connected(_address: ServerAddress, link: Link | None, _is_silent: bool) -> None:
            if link is not None:
                self._send(ClientLine(self, link, submission))
            elif submission.way is Way.NAMED:
                self._insert(submission, self._handle_of(submission))
            else:
                self._over()

        return connected

    def _send(self, line: ClientLine) -> None:
        submission = line.submission
        function, unique, payload = submission.function, submission.unique, submission.payload
        run_at = self.host.wall() + submission.delay_s if submission.delay_s else 0.0
        if submission.way is Way.NAMED:
            terms = write_terms(self._terms_of(submission))
            said = encode(SubmitAttributes(priority=submission.priority, run_at=run_at, terms=terms))
            handle = self._handle_of(submission)
            chunk = encode_request(PacketType.OPTION_REQ, EXTENSIONS_OPTION)
            chunk += encode_request(PacketType.SUBMIT_JOB_EXT, handle, function, unique, said, payload)
        elif submission.way is Way.FOREGROUND:
            chunk = encode_request(PacketType.SUBMIT_JOB, function, unique, payload)
        elif run_at:
            chunk = encode_request(PacketType.SUBMIT_JOB_EPOCH, function, unique, b"%d" % run_at, payload)
        else:
            chunk = encode_request(_BACKGROUND[submission.priority], function, unique, payload)
        line.link.send(0, chunk)
        self.later(ANSWER_TIMEOUT_S, self._time_out, line)

    def _time_out(self, line: ClientLine) -> None:
        if not line.has_heard and line.link.is_open(0):
            line.link.close(0)
            self.lost(line)

    def _close(self, line: ClientLine) -> None:
        line.link.close(0)
        self._over()

    def _end_foreground(self, line: ClientLine) -> None:
        self.world.journal.append(ForegroundOver(self.world.now, self.name, line.handle))

    def _end_transaction(self, submission: Submission, handle: JobHandle) -> None:
        if submission.way is Way.ROLLED_BACK:
            self.world.journal.append(RolledBack(self.world.now, handle))
            if not self.site.habits.keeps_rolled_back:
                self._over()
                return
        self._insert(submission, handle)

    def _insert(self, submission: Submission, handle: JobHandle) -> None:
        """Commit a transaction with the row; a database that is down refuses, and nothing is promised."""
        if self.site.store_weather.down_until <= self.world.now:
            wall = self.host.wall()
            row = Row(
                handle,
                FunctionName(submission.function),
                submission.unique if submission.way is Way.NAMED else b"",
                submission.payload,
                submission.priority,
                wall + submission.delay_s if submission.delay_s else 0.0,
                wall,
                "",
                terms=self._terms_of(submission),
            )
            if self.site.table.insert(row):
                event = Promised(self.world.now, handle, row.function, row.unique, row.payload)
                self.world.journal.append(event)
                if not submission.loses_nudge:
                    self._nudge(submission)
        self._over()

    def _terms_of(self, submission: Submission) -> JobTerms:
        expires_in_s = submission.fate.expires_in_s
        if not expires_in_s:
            return submission.terms
        return replace(submission.terms, expires_at=self.host.wall() + expires_in_s)

    def _cancel(self, submission: Submission) -> None:
        """Ask one server; whether it knows the job is another matter."""
        address = self.site.addresses[submission.server % len(self.site.addresses)]

        def connected(_address: ServerAddress, link: Link | None, _is_silent: bool) -> None:
            if link is not None:
                CancelLine(self, link, self._handle_of(submission), is_forced=submission.fate.is_forced)

        self.site.connect(self, address, CONNECT_TIMEOUT_S, connected)

    def _nudge(self, submission: Submission) -> None:
        address = self.site.addresses[submission.server % len(self.site.addresses)]
        self.site.connect(self, address, CONNECT_TIMEOUT_S, self._nudge_through)

    def _nudge_through(self, _address: ServerAddress, link: Link | None, _is_silent: bool) -> None:
        if link is not None:
            chunk = encode_request(PacketType.OPTION_REQ, EXTENSIONS_OPTION)
            link.send(0, chunk + encode_request(PacketType.ADOPT_JOBS))
            link.close(0)

    def _handle_of(self, submission: Submission) -> JobHandle:
        return JobHandle(b"H:%b:%b" % (self.name.encode(), submission.payload.split(b"|")[0]))

    def _new_handle(self) -> JobHandle:
        self._named += 1
        return JobHandle(b"H:%b:t%d" % (self.name.encode(), self._named))

    def _over(self) -> None:
        self.open -= 1
