"""A page of docs/ by the letter: its modules are a project's application `shop`, its sessions are typed into a shell.

A Python block that begins with `# shop/tasks.py` is a part of that module; any other is a session of its own, and a
line of it that ends in `# -> value` must have that value. Lines of `sh` blocks are commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.running_site import ROOT, RunningSite

_BLOCK = re.compile(r"```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)
_MODULE = "# shop/tasks.py\n"
_PROMISE = re.compile(r"(?P<code>.*\S)  # -> (?P<value>.*)")

_SETTINGS = """
from tests.support.worker_site.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "shop"]
"""
#: Compares what a line gives with what it promises; raises in the shell, whose output then shows both.
PROMISED = """
def _promised(value, text):
    if repr(value) != text:
        raise SystemExit(f"promised {text}, came {value!r}")
"""


class Page:
    """What a page of docs/ has people type.

    Args:
        name: of its file.
        heading: of the section that is meant; the whole page if it is empty.
    """

    def __init__(self, name: str, *, heading: str = "") -> None:
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        if heading:
            text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        blocks = [(found["language"], found["code"]) for found in _BLOCK.finditer(text)]
        python = [code for language, code in blocks if language == "python"]
        self.module = "\n\n".join(code for code in python if code.startswith(_MODULE))
        self.sessions = [code for code in python if not code.startswith(_MODULE)]
        self.commands = [line for language, code in blocks if language == "sh" for line in code.splitlines()]


class ShopSite(RunningSite):
    """A project with a page's module as its application `shop`."""

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the command line of a management command."""
        line = super().command(arguments)
        return [part.replace("tests.support.worker_site.settings", "shop_settings") for part in line]

    def check_session(self, session: str) -> None:
        """Type the session into a shell.

        Raises:
            AssertionError: something was raised in it, or a line had another value than it promises.
        """
        script = PROMISED + "\n".join(map(compared, session.splitlines())) + "\n"
        done = self.manage(["shell"], code=script)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr


@contextmanager
def running_shop(directory: Path, page: Page) -> Iterator[ShopSite]:
    """Run the page's project, with a job server and workers, in the directory."""
    (directory / "shop").mkdir()
    (directory / "shop" / "__init__.py").touch()
    (directory / "shop" / "tasks.py").write_text(page.module, encoding="utf-8")
    (directory / "shop_settings.py").write_text(_SETTINGS, encoding="utf-8")
    site = ShopSite(directory)
    site.environment["PYTHONPATH"] = f"{ROOT}:{directory}"
    with site:
        site.start_workers()
        yield site


def compared(line: str) -> str:
    """Return the line, or where it promises a value the comparison with it."""
    found = _PROMISE.fullmatch(line)
    return line if found is None else f"_promised(({found['code']}), {found['value']!r})"
