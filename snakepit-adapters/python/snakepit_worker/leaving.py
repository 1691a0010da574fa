"""Ends the process from whatever thread sees that it must end."""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock, start_new_thread

BROKEN_CONTRACT = 70
WRONG_WIRE = 78

FLUSH_GRACE = 0.2
"""Seconds for the last lines of stdout: the main thread may hold its lock in a write that nobody reads."""


def leave_now(code: int, reason: str = "") -> None:
    """Does not return. Nothing of the user's runs any more; what was printed goes out if it can."""
    if reason:
        try:
            os.write(2, f"snakepit_worker: {reason}\n".encode("utf-8", "backslashreplace"))
        except OSError:
            pass
    flushed = allocate_lock()
    flushed.acquire()

    def flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                pass
        flushed.release()

    try:
        start_new_thread(flush, ())
        flushed.acquire(timeout=FLUSH_GRACE)
    finally:
        os._exit(code)


def leave_within(seconds: float) -> None:
    """Gives the main thread so long to end the process in its own way."""

    def wait() -> None:
        time.sleep(seconds)
        leave_now(0)

    start_new_thread(wait, ())
