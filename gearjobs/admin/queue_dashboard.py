"""What the queue dashboard shows: is anything failing, is anything late, is anybody working?

Functions, queues and workers are asked of the live job servers, ages and failures of the job table; both at bounded
cost. The page works without JavaScript; with it, its region is fetched again every few seconds while the tab is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import ngettext

from gearjobs.admin.job_cells import age_text
from gearjobs.admin.live_servers import FunctionRow, ServerRow, ask_servers, sum_functions
from gearjobs.records.job_queries import ENDED_LIMIT, UNOWNED_LIMIT, JobCounts, count_jobs
from gearjobs.settings import gearjobs_settings

#: Rows of a table on the page.
SHOWN_ROWS: Final = 300


def dashboard_context() -> dict[str, Any]:
    """Ask the servers and the table, and return the template's context."""
    found = gearjobs_settings()
    servers = ask_servers(found.servers, timeout_s=found.admin.server_timeout_s)
    functions = sum_functions(servers)
    workers = [worker for server in servers for worker in server.workers]
    counts = count_jobs()
    return {
        "servers": servers,
        "functions": functions[:SHOWN_ROWS],
        "functions_left_out": max(0, len(functions) - SHOWN_ROWS),
        "workers": workers[:SHOWN_ROWS],
        "workers_left_out": max(0, len(workers) - SHOWN_ROWS),
        "waiting": sum(row.waiting for row in functions),
        "running": sum(row.running for row in functions),
        "worker_count": len(workers),
        "counts": counts,
        "is_failure_count_bounded": counts.ended >= ENDED_LIMIT,
        "oldest_waiting": age_text(counts.oldest_waiting_at),
        "problems": _problems(servers, functions=functions, counts=counts),
        "is_any_up": any(server.is_up for server in servers),
        "asked_at": timezone.now(),
    }


def _problems(servers: Sequence[ServerRow], *, functions: Sequence[FunctionRow], counts: JobCounts) -> list[str]:
    """Return the sentences that an operator should read first."""
    problems = []
    down = [server.address for server in servers if not server.is_up]
    if down:
        words = ngettext("Job server %(names)s does not answer.", "Job servers %(names)s do not answer.", len(down))
        problems.append(words % {"names": ", ".join(down)})
    stuck = [row.name for row in functions if row.is_stuck]
    if stuck:
        words = ngettext(
            "Jobs of %(names)s wait and no worker can do it.",
            "Jobs of %(names)s wait and no worker can do them.",
            len(stuck),
        )
        problems.append(words % {"names": ", ".join(stuck[:5]) + (" …" if len(stuck) > 5 else "")})
    if counts.unowned:
        words = ngettext(
            "%(number)s job in the table waits for a job server to take it.",
            "%(number)s jobs in the table wait for a job server to take them.",
            counts.unowned,
        )
        is_bounded = counts.unowned >= UNOWNED_LIMIT
        problems.append(words % {"number": f"{counts.unowned}{'+' if is_bounded else ''}"})
    return problems
