"""Which file system a file is on: SQLite keeps no job safely where several machines share it.

Linux tells in /proc; a system without it is believed to have its files on disks of its own. Source: proc(5) on
mountinfo, sqlite.org/wal.html on memory that is shared.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

#: Types of file systems where neither locks nor the memory that WAL shares hold between machines.
_SHARED: Final = re.compile(
    r"nfs4?|cifs|smb3?|smbfs|ncpfs|9p|afs|ceph|glusterfs|lustre|gpfs|beegfs|davfs"
    r"|fuse\.(sshfs|glusterfs|ceph.*|s3fs|rclone|davfs2?|gcsfuse)"
)
_MOUNTS: Final = Path("/proc/self/mountinfo")


def network_file_system_of(path: Path) -> str:
    """Return the type of the file system that a file is on, or would be, if machines share it; else nothing."""
    kind = file_system_of(path)
    return kind if _SHARED.fullmatch(kind) else ""


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str:
    """Return the type of the file system that a file is on, or would be; empty where the system does not tell."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    found, kind = "", ""
    for line in lines:
        mounted, _, described = line.partition(" - ")
        # Of two on one place the later one hides the other. Spaces and the like are octal.
        place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), mounted.split()[4])
        if len(place) >= len(found) and os.path.commonpath([place, path]) == place:
            found, kind = place, described.split()[0]
    return kind
