"""Who reads fd 3. The main thread, as long as it is quick; while it computes, a second one takes over.

Handing every request from a reading thread to a running one costs three to four times the whole round trip, so the main
thread reads and runs. But then a Cancel or a Ping would wait until a long command is done. Therefore:

- Exactly one thread holds the *reading role*. `_lent` says which: False, the main thread; True, the standby.
- The main thread says `_computing` from the moment it has taken in what it read until it wants to read again.
- The standby looks once every few milliseconds. If it sees the same spell of computing twice, it takes the role, and reads
  until the main thread calls the role back through the wake pipe. If it sees none, it parks: it waits on that pipe, so that
  an idle worker uses no processor time at all, and the main thread unparks it with the next message.

`_lent`, `_computing`, `_turn` and `_parked` change only under `_lock`. The standby takes the role only while `_computing`, and the
main thread touches fd 3 only after it has ended that and found the role not lent: so the two never read, or take in, at once.
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
        self._lock = allocate_lock()
        self._lent = False
        self._computing = True
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
        with self._lock:
            self._computing = False
            lent = self._lent
        if lent:
            self._wake(CALL_BACK)
            self._returned.acquire()
            self.compute()
            return True
        if idle:
            # In this order: a SIGTERM before the mark is seen by the question, one after it raises.
            self._interruptible = True
            if self.stopping:
                self._interruptible = False
                raise LeaveIdle
            if self._incoming.filling is None:
                data = os.read(self._fd, READ_SIZE)
                self._interruptible = False
            else:
                # What is read to its place must be counted there, whatever comes: only the wait may be broken off.
                self._arrival.poll()
                self._interruptible = False
                data = self._incoming.fill(self._fd)
        else:
            data = os.read(self._fd, READ_SIZE) if self._incoming.filling is None else self._incoming.fill(self._fd)
        if not data and self._incoming.filling is None:
            return False
        # Taken in before computing begins: until then the standby cannot take the role, and there is one taker.
        self._take_in(data)
        self.compute()
        return True

    def compute(self) -> None:
        """Called by the main thread only, which from now on computes, whatever it did before."""
        with self._lock:
            self._computing = True
            self._turn += 1
            parked, self._parked = self._parked, False
        if parked:
            self._wake(UNPARK)

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
            with self._lock:
                seen = self._turn
                self._parked = park = not self._computing
            if park:
                if os.read(self._wake_reader, 1) == self.stop_signal:
                    self.make_main_stop(self._waits)
                continue
            time.sleep(PATIENCE)
            with self._lock:
                taken = self._lent = self._computing and self._turn == seen
            if taken:
                self._read_until_called_back()

    def _waits(self) -> bool:
        with self._lock:
            return not self._computing

    def _is_called_back(self, byte: bytes) -> bool:
        if byte == self.stop_signal:
            # A command sees it by itself when it is done; what may be broken off is not to go on until then.
            self.make_main_stop(lambda: False)
        return byte == CALL_BACK

    def _read_until_called_back(self) -> None:
        # The main thread finds the end of the input itself once it has called the role back.
        listen(self._fd, self._incoming, self._outgoing, self._wake_reader, self._take_in, self._at_end, self._is_called_back)
        with self._lock:
            self._lent = False
        self._returned.release()
