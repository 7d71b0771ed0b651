"""Secrets that are made once and kept in a file.

The demo needs a SECRET_KEY and a password that stay the same between starts and are never in the repository: they
are made at the first use, in files only their owner can read, under the directory that git ignores.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path


def kept_secret(path: Path, *, random_bytes: int) -> str:
    """Return the secret kept at `path`; make it, and the directories above it, when there is none.

    Several processes or threads may ask for the same new secret at once: all get the one that was linked first.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own for each that asks, and readable by the owner only.
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        draft = Path(name)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(random_bytes) + "\n")
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass  # Another one was faster; its secret counts.
        finally:
            draft.unlink()
    return path.read_text(encoding="ascii").strip()
