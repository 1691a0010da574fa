"""Who reads fd 3. The main thread, as long as it is quick; while it computes, a second one takes over.

Handing every request from a reading thread to a running one costs three to four times the whole round trip, so the main
thread reads and runs. But then a Cancel or a Ping would wait until a long command is done. Therefore:

- The *reading role* is a lock, `_role`: only who holds it touches fd 3, or takes in. Nobody waits for it.
- The main thread takes it when it wants to read (`_reads`), and lets go when it has taken in what it read, and computes.
- The standby looks once every few milliseconds. If it sees the same spell of computing twice, it takes the role, and reads
  until the main thread calls the role back through the wake pipe. If the main thread reads, it parks: it waits on that pipe, so
  that an idle worker uses no processor time at all, and the main thread unparks it when it computes again.

The standby says that it parks before it looks a last time whether the main thread reads, and the main thread lets go of the role
before it looks whether the standby parks: one of the two sees the other, so that no spell of computing goes unwatched.
"""

from __future__ import annotations

import os
import select
import sys
import time
from _thread import allocate_lock, start_new_thread

from .listening import READ_SIZE, listen
from .stopping import LeaveIdle, Stopping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from .incoming import Incoming
    from .outgoing import Outgoing

PATIENCE = 0.004
"""Seconds between two looks of the standby: a spell of computing is taken over after one to two of these."""

CALL_BACK, UNPARK = b"c", b"u"
"""What the main thread writes into the wake pipe; the interpreter writes the numbers of signals into it (see `port`)."""


class Reading(Stopping):
    """The reading role and its handover.

    `take_in` is given every piece that was read, `at_end` is called when the standby finds the end of the input, or of the
    output; both by the thread that holds the role, and neither may raise.
    """

    def __init__(
        self, fd: int, incoming: Incoming, outgoing: Outgoing, take_in: Callable[[bytes], None], at_end: Callable[[], None],
    ) -> None:
        super().__init__()
        self._fd = fd
        self._incoming = incoming
        self._arrival = select.poll()
        self._arrival.register(fd, select.POLLIN)
        self._outgoing = outgoing
        self._take_in = take_in
        self._at_end = at_end
        self._role = allocate_lock()
        self._reads = False
        self._turn = 0
        self._parked = False
        self._returned = allocate_lock()
        self._returned.acquire()
        self._wake_reader, self.wake_fd = os.pipe()
        # The interpreter insists, since it writes here in the middle of a signal.
        os.set_blocking(self.wake_fd, False)

    def start(self) -> None:
        """Starts the standby."""
        start_new_thread(self._stand_by_or_end, ())

    def _stand_by_or_end(self) -> None:
        try:
            self._stand_by()
        except BaseException:
            # Without a standby the main thread could wait for the role for ever; a dead worker is replaced, a deaf one is not.
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    def read(self, idle: bool) -> bool:
        """Called by the main thread only: waits for one piece of input and takes it in. False at the end of the input.

        May return early after calling the role back, since the standby may have taken in meanwhile what the caller waits for.
        `idle`: nothing is under way, and SIGTERM may end the wait.
        """
        # It is still held where a signal handler of the user's has thrown the last reading off.
        if not (self._reads or self._role.acquire(False)):
            self._wake(CALL_BACK)
            self._returned.acquire()
            self._turn += 1
            return True
        self._reads = True
        if idle:
            # In this order: a SIGTERM before the mark is seen by the question, one after it raises.
            self._interruptible = True
            if self.stopping:
                self._interruptible = False
                raise LeaveIdle
        # Only the wait may be broken off, and whoever is killed in it has read nothing: a read that waits still takes what
        # comes between the kill and its end, and then nobody can tell that the request was not begun with.
        self._arrival.poll()
        self._interruptible = False
        data = os.read(self._fd, READ_SIZE) if self._incoming.filling is None else self._incoming.fill(self._fd)
        if not data and self._incoming.filling is None:
            return False
        self._take_in(data)
        self._let_go()
        return True

    def _let_go(self) -> None:
        self._turn += 1
        self._reads = False
        self._role.release()
        if self._parked:
            self._parked = False
            self._wake(UNPARK)

    def compute(self) -> None:
        """Called by the main thread only, which reads no more, however its last reading ended."""
        if self._reads:
            self._let_go()

    def _wake(self, what: bytes) -> None:
        while True:
            try:
                os.write(self.wake_fd, what)
                return
            except BlockingIOError:
                # Full of the numbers of signals, which the standby is about to read.
                time.sleep(0.001)

    def _stand_by(self) -> None:
        while True:
            seen = self._turn
            self._parked = True
            if self._reads:
                if os.read(self._wake_reader, 1) == self.stop_signal:
                    self.make_main_stop(lambda: self._reads)
                continue
            self._parked = False
            time.sleep(PATIENCE)
            if self._turn == seen and self._role.acquire(False):
                self._read_until_called_back()

    def _is_called_back(self, byte: bytes) -> bool:
        if byte == self.stop_signal:
            # A command sees it by itself when it is done; what may be broken off is not to go on until then.
            self.make_main_stop(lambda: False)
        return byte == CALL_BACK

    def _read_until_called_back(self) -> None:
        # The main thread finds the end of the input itself once it has called the role back.
        listen(self._fd, self._incoming, self._outgoing, self._wake_reader, self._take_in, self._at_end, self._is_called_back, self)
        self._role.release()
        self._returned.release()
