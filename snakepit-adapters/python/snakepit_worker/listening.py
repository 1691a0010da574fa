"""Reading for others: one thread that takes in what the host says, and sends what could not be sent at once.

`listen` is what the standby does while it has the reading role (see `reading`), and what a thread of its own does for the
life of a worker that runs several requests at once.
"""

from __future__ import annotations

import os
import select
import sys
from _thread import start_new_thread

from .outgoing import HostGone
from .stopping import Stopping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from .incoming import Incoming
    from .outgoing import Outgoing

READ_SIZE = 65536


def listen(
    fd: int, incoming: Incoming, outgoing: Outgoing, wake_reader: int, take_in: Callable[[bytes], None],
    at_end: Callable[[], None], is_over: Callable[[bytes], bool], stopping: Stopping,
) -> None:
    """Reads until `is_over` says so of a byte of the wake pipe. `at_end` is called once at the end of the input, or of the output."""

    def send_what_waits() -> None:
        try:
            outgoing.flush_if_free()
        except HostGone:
            at_end()

    poll = select.poll()
    poll.register(wake_reader, select.POLLIN)
    # Answers that the main thread holds back for company must not wait for the end of what it computes.
    send_what_waits()
    has_ended = False
    while True:
        if not has_ended:
            # With its answers piling up unread, a host is heard no further; that it is gone shows all the same (POLLHUP).
            poll.register(fd, 0 if outgoing.is_full or stopping.is_leaving else select.POLLIN)
        if outgoing.is_stalled:
            poll.register(outgoing.fd, select.POLLOUT)
        ready = dict(poll.poll())
        with stopping.turn:
            if outgoing.fd in ready:
                poll.unregister(outgoing.fd)
                send_what_waits()
            if fd in ready:
                readable, data = bool(ready[fd] & select.POLLIN) and not stopping.is_leaving, b""
                if readable:
                    data = os.read(fd, READ_SIZE) if incoming.filling is None else incoming.fill(fd)
                if data or (readable and incoming.filling is not None):
                    take_in(data)
                elif readable or ready[fd] != select.POLLIN:
                    at_end()
                    has_ended = True
                    poll.unregister(fd)
            if wake_reader in ready and is_over(os.read(wake_reader, 1)):
                return


class Listening(Stopping):
    """The thread that reads for a worker that runs several requests at once. Nothing that it is given may raise."""

    def __init__(
        self, fd: int, incoming: Incoming, outgoing: Outgoing, take_in: Callable[[bytes], None], at_end: Callable[[], None],
        on_stop: Callable[[], None],
    ) -> None:
        super().__init__()
        self._fd = fd
        self._incoming = incoming
        self._outgoing = outgoing
        self._take_in = take_in
        self._at_end = at_end
        self._on_stop = on_stop
        self._wake_reader, self.wake_fd = os.pipe()
        os.set_blocking(self.wake_fd, False)

    def stop(self) -> None:
        try:
            # The interpreter wrote it, too, unless the program uses its wake-up for something else; asyncio does for signals.
            os.write(self.wake_fd, self.stop_signal)
        except BlockingIOError:
            pass
        super().stop()

    def start(self) -> None:
        start_new_thread(self._listen_or_end, ())

    def _listen_or_end(self) -> None:
        try:
            listen(self._fd, self._incoming, self._outgoing, self._wake_reader, self._take_in, self._at_end, self._on_wake, self)
        except BaseException:
            # A dead worker is replaced, a deaf one is not.
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    def _on_wake(self, byte: bytes) -> bool:
        if byte == self.stop_signal:
            self._on_stop()
            self.make_main_stop(lambda: False)
        return False
