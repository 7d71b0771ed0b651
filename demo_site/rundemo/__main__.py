"""`make demo`: the whole demo in one terminal; `make demo ONCE=1`: the same, once through, without a browser.

Starts the real parts (see `house`), prints where they are and how to log in, and stops them all on Ctrl-C, on
SIGTERM and when one of them dies. With --once it makes the sample album over HTTP, follows its jobs through REST,
prints a line a job, and its exit code says whether all of them succeeded.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final

from demo_site.rundemo.browse import EndedJob, VisitError, Visitor
from demo_site.rundemo.house import BASE_DIR, House
from demo_site.rundemo.part import PartError

#: Seconds from the start of `--once` until its jobs must have ended: some 10 are usual on a slow machine.
JOBS_LIMIT_S: Final = 90.0
#: Seconds after which `--once` gives up whatever it is doing; stopping the parts comes on top.
ONCE_LIMIT_S: Final = 100
#: Seconds between two looks at whether every part is alive.
WATCH_INTERVAL_S: Final = 0.3


class StopAsked(BaseException):
    """Somebody asked the demo to stop; it may rise anywhere, so nothing but `main` catches it."""


def main() -> int:
    """Run the demo; return its exit code."""
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ask_to_stop)
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(ONCE_LIMIT_S if options.once else 0)
    house = House(options.var, _say)
    try:
        code = _run(house, options)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        _say("\nStopping.")
        is_stopped_well = house.stop()
    return code if is_stopped_well else code or 1


def _run(house: House, options: argparse.Namespace) -> int:
    """Start the parts, and watch them or visit them; return the exit code."""
    try:
        _start(house, options)
        return _visit(house, options) if options.once else _watch(house, options.var)
    except (PartError, VisitError) as error:
        _say(f"\nThe demo failed. {error}")
        return 1
    except StopAsked:
        return 1 if options.once else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description="Run the whole gearjobs demo.")
    parser.add_argument("--once", action="store_true", help="make the sample album, follow its jobs to their end, stop")
    parser.add_argument("--web-port", type=int, default=8000, help="0 takes any free port (default %(default)s)")
    parser.add_argument("--job-server-port", type=int, default=4730, help="0 takes any free port (default %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="worker processes (default %(default)s)")
    default_var = Path(os.environ.get("DEMO_VAR") or BASE_DIR / "var")
    parser.add_argument("--var", type=Path, default=default_var, help="where everything is kept (default %(default)s)")
    options = parser.parse_args()
    options.var = options.var.resolve()
    options.started_at = time.monotonic()
    return options


def _start(house: House, options: argparse.Namespace) -> None:
    _say("Preparing the database …")
    house.prepare_database()
    _say("Starting the job server, the workers and the web site …")
    house.start_job_server(options.job_server_port)
    house.start_workers(options.processes)
    house.start_web(options.web_port)
    _say(f"All parts serve after {time.monotonic() - options.started_at:.1f} s.")


def _watch(house: House, var_dir: Path) -> int:
    password = _password(var_dir)
    _say(f"""
The gearjobs demo is running.

  Album     {house.site}
  Admin     {house.site}admin/    (jobs, queues)
  REST      {house.site}api/jobs/
  Log in    admin  {password}    sees everything
            demo   {password}    sees its own jobs
  Gearman   {house.job_server}    gearadmin --port {house.job_server.rpartition(":")[2]} --status
  Logs      {var_dir / "log"}

Ctrl-C stops everything.""")
    while True:
        house.check_alive()
        time.sleep(WATCH_INTERVAL_S)


def _visit(house: House, options: argparse.Namespace) -> int:
    def pause(seconds: float) -> None:
        house.check_alive()
        time.sleep(seconds)

    visitor = Visitor(house.site, pause)
    visitor.log_in("demo", _password(options.var))
    handles = visitor.make_sample_album()
    _say(f"An album of {len(handles)} pictures was submitted at {house.site}; asking REST for its jobs:")
    jobs = visitor.follow(handles, deadline=options.started_at + JOBS_LIMIT_S, told=_print_job)
    failed = [job for job in jobs if job.status != "SUCCESSFUL"]
    if failed:
        _say(f"{len(failed)} of {len(jobs)} jobs failed.")
        return 1
    if len(jobs) == len(handles):
        _say("Every thumbnail was made, but none of their jobs ordered the contact sheet.")
        return 1
    _say(f"All {len(jobs)} jobs SUCCESSFUL.")
    return 0


def _print_job(job: EndedJob) -> None:
    _say(f"{job.handle}  {job.function.rpartition('.')[2]:<18}  {job.status}  {job.outcome}")


def _password(var_dir: Path) -> str:
    return (var_dir / "demo_password").read_text(encoding="ascii").strip()


def _say(line: str) -> None:
    print(line, flush=True)


def _ask_to_stop(_number: int, _frame: FrameType | None) -> None:
    raise StopAsked


def _out_of_time(_number: int, _frame: FrameType | None) -> None:
    raise PartError(f"It was not through within {ONCE_LIMIT_S} s.")


if __name__ == "__main__":
    sys.exit(main())
