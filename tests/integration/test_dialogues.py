"""Each wire dialogue, held against gearjobs' server and against Debian's gearmand: what differs is marked in the files.

The form of the files in `dialogues/` is told in `tests.support.dialogue`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gearjobs.servers import ServerAddress
from tests.support.dialogue import Dialogue, play, read_dialogues
from tests.support.job_server import MemoryServer

DIALOGUES = [
    dialogue
    for path in sorted((Path(__file__).parent / "dialogues").glob("*.txt"))
    for dialogue in read_dialogues(path)
]


def for_server(server: str) -> pytest.MarkDecorator:
    """Give the test each dialogue that holds for the server."""
    held = [dialogue for dialogue in DIALOGUES if dialogue.holds_for(server)]
    return pytest.mark.parametrize(
        "dialogue",
        [pytest.param(one, id=f"{one.file}: {one.title}".replace("[", "(").replace("]", ")")) for one in held],
    )


@for_server("gearjobs")
def test_gearjobs_answers_as_written(dialogue: Dialogue, memory_server: MemoryServer):
    play(dialogue, "gearjobs", memory_server.address)


@pytest.mark.interop
@for_server("gearmand")
def test_gearmand_answers_as_written(dialogue: Dialogue, gearmand: ServerAddress):
    play(dialogue, "gearmand", gearmand)
