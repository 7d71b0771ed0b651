"""OpenStack's gear with TLS: its worker reverses the payload of a job that its client submits.

Arguments: host, port, key, certificate, CA file. Prints the result.
"""

from __future__ import annotations

import sys

import gear

host, port, *files = sys.argv[1:]
worker = gear.Worker("gear-over-tls")
worker.addServer(host, int(port), *files)
worker.waitForServer(timeout=10)
worker.registerFunction("reverse")
client = gear.Client()
client.addServer(host, int(port), *files)
client.waitForServer(timeout=10)
client.submitJob(gear.Job(b"reverse", b"0123456789" * 10_000))
job = worker.getJob()
print(len(job.arguments), job.arguments[::-1][:10].decode())
job.sendWorkComplete(b"")
client.shutdown()
worker.shutdown()
