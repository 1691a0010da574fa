"""The four commands that every worker can be checked by (proto/README.md, section 13); offered where `--conformance` is given."""

from __future__ import annotations

import time

from .failure import CommandError
from .payload import Payload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator

    from .context import Context
    from .registry import Registry

STEP = 0.005
"""Seconds between two looks at `ctx.cancelled`."""


def offer(registry: Registry) -> None:
    """Adds them to the commands of a worker."""
    sleeps = sleep_as_task if registry.serves_tasks else sleep
    for name, function in (("echo", echo), ("count", count), ("sleep", sleeps), ("fail", fail)):
        registry.add(f"snakepit.test.{name}", function, None)


def echo(*positional: Any, ctx: Context, **named: Any) -> Payload:
    """Gives back data, content type and attachments, byte for byte."""
    return Payload(ctx.data, ctx.content_type, ctx.attachments)


def count(n: int) -> Iterator[Dict[str, int]]:
    """A stream of n items."""
    for i in range(n):
        yield {"i": i}


def sleep(ms: float, ctx: Context) -> float:
    """Gives back ms after so many milliseconds, unless it is cancelled."""
    until = time.monotonic() + ms / 1000
    while not ctx.cancelled:
        left = until - time.monotonic()
        if left <= 0:
            return ms
        time.sleep(min(STEP, left))
    raise CommandError("cancelled in its sleep", kind="cancelled")


async def sleep_as_task(ms: float) -> float:
    """Gives back ms after so many milliseconds, unless it is cancelled."""
    import asyncio

    await asyncio.sleep(ms / 1000)
    return ms


def fail(message: str) -> None:
    """Fails with this message."""
    raise CommandError(message)
