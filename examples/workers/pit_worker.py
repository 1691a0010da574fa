"""The worker of examples/pit.toml: small commands that show, one each, what a worker can do and how it can go wrong.

    python3 examples/workers/pit_worker.py                              lists the commands
    python3 examples/workers/pit_worker.py --call add '{"a": 1, "b": 2}'
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Dict, Iterator

from snakepit_worker import Context, Worker

worker = Worker()

STEP = 0.01
"""Seconds between two looks at `ctx.cancelled`."""


@worker.command
def add(a: float, b: float) -> float:
    """Adds two numbers."""
    return a + b


@worker.command
def echo(value: Any) -> Any:
    """Gives back what it was given; bytes stay bytes."""
    return value


@worker.command
def sleep(ms: float, ctx: Context) -> Dict[str, Any]:
    """Waits, and stops early when the caller gives up."""
    until = time.monotonic() + ms / 1000
    while not ctx.cancelled:
        left = until - time.monotonic()
        if left <= 0:
            break
        time.sleep(min(STEP, left))
    return {"slept_ms": ms, "cancelled": ctx.cancelled, "pid": os.getpid()}


@worker.command
def count(n: int, ctx: Context, delay_ms: float = 0) -> Iterator[Dict[str, int]]:
    """A stream of n items, one each delay_ms."""
    for i in range(n):
        if i and delay_ms:
            time.sleep(delay_ms / 1000)
        if ctx.cancelled:
            return
        yield {"i": i}


@worker.command
def remember(key: str, value: Any, ctx: Context) -> Dict[str, Any]:
    """Keeps a value for this session, in this worker."""
    ctx.session[key] = value
    return {"pid": os.getpid(), "kept": dict(ctx.session)}


@worker.command
def recall(ctx: Context) -> Dict[str, Any]:
    """What this worker has kept for this session."""
    return {"pid": os.getpid(), "kept": dict(ctx.session)}


@worker.command
def steps(n: int, ctx: Context) -> int:
    """Takes n steps, and tells how far it is."""
    for done in range(1, n + 1):
        ctx.progress(done, n, f"step {done}")
    return n


@worker.command
def told(ctx: Context) -> Dict[str, Any]:
    """What came with the request beside its arguments."""
    return {"session": ctx.session_id, "metadata": ctx.metadata, "traceparent": ctx.traceparent}


@worker.command
def fail(message: str) -> None:
    """Raises an error: the caller gets type, message and traceback, the worker goes on."""
    raise RuntimeError(message)


@worker.command
def crash(code: int = 3) -> None:
    """Ends the process in the middle of the request, as a fault in a library would."""
    print(f"crashing with code {code}", file=sys.stderr, flush=True)
    os._exit(code)


@worker.command
def spin(ms: float) -> Dict[str, int]:
    """Computes for so long without looking at anything: what a command does that nobody can cancel."""
    until = time.monotonic() + ms / 1000
    turns = 0
    while time.monotonic() < until:
        turns += 1
    return {"turns": turns, "pid": os.getpid()}


if __name__ == "__main__":
    worker.run()
