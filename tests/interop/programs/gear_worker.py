"""A worker on OpenStack's gear: gear_worker.py HOST PORT PREFIX. What its functions do is told in ../README.md."""

from __future__ import annotations

import sys

import gear


def shout(job: gear.WorkerJob) -> None:
    job.sendWorkStatus(1, 4)
    job.sendWorkData(b"part")
    job.sendWorkWarning(b"careful")
    job.sendWorkComplete(job.arguments.upper())


def main(host: str, port: str, prefix: str) -> None:
    functions = {
        f"{prefix}-shout": shout,
        f"{prefix}-raise": lambda job: job.sendWorkException(b"it broke"),
        f"{prefix}-refuse": lambda job: job.sendWorkFail(),
    }
    worker = gear.Worker(f"{prefix} worker")
    worker.addServer(host, int(port))
    worker.waitForServer(10)
    for function in functions:
        worker.registerFunction(function)
    while True:
        job = worker.getJob()
        functions[job.name](job)


if __name__ == "__main__":
    main(*sys.argv[1:])
