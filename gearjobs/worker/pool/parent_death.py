"""Makes a forked child die with its parent, even when the parent is killed without a chance to say so.

On Linux the kernel does it (prctl PR_SET_PDEATHSIG); a system without that call is told so by False, and its children
end with their job servers' connections only. The signal is SIGKILL: an orphan that went on to take jobs would be a
worker nobody supervises, and its running job goes back to the server when its connection breaks.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

#: From <linux/prctl.h>.
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> bool:
    """Have this process killed when its parent ends; exit at once if that has happened already.

    Args:
        parent_pid: the parent's pid, taken before the fork.

    Returns:
        Whether the system can do it.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    is_set = bool(libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0)
    # The parent may have died between the fork and the call, which then waits for the death of its heir.
    if os.getppid() != parent_pid:
        os._exit(1)
    return is_set
