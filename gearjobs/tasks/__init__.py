"""The Django task system on Gearman: `@gear_task`, the django.tasks backend, and what a worker process does with a job.

The way of a job through this folder: `decorator` makes a `task`, `enqueue` submits it, `registry` knows which task a
Gearman function means, `execution` runs it with a `context`, `stored_result` reads its row back as a `result`.
Importing any of it touches no model and no socket, so that tasks may be decorated before `django.setup()`.
"""
