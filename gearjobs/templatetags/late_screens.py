"""The admin's modules by way of a late import, for template tags.

Django imports all template tags of a project as soon as any template is rendered, and django-unfold renders one while
its own admin is being imported, which ours builds upon. Each module is imported when one of its attributes is first
read. Import checkers and mypy see a plain import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearjobs.late_module import LateModule

__all__ = ["job_acts", "job_cells", "job_snippets", "overview", "screen_links", "screen_tabs"]

if TYPE_CHECKING:
    from gearjobs.admin import job_acts, job_cells, job_snippets, overview, screen_links, screen_tabs
else:
    job_acts = LateModule("gearjobs.admin.job_acts")
    job_cells = LateModule("gearjobs.admin.job_cells")
    job_snippets = LateModule("gearjobs.admin.job_snippets")
    overview = LateModule("gearjobs.admin.overview")
    screen_links = LateModule("gearjobs.admin.screen_links")
    screen_tabs = LateModule("gearjobs.admin.screen_tabs")
