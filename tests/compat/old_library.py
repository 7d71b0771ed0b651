"""Load an old python-gearman, or gearman3, from an unpacked source release, for `record_python_gearman` alone.

Release 2.0.2 is written for Python 2: lib2to3 (Python 3.11 still has it) converts a copy, and where Python 2's strings
were bytes, its modules are handed doubles of `socket`, `struct`, `os` and `select` that translate as Latin-1. So every
string of the library is a `str`, as it was, and no line of it is edited. gearman3 needs an `array.fromstring`, which
Python 3.9 removed.
"""

from __future__ import annotations

import array
import importlib
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

CODEC: Final = "latin-1"


def load(source: Path, workshop: Path) -> ModuleType:
    """Return the package `gearman` of an unpacked release; what is converted goes into the workshop."""
    copy = workshop / "gearman"
    shutil.copytree(source / "gearman", copy)
    is_python2 = "__version__ = '2.0.2'" in (copy / "__init__.py").read_text()
    if is_python2:
        subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "lib2to3", "-wn", str(copy)], check=True, capture_output=True
        )
    sys.path.insert(0, str(workshop))
    library = importlib.import_module("gearman")
    if is_python2:
        _translate_strings()
    else:
        _module("connection").array = SimpleNamespace(array=_OldArray)
    return library


def _translate_strings() -> None:
    _module("protocol").struct = SimpleNamespace(pack=_pack, unpack=_unpack)
    _module("connection").socket = SimpleNamespace(
        **{name: getattr(socket, name) for name in dir(socket) if name != "socket"}, socket=_TextSocket
    )
    _module("client").os = SimpleNamespace(urandom=_urandom)
    selecting = SimpleNamespace(select=_select, error=_SelectError)
    _module("util").select_lib = selecting
    _module("connection_manager").select_lib = selecting


def _module(name: str) -> Any:
    return importlib.import_module(f"gearman.{name}")


def _pack(layout: str, *values: Any) -> str:
    return struct.pack(layout, *(value.encode(CODEC) if isinstance(value, str) else value for value in values)).decode(
        CODEC
    )


def _unpack(layout: str, packed: str) -> tuple[Any, ...]:
    values = struct.unpack(layout, packed.encode(CODEC))
    return tuple(value.decode(CODEC) if isinstance(value, bytes) else value for value in values)


class _TextSocket:
    """A socket whose bytes are Python 2's strings."""

    def __init__(self, *arguments: Any) -> None:
        self._socket = socket.socket(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv(self, size: int) -> str:
        return self._socket.recv(size).decode(CODEC)

    def send(self, text: str) -> int:
        return self._socket.send(text.encode(CODEC))


def _urandom(size: int) -> Any:
    return SimpleNamespace(encode=lambda _codec: os.urandom(size).hex())


class _SelectError(OSError):
    """Python 2's select.error, whose number was its first element."""

    def __getitem__(self, index: int) -> Any:
        return self.args[index]


def _select(*arguments: Any) -> Any:
    try:
        return select.select(*arguments)
    except OSError as error:
        raise _SelectError(*error.args) from error


class _OldArray(array.array):  # type: ignore[type-arg]  # generic to type checkers only
    """An array as it was before Python 3.9."""

    def fromstring(self, text: bytes) -> None:
        self.frombytes(text)

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        return _OldArray(self.typecode, part) if isinstance(index, slice) else part
