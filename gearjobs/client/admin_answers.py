"""Lines to a job server's administrative protocol and where their answers end, for clients of any kind.

The protocol leaves it to the reader: a list ends with a line of one dot, everything else after one line, and an error
is one line wherever it comes. What the lines mean is `protocol/admin_text`'s.
"""

from __future__ import annotations

from typing import Final

from gearjobs.errors import ServerError, UsageError
from gearjobs.protocol.admin_text import END_OF_LIST

#: Commands answered with a list, by their first word.
_LIST_WORDS: Final = frozenset({b"status", b"prioritystatus", b"workers", b"show"})
#: Longest answer taken: 64 MiB is over a million jobs; more would only fill this process.
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024


class AnswerReader:
    """Gathers the answer to one line.

    Args:
        line: the command.
        max_bytes: longest answer taken.

    Raises:
        UsageError: the line is several, or none.
    """

    def __init__(self, line: str | bytes, *, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        #: The line without its end.
        self.words = (line.encode() if isinstance(line, str) else line).removesuffix(b"\r")
        if b"\n" in self.words or not self.words or self.words.startswith(b"\0"):
            raise UsageError(f"an admin command must be one line that is not empty, got {self.words!r}")
        self.answer = bytearray()
        self._is_list = self.words.partition(b" ")[0].rstrip().lower() in _LIST_WORDS
        self._max_bytes = max_bytes

    @property
    def line(self) -> bytes:
        """The line as it is sent: CR as well as LF, for gearmand takes the last letter of a created function for CR."""
        return self.words + b"\r\n"

    @property
    def is_whole(self) -> bool:
        """Whether the answer is complete."""
        answer = self.answer
        if not answer.endswith(b"\n"):
            return False
        return not self._is_list or answer == END_OF_LIST or answer.endswith(b"\n" + END_OF_LIST) or _is_error(answer)

    def receive(self, chunk: bytes) -> None:
        """Take what was read.

        Raises:
            OSError: the server closed the connection, or the answer is too long.
        """
        if not chunk:
            raise ConnectionResetError("the server closed the connection")
        self.answer += chunk
        if len(self.answer) > self._max_bytes:
            raise ConnectionAbortedError(f"an answer must have at most {self._max_bytes} bytes, more came")


def accepted(answer: bytes) -> bytes:
    """Return the answer.

    Raises:
        ServerError: it is an error line.
    """
    if _is_error(answer):
        _, code, *text = answer.strip().decode("utf-8", "backslashreplace").split(" ", 2)
        raise ServerError(code, " ".join(text))
    return answer


def version_of(answer: bytes) -> str:
    """Return the version that the answer to `version` names."""
    return answer.removeprefix(b"OK ").strip().decode("utf-8", "backslashreplace")


def _is_error(answer: bytes | bytearray) -> bool:
    """Whether it is an error line; a list's line of a function called `ERR ...` has a tab."""
    return answer.startswith(b"ERR ") and answer.count(b"\n") == 1 and b"\t" not in answer
