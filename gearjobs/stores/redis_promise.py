"""What a batch in Redis survives: read from its configuration, and refused where it is less than was asked for.

Redis keeps everything in memory and acknowledges from there. Its append-only file makes it durable, with
`appendfsync always` before it answers; and with a `maxmemory-policy` that evicts, it throws jobs away when it is full.
Source: redis.io, "Persistence" and "Key eviction".
"""

from __future__ import annotations

import logging
from typing import Any, Final

from redis import Redis
from redis.exceptions import ResponseError

from gearjobs.errors import StoreError
from gearjobs.stores.durability_level import DurabilityLevel

logger = logging.getLogger("gearjobs.stores")

_NAMES: Final = ("appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory", "maxmemory-policy", "save")


def promise(client: Redis, level: DurabilityLevel, *, place: str) -> str:
    """Return in words what Redis promises; what is wrong with it is logged, loudly.

    Raises:
        StoreError: it does not promise the level; with the remedy.
    """
    config = _config(client)
    if config is None:
        if level is DurabilityLevel.FULL:
            raise StoreError(
                f"{place} does not say how it is configured (CONFIG GET is refused), and may lose acknowledged jobs:"
                " allow CONFIG GET, or run the job server with --durability process"
            )
        logger.warning("%s does not say how it is configured: it may lose acknowledged jobs", place)
        return f"nothing is known of what an acknowledged job survives ({place})"
    flaws = _flaws(config)
    if flaws and level is DurabilityLevel.FULL:
        raise StoreError(
            f"{place} may lose acknowledged jobs: {'; '.join(flaws)}. Change that, or run the job server with"
            " --durability process"
        )
    if flaws and level is DurabilityLevel.PROCESS:
        for flaw in flaws:
            logger.warning("%s may lose acknowledged jobs: %s", place, flaw)
    words = {
        DurabilityLevel.FULL: "an acknowledged job survives power loss",
        DurabilityLevel.PROCESS: "an acknowledged job survives the end of the job server",
        DurabilityLevel.MEMORY: "nothing is promised of an acknowledged job",
    }
    shown = ", ".join(f"{name}={config.get(name, '')}" for name in _NAMES[:2])
    return f"{words[level]} ({place}: {shown}, maxmemory-policy={config.get('maxmemory-policy', '')})"


def _config(client: Redis) -> dict[str, str] | None:
    """Return the settings; None where whoever runs it lets nobody see them."""
    found: dict[str, str] = {}
    try:
        for name in _NAMES:
            answer: Any = client.config_get(name)
            found.update({_text(key): _text(value) for key, value in answer.items()})
    except ResponseError:
        return None
    return found


def _flaws(config: dict[str, str]) -> list[str]:
    flaws = []
    if config.get("appendonly") != "yes":
        saved = config.get("save")
        lost = "what came since its last snapshot" if saved else "everything"
        flaws.append(f"without appendonly yes its restart loses {lost}")
    elif config.get("appendfsync") != "always":
        flaws.append(f"with appendfsync {config.get('appendfsync')} a power loss takes back the latest")
    elif config.get("no-appendfsync-on-rewrite", "no") != "no":
        flaws.append(
            "with no-appendfsync-on-rewrite yes a power loss takes back what came during a rewrite of its file"
        )
    if config.get("maxmemory-policy", "noeviction") != "noeviction" and config.get("maxmemory", "0") != "0":
        flaws.append(f"with maxmemory-policy {config['maxmemory-policy']} it drops jobs when it is full: noeviction")
    return flaws


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
