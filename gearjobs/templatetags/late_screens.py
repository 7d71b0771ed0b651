"""The admin's modules by way of a late import, for template tags.

Django imports all template tags of a project as soon as any template is rendered, and django-unfold renders one while
its own admin is being imported, which ours builds upon. Each module is imported when one of its attributes is first
read. Import checkers and mypy see a plain import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["job_acts", "job_cells", "job_snippets", "overview", "screen_links", "screen_tabs"]

if TYPE_CHECKING:
    from gearjobs.admin import job_acts, job_cells, job_snippets, overview, screen_links, screen_tabs
else:

    class _LateModule:
        def __init__(self, path):
            self._path = path

        def __getattr__(self, name):
            return getattr(import_module(self._path), name)

    job_acts = _LateModule("gearjobs.admin.job_acts")
    job_cells = _LateModule("gearjobs.admin.job_cells")
    job_snippets = _LateModule("gearjobs.admin.job_snippets")
    overview = _LateModule("gearjobs.admin.overview")
    screen_links = _LateModule("gearjobs.admin.screen_links")
    screen_tabs = _LateModule("gearjobs.admin.screen_tabs")
