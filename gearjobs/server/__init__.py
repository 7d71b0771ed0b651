"""The job server's shell: sockets, timers, the writer thread, signals and logs around the pure queue.

No queue policy lives here. `server` ties the parts together; bytes come in through `connection`, go through
`dispatch` or `admin_commands` to the queue, and what the queue wants done leaves through `deliver` and `durability`.
"""
