"""The queue itself, pure: what a Gearman job server decides, with no socket, clock, chance, log or Django.

Time (`now`, unix seconds) and identities come in as arguments; what must happen to the outside comes out as effects, in
order. `job_queue.JobQueue` has one method per wire verb and wires the other files, each of which owns one policy.
"""
