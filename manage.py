#!/usr/bin/env python3
"""Django's command line for the demo site.

`manage.py runjobserver`, `manage.py runworkers` and every other command run here with `demo_site.settings`; the
database comes from DATABASE_URL. In your own project the commands belong to your own manage.py.
"""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    """Run the command named on the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_site.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
