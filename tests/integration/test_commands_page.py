"""docs/commands.md by the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.documented_shop import Page
from tests.support.running_site import ROOT, RunningSite
from tests.support.shell_page import type_page

pytestmark = pytest.mark.slow


def test_commands_do_what_the_page_promises(tmp_path: Path):
    with RunningSite(tmp_path) as site:
        type_page("commands.md", site)


def test_page_names_every_command():
    commands = {path.stem for path in (ROOT / "gearjobs" / "management" / "commands").glob("[a-z]*.py")}
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")

    assert not {name for name in commands if f"`{name}`" not in text}
    assert len(Page("commands.md").commands) > 10
