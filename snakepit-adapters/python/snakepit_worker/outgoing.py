"""The one way out: frames of all threads onto fd 4, whole, in the order in which they were put.

A thread that finds the pipe taken leaves its frame in the list; whoever holds the pipe writes it before, or right after,
letting go. So the reading thread never waits behind a large answer to send a Pong.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

BACKLOG_LIMIT = 1000
"""Frames that may wait while another thread writes, before those who can wait are made to (see `tell`)."""


class HostGone(Exception):
    """Nobody reads fd 4 any more."""


class Outgoing:
    """The frames on their way to the host.

    The list is changed by `append` (any thread) and by taking from its front (only under the lock); each is one step of
    the interpreter, so that neither needs the other's lock.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = allocate_lock()
        self._frames: List[bytes] = []
        self._writer = 0

    def put(self, frame: bytes) -> None:
        """Leaves a frame for the next `flush` of any thread."""
        self._frames.append(frame)

    def flush(self) -> None:
        """Writes all that waits, after whoever is writing now. Raises `HostGone`."""
        with self._lock:
            self._write_all()
        self.flush_if_free()

    def post(self, frame: bytes) -> None:
        """Sends a frame without waiting for another thread's write. Raises `HostGone`."""
        self._frames.append(frame)
        self.flush_if_free()

    def tell(self, frame: bytes) -> None:
        """`post` for talkative senders: at the backlog's limit they wait, so that the list stays bounded."""
        self._frames.append(frame)
        # A finalizer may run, and log, in the middle of this thread's own write: waiting for itself would never end.
        if len(self._frames) > BACKLOG_LIMIT and self._writer != get_ident():
            self.flush()
        else:
            self.flush_if_free()

    def disown(self) -> None:
        """Makes every later write fail: a forked child must not speak for the worker."""
        self._fd = -1
        self._lock = allocate_lock()
        self._frames.clear()

    def flush_if_free(self) -> None:
        """Writes all that waits, unless another thread is writing, which then will. Raises `HostGone`."""
        # A frame appended while the lock was taken is seen here by the one who let go, since the appender's try came before.
        while self._frames and self._lock.acquire(False):
            try:
                self._write_all()
            finally:
                self._lock.release()

    def _write_all(self) -> None:
        self._writer = get_ident()
        frames = self._frames
        try:
            while frames:
                count = len(frames)
                data = b"".join(frames[:count])
                del frames[:count]
                written = os.write(self._fd, data)
                while written < len(data):
                    written += os.write(self._fd, memoryview(data)[written:])
        except OSError as error:
            raise HostGone(str(error)) from None
        finally:
            self._writer = 0
