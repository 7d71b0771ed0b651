"""Tasks that may be enqueued over HTTP, with parameters of every kind."""

from __future__ import annotations

from typing import Any, Literal

from rest_framework import serializers

from gearjobs import GearContext, gear_task


@gear_task(api=True)
def ship(order: int, *, weight: float = 1.0, express: bool = False) -> str:
    """Send an order on its way.

    Nothing of this is told.
    """
    return f"{order} {weight} {express}"


@gear_task(api=True, takes_context=True, max_attempts=3, timeout=30)
def pack(
    context: GearContext,
    /,
    names: list[str],
    size: Literal["small", "large"] = "small",
    notes: dict[str, int] | None = None,
    *more: int,
    **rest: Any,
) -> int:
    return len(names)


class AddressSerializer(serializers.Serializer[Any]):
    """What `deliver` takes."""

    street = serializers.CharField(max_length=20, help_text="With the number.")
    day = serializers.DateField(required=False)


@gear_task(api=AddressSerializer)
def deliver(street: str, day: str = "") -> str:
    return f"{street} {day}"


@gear_task(mask=["card", "pass*"])
def pay(card: str, password: str = "") -> None:
    """A task that is not for HTTP."""
