"""The one way out: frames of all threads onto fd 4, whole, in the order in which they were put.

A thread that finds the pipe taken leaves its frame in the list; whoever holds the pipe writes it before, or right after,
letting go. The pipe itself does not block: the reading thread, which must see the end of the input whatever happens, writes
what fits and keeps the rest for when there is room (`is_stalled`); all others wait.
"""

from __future__ import annotations

import os
import select
from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence

    from .frame import Buffer


BACKLOG_LIMIT = 10_000
"""Frames that may wait for a host that does not read, before it is not read from either."""


class HostGone(Exception):
    """Nobody reads fd 4 any more."""


class Outgoing:
    """The frames on their way to the host.

    The list is changed by `append` (any thread) and at its front (only under the lock); each is one step of the
    interpreter, so that neither needs the other's lock. A finalizer that runs in the middle of its own thread's write, and
    logs, gets the lock as well, finds `_is_writing`, and leaves its frame to the write that it interrupted.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.is_stalled = False
        self._lock = RLock()
        self._is_writing = False
        self._frames: List[bytes] = []
        self.put = self._frames.append
        """Leaves a frame for the next `flush` of any thread."""
        self._room = select.poll()
        self._room.register(fd, select.POLLOUT)

    @property
    def is_full(self) -> bool:
        """Whether more waits than a host that reads would ever leave."""
        return len(self._frames) > BACKLOG_LIMIT

    def flush(self) -> None:
        """Writes all that waits, after whoever is writing now; waits for room. Raises `HostGone`."""
        while True:
            with self._lock:
                if self._is_writing:
                    return
                self._write_all(waits=True)
            # Left by threads that found the pipe taken. Nobody else would wait for room for it.
            if not self._frames:
                return

    def send_pieces(self, pieces: Sequence[Buffer]) -> None:
        """Writes all that waits, then a frame of a large body as it lies in its pieces; waits for room. Raises `HostGone`."""
        with self._lock:
            self._write_all(waits=True)
            self._is_writing = True
            try:
                self._write_pieces(pieces)
            finally:
                self._is_writing = False
        if self._frames:
            self.flush()

    def post(self, frame: bytes) -> None:
        """Sends a frame without waiting, neither for another thread nor for room. Raises `HostGone`."""
        self._frames.append(frame)
        self.flush_if_free()

    def flush_if_free(self) -> None:
        """Writes what there is room for, unless another thread is writing, which then will. Raises `HostGone`."""
        # A frame appended while the lock was taken is seen here by the one who let go, since the appender's try came before.
        while self._frames and self._lock.acquire(False):
            try:
                if self._is_writing:
                    return
                self._write_all(waits=False)
            finally:
                self._lock.release()
            if self.is_stalled:
                return

    def disown(self) -> None:
        """Makes every later write fail: a forked child must not speak for the worker."""
        self.fd = -1
        self._lock = RLock()
        self._is_writing = False
        self._frames.clear()

    def _write_all(self, waits: bool) -> None:
        self._is_writing, self.is_stalled = True, False
        frames = self._frames
        try:
            while frames:
                count = len(frames)
                if count == 1:
                    data = frames.pop(0)
                else:
                    data = b"".join(frames[:count])
                    del frames[:count]
                written = self._write(data)
                while written < len(data):
                    if not waits:
                        frames.insert(0, data[written:])
                        self.is_stalled = True
                        return
                    self._room.poll()
                    written += self._write(memoryview(data)[written:])
        finally:
            self._is_writing = False

    def _write_pieces(self, pieces: Sequence[Buffer]) -> None:
        left = list(pieces)
        while left:
            try:
                written = os.writev(self.fd, left)
            except BlockingIOError:
                self._room.poll()
                continue
            except OSError as error:
                raise HostGone(str(error)) from None
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if left:
                left[0] = memoryview(left[0])[written:]

    def _write(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise HostGone(str(error)) from None
