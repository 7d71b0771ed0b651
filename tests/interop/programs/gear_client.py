"""A client on OpenStack's gear: gear_client.py HOST PORT PREFIX. What it says is told in ../README.md."""

from __future__ import annotations

import sys
import threading
import time

import gear


class Client(gear.Client):  # type: ignore[misc] # gear has no types
    """Says what it hears of its jobs."""

    def __init__(self) -> None:
        super().__init__("gear client")
        self.ended = threading.Event()

    def handleWorkStatus(self, packet: gear.Packet) -> None:  # noqa: N802 - gear's name
        job = super().handleWorkStatus(packet)
        print(f"status {job.numerator.decode()}/{job.denominator.decode()}")

    def handleWorkData(self, packet: gear.Packet) -> None:  # noqa: N802 - gear's name
        print("data", super().handleWorkData(packet).data[-1].decode())

    def handleWorkWarning(self, packet: gear.Packet) -> None:  # noqa: N802 - gear's name
        print("warning", super().handleWorkWarning(packet).data[-1].decode())

    def handleWorkComplete(self, packet: gear.Packet) -> None:  # noqa: N802 - gear's name
        print("complete", super().handleWorkComplete(packet).data[-1].decode())
        self.ended.set()

    def handleWorkException(self, packet: gear.Packet) -> None:  # noqa: N802 - gear's name
        print("exception", super().handleWorkException(packet).exception.decode())
        self.ended.set()

    def handleWorkFail(self, packet: gear.Packet) -> None:  # noqa: N802 - gear's name
        super().handleWorkFail(packet)
        print("fail")
        self.ended.set()

    def run(self, function: str) -> None:
        """Run a job in the foreground."""
        self.ended.clear()
        self.submitJob(gear.Job(function.encode(), b"hello"), timeout=10)
        if not self.ended.wait(10):
            sys.exit(f"{function}: no end within 10 s")

    def run_in_background(self, function: str) -> None:
        """Submit a background job and ask for it until it is not known any more."""
        job = gear.Job(function.encode(), b"hello")
        self.submitJob(job, background=True, timeout=10)
        print("background", job.handle.decode())
        job.known = True
        while job.known:
            job.connection.sendPacket(gear.Packet(gear.constants.REQ, gear.constants.GET_STATUS, job.handle))
            time.sleep(0.01)
        print("ended")


def main(host: str, port: str, prefix: str) -> None:
    client = Client()
    client.addServer(host, int(port))
    client.waitForServer(10)
    if not client.setOption("exceptions", timeout=10):
        sys.exit("exceptions were refused")
    for function in ("shout", "raise", "refuse"):
        client.run(f"{prefix}-{function}")
    client.run_in_background(f"{prefix}-shout")
    client.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
