"""The pages that are written from tables of the code: their paths, and what is to stand there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from scripts.written_docs import protocol_page, settings_page

PAGES: Final[dict[str, Callable[[], str]]] = {
    protocol_page.PATH: protocol_page.render,
    settings_page.PATH: settings_page.render,
}
