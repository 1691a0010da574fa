"""SIGTERM on the main thread: what it may break off, and what is finished first."""

from __future__ import annotations

import time
from _thread import allocate_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable


NUDGES = 100


class LeaveIdle(BaseException):
    """Raised by the handler of SIGTERM while the main thread waits for a message, or sets the worker up."""


class Stopping:
    """Whether SIGTERM came. Handler and questions are on one thread, so that nothing comes between a mark and its question."""

    wake_fd: int
    """Where the interpreter writes the number of a signal that comes, for whoever reads the other end."""

    def __init__(self) -> None:
        self.stopping = False
        self._interruptible = False
        self._nudges_left = NUDGES
        self.stop_signal = b""
        self.turn = allocate_lock()
        """Held by a thread that reads for others, from before it reads until all that came is seen to."""
        self.is_leaving = False
        self.interrupt_main: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Called by the handler of SIGTERM. Raises `LeaveIdle` if nothing is lost by it."""
        self.stopping = True
        if self._interruptible:
            self._interruptible = False
            raise LeaveIdle

    def interruptible(self, run: Callable[[], None]) -> None:
        """Runs what a SIGTERM may end at once, by `LeaveIdle`."""
        self._interruptible = True
        try:
            if not self.stopping:
                run()
        finally:
            self._interruptible = False
        if self.stopping:
            raise LeaveIdle

    def read_no_more(self) -> None:
        """Called by the main thread, which leaves: all that was read is seen to then, and the rest stays in the pipe, unread."""
        with self.turn:
            self.is_leaving = True

    def make_main_stop(self, waits: Callable[[], bool]) -> None:
        """Sees to it that a signal is not missed; called by another thread when one has come.

        The interpreter runs handlers on the main thread only, and a signal that another thread received, or that came in the
        instant before the main thread's system call, does not wake that up.
        """
        while self._nudges_left and not self.stopping and (self._interruptible or waits()):
            # Counted over the whole life: each is heard as a signal once more, and the caller has the host to listen to.
            self._nudges_left -= 1
            self.interrupt_main()
            time.sleep(0.001)
