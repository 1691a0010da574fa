"""SIGTERM on the main thread: what it may break off, and what is finished first."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable


class LeaveIdle(BaseException):
    """Raised by the handler of SIGTERM while the main thread waits for a message, or sets the worker up."""


class Stopping:
    """Whether SIGTERM came. Handler and questions are on one thread, so that nothing comes between a mark and its question."""

    wake_fd: int
    """Where the interpreter writes the number of a signal that comes, for whoever reads the other end."""

    def __init__(self) -> None:
        self.stopping = False
        self._interruptible = False
        self.stop_signal = b""
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
