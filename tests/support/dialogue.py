r"""Wire dialogues: who says what to a job server and what it must answer, in text files to hold any server to.

    == A foreground job goes there and back
    worker > CAN_DO reverse
    worker quiet
    client > SUBMIT_JOB reverse "" abc
    client < JOB_CREATED {handle}
    client >> "status\n"
    client << "reverse\t1\t0\t1\n"
    gearjobs: client < WORK_FAIL {handle}  # gearmand appends a NUL
    client leaves

`>` says a packet and `<` expects one, `>>` and `<<` raw bytes and a line. `quiet` proves that all was carried out and
no answer is left, `leaves` closes, `closed` expects the server to close. A peer connects where it is first named. Words
may be quoted, `\0 \t \r \n \" \\ \x7f` are escapes, `"ab"*32` is repeated. `{name}` takes whatever comes and must
come again wherever it is named again; `{_}` takes anything. What holds for one server only is marked with its name and
the reason: a line as above, a whole dialogue by `only gearmand  # reason` as its first line.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress
from tests.support.wire_peer import WirePeer

#: The servers that a dialogue or a line may be limited to.
SERVERS: Final = ("gearjobs", "gearmand")

_TITLE = re.compile(r"== (?P<title>.+)")
_ONLY = re.compile(rf"only (?P<server>{'|'.join(SERVERS)})\s+#\s*(?P<reason>\S.+)")
_STEP = re.compile(
    rf"(?:(?P<server>{'|'.join(SERVERS)}): )?"
    r"(?P<peer>\w+) (?P<verb>>>|<<|>|<|quiet|leaves|closed)(?: +(?P<words>[^#\s].*?))?(?:\s+#\s*(?P<reason>\S.+))?"
)
_WORD = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"(?:\*(?P<times>\d+))?|(?P<plain>[^\s"]+)')
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)", re.DOTALL)
_ESCAPES: Final = {b"0": b"\0", b"t": b"\t", b"r": b"\r", b"n": b"\n", b'"': b'"', b"\\": b"\\"}
_NAME = re.compile(rb"\{([a-z_]\w*)\}")


@dataclass(frozen=True)
class Step:
    """One line of a dialogue."""

    peer: str
    verb: str
    words: tuple[bytes, ...]
    #: The server it holds for; every one when empty.
    server: str
    line: str
    number: int


@dataclass
class Dialogue:
    """One dialogue of a file."""

    file: str
    title: str
    #: The server it holds for; every one when empty.
    server: str = ""
    steps: list[Step] = field(default_factory=list)

    def holds_for(self, server: str) -> bool:
        """Tell whether the dialogue is to be played against the server."""
        return self.server in {"", server}


def read_dialogues(path: Path) -> list[Dialogue]:
    """Return the dialogues of a file.

    Raises:
        ValueError: a line is neither a title, a mark, a step, a comment nor empty.
    """
    dialogues: list[Dialogue] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if title := _TITLE.fullmatch(text):
            dialogues.append(Dialogue(path.stem, title["title"]))
        elif not dialogues:
            raise ValueError(f"{path.name}:{number}: expected a title (== ...), got {line!r}")
        elif (only := _ONLY.fullmatch(text)) and not dialogues[-1].steps:
            dialogues[-1].server = only["server"]
        else:
            dialogues[-1].steps.append(_read_step(text, f"{path.name}:{number}", number))
    return dialogues


def _read_step(text: str, place: str, number: int) -> Step:
    found = _STEP.fullmatch(text)
    if found is None:
        raise ValueError(f"{place}: expected PEER VERB WORDS, got {text!r}")
    if found["server"] and not found["reason"]:
        raise ValueError(f"{place}: a line for {found['server']} only must say why (# reason), got {text!r}")
    words = tuple(_read_word(word) for word in _WORD.finditer(found["words"] or ""))
    return Step(found["peer"], found["verb"], words, found["server"] or "", text, number)


def _read_word(word: re.Match[str]) -> bytes:
    raw = word["plain"] if word["quoted"] is None else word["quoted"]
    return _ESCAPE.sub(_unescape, raw.encode()) * int(word["times"] or 1)


def _unescape(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes.fromhex(code[1:].decode()) if len(code) > 1 else _ESCAPES[code]


def play(dialogue: Dialogue, server: str, address: ServerAddress) -> None:
    """Play a dialogue with a fresh server.

    Raises:
        AssertionError: the server says something else; it names the line.
    """
    scene = _Scene(address)
    try:
        for step in dialogue.steps:
            if step.server in {"", server}:
                _play_step(dialogue, step, scene)
    finally:
        scene.close()


def _play_step(dialogue: Dialogue, step: Step, scene: _Scene) -> None:
    try:
        scene.play(step)
    except (AssertionError, OSError) as fault:
        raise AssertionError(f"{dialogue.file}.txt:{step.number}: {step.line}\n{fault}") from fault


class _Scene:
    """The peers of a dialogue and what they have caught so far."""

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._peers: dict[str, WirePeer] = {}
        self._caught: dict[bytes, bytes] = {b"in_an_hour": b"%d" % (time.time() + 3600)}
        self._play = {
            ">": self._say,
            "<": self._expect,
            ">>": self._say_raw,
            "<<": self._expect_line,
            "quiet": lambda peer, words: peer.expect_quiet(),
            "leaves": lambda peer, words: peer.leave(),
            "closed": lambda peer, words: peer.expect_end(),
        }

    def play(self, step: Step) -> None:
        if step.peer not in self._peers:
            self._peers[step.peer] = WirePeer(self._address)
        self._play[step.verb](self._peers[step.peer], step.words)

    def close(self) -> None:
        for peer in self._peers.values():
            peer.close()

    def _say(self, peer: WirePeer, words: tuple[bytes, ...]) -> None:
        name, *arguments = words
        number = int(name) if name.isdigit() else PacketType[name.decode()]
        peer.say(number, *map(self._fill_in, arguments))

    def _say_raw(self, peer: WirePeer, words: tuple[bytes, ...]) -> None:
        peer.say_raw(b"".join(map(self._fill_in, words)))

    def _expect(self, peer: WirePeer, words: tuple[bytes, ...]) -> None:
        name, *expected = words
        body = peer.expect_body(PacketType[name.decode()])
        arguments = body.split(b"\0", len(expected) - 1) if expected else [body] if body else []
        assert len(arguments) == len(expected), f"expected {expected}, got {arguments}"
        for pattern, argument in zip(expected, arguments, strict=True):
            self._catch(pattern, argument)

    def _expect_line(self, peer: WirePeer, words: tuple[bytes, ...]) -> None:
        (pattern,) = words
        self._catch(pattern, peer.expect_line())

    def _fill_in(self, word: bytes) -> bytes:
        return _NAME.sub(lambda found: self._caught[found[1]], word)

    def _catch(self, pattern: bytes, came: bytes) -> None:
        """Hold what came against a word with names in it, and note what the new ones stand for."""
        parts = _NAME.split(pattern)
        names = parts[1::2]
        if not names:
            assert came == pattern, f"expected {pattern[:200]!r}, got {came[:200]!r}"
            return
        regex = b"".join(re.escape(part) if index % 2 == 0 else self._group(part) for index, part in enumerate(parts))
        found = re.fullmatch(regex, came, re.DOTALL)
        assert found, f"expected {self._fill_in_known(pattern)!r}, got {came!r}"
        for name, value in zip([name for name in names if self._is_new(name)], found.groups(), strict=True):
            self._caught[name] = value
        self._caught.pop(b"_", None)

    def _is_new(self, name: bytes) -> bool:
        return name not in self._caught

    def _group(self, name: bytes) -> bytes:
        return b"(.*)" if self._is_new(name) else re.escape(self._caught[name])

    def _fill_in_known(self, pattern: bytes) -> bytes:
        return _NAME.sub(lambda found: self._caught.get(found[1], found[0]), pattern)
