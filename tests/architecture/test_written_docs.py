"""STYLE 5: docs that are made from tables say what the tables say."""

from __future__ import annotations

import pytest

from scripts.written_docs.pages import PAGES
from tests.architecture.source_tree import ROOT


@pytest.mark.parametrize("path", PAGES)
def test_page_is_as_its_table_makes_it(path: str):
    written = (ROOT / path).read_text(encoding="utf-8")

    assert written == PAGES[path](), f"{path} is stale: run scripts/write-docs"
