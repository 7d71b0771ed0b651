"""Docs that are made from tables say what the tables say."""

from __future__ import annotations

import pytest

from gearjobs.protocol.server_snapshot import ServerSnapshot
from gearjobs.server.admin_commands import AdminCommands
from gearjobs.server.operator_commands import OperatorCommands
from gearjobs.server.queue_desk import QueueDesk
from scripts.written_docs.pages import PAGES
from scripts.written_docs.protocol_page import admin_words
from tests.architecture.source_tree import ROOT
from tests.support.core_stages import QueueRig


@pytest.mark.parametrize("path", PAGES)
def test_page_is_as_its_table_makes_it(path: str):
    written = (ROOT / path).read_text(encoding="utf-8")

    assert written == PAGES[path](), f"{path} is stale: run scripts/write-docs"


def test_protocol_page_tells_of_every_admin_line():
    showing = AdminCommands(QueueRig().queue, {}, log_level="INFO", snapshot=lambda: ServerSnapshot(at=0.0))
    changing = OperatorCommands(QueueRig().queue, stop=lambda: None, drain=lambda: None)
    desk = QueueDesk(QueueRig().queue, None, pending_changes=lambda: 0, end_tick=lambda: None)

    assert admin_words() == {word.decode() for word in (*showing._table, *changing._table, *desk.lines)}
