"""What python-gearman provided for Python releases that lacked it; today's Python has it all.

Kept for programs that import it from here. New programs have no use for this module.
"""

from __future__ import annotations

import builtins
from collections import defaultdict

all = builtins.all
any = builtins.any

__all__ = ["all", "any", "defaultdict"]
