"""Secrets that are made once and kept in a file.

The demo needs a SECRET_KEY and a password that stay the same between starts and are never in the repository: they
are made at the first use, in files only their owner can read, under the directory that git ignores.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def kept_secret(path: Path, *, random_bytes: int) -> str:
    """Return the secret kept at `path`; make it, and the directories above it, when there is none.

    Several processes may ask for the same new secret at once: all get the one that was linked first.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(random_bytes) + "\n", encoding="ascii")
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # Another process was faster; its secret counts.
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii").strip()
