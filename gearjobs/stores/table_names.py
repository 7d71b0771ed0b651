"""Names of tables that come from the command line, and become part of statements.

gearmand puts them into its statements as they are given, unquoted: so must we, to mean the same table. What could be
anything but a name is therefore refused.
"""

from __future__ import annotations

import re
from typing import Final

from gearjobs.errors import UsageError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


def checked_name(option: str, name: str, *, may_have_schema: bool = False) -> str:
    """Return the name of a table.

    Raises:
        UsageError: it is none.
    """
    parts = name.split(".")
    if not all(_NAME.fullmatch(part) for part in parts) or len(parts) > 1 + may_have_schema:
        form = "NAME or SCHEMA.NAME" if may_have_schema else "NAME"
        raise UsageError(f"{option} must be a table's name, {form}, of letters, digits and _, got {name!r}")
    return name
