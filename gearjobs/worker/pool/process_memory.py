"""How much memory a process has, as the kernel counts it: its resident set, without what is swapped out.

Pages that a process shares with its parent since the fork are counted for both, so that the sum over a pool is more
than what the pool really has. Read from /proc, which Linux has; elsewhere it is not known, and 0.
"""

from __future__ import annotations

import os
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def rss_bytes(pid: int) -> int:
    """Return the resident set of a process in bytes; 0 where it is gone, or the system does not tell."""
    try:
        words = Path(f"/proc/{pid}/statm").read_bytes().split()
    except OSError:
        return 0
    return int(words[1]) * _PAGE_BYTES
