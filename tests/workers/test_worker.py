"""The Python twin of the stub worker: the same commands, so that one test serves both."""

from __future__ import annotations

import logging
import os
import time
from typing import Any, Iterator

from snakepit_worker import Worker

worker = Worker()


@worker.command
def echo(value: Any) -> Any:
    """Answers what it is given."""
    return value


@worker.command
def add(a: int, b: int) -> int:
    """Answers the sum."""
    return a + b


@worker.command
def sleep(ms: int, ctx: Any) -> int:
    """Takes its time, unless it is cancelled."""
    end = time.monotonic() + ms / 1000
    while time.monotonic() < end and not ctx.cancelled:
        time.sleep(0.001)
    return ms


@worker.command
def count(n: int) -> Iterator[dict[str, int]]:
    """Counts."""
    for i in range(n):
        yield {"i": i}


@worker.command
def fail(message: str) -> None:
    """Fails."""
    raise ValueError(message)


@worker.command
def remember(key: str, value: Any, ctx: Any) -> dict[str, Any]:
    """Keeps a value in the session, and answers all it keeps."""
    ctx.session[key] = value
    return dict(ctx.session)


@worker.command
def recall(ctx: Any) -> dict[str, Any]:
    """Answers what the session keeps."""
    return dict(ctx.session)


@worker.command
def inherited(name: str) -> bool:
    """Whether a program that is started here finds a variable of that name."""
    import subprocess

    return subprocess.run(["printenv", name], stdout=subprocess.DEVNULL).returncode == 0


@worker.command
def pid() -> int:
    """Answers the number of the process."""
    return os.getpid()


@worker.command
def spin(ms: int) -> int:
    """Computes, deaf to everything."""
    end = time.monotonic() + ms / 1000
    turns = 0
    while time.monotonic() < end:
        turns += 1
    return turns


@worker.command
def hold(n: int) -> int:
    """Computes in one step of the interpreter, which no other thread of it can interrupt."""
    return sum(range(n))


@worker.command
def steps(n: int, ctx: Any) -> int:
    """Tells how far it is, step by step."""
    for done in range(1, n + 1):
        ctx.progress(done, n, f"step {done}")
    return n


@worker.command
def nap(ms: int, ctx: Any) -> int:
    """Sleeps, and says before that it is about to."""
    ctx.progress(0, 1, "asleep")
    return sleep(ms, ctx)


@worker.command
def shout(text: str) -> None:
    """Prints, without damage to the wire."""
    print(text)


@worker.command
def log(text: str) -> None:
    """Logs a warning."""
    logging.getLogger("test.worker").warning(text)


worker.run()
