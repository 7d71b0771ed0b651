"""A task and a function in a module that imports no model, for projects that are not set up yet."""

from __future__ import annotations

from gearjobs import gear_task


@gear_task
def add(a: int, b: int) -> int:
    return a + b


def multiply(a: int, b: int) -> int:
    return a * b
