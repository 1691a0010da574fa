"""Several requests at once, each on a thread of its own; one more thread reads, and the main thread waits for the end."""

from __future__ import annotations

import os
import sys
import threading
from time import monotonic

from .listening import Listening
from .outgoing import HostGone
from .serving import Serving
from .stopping import LeaveIdle
from .waiting_line import SharedLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

    from .frame import Frame
    from .registry import Registry
    from .request import Request


class ThreadServing(Serving):
    """As many requests at once as there are threads.

    One lock is behind the three conditions. No thread holds it while it calls anything of the user's, or writes.
    """

    waiting_line: SharedLine
    reading: Listening

    def __init__(self, registry: Registry, read_fd: int, write_fd: int, agent: str) -> None:
        super().__init__(registry, SharedLine(self._on_change), write_fd, agent, registry.threads)
        lock = threading.Lock()
        self._work_came = threading.Condition(lock)
        self._credit_came = threading.Condition(lock)
        self._may_be_over = threading.Condition(lock)
        self._busy = 0
        self._is_told_to_stop = False
        self._current = threading.local()
        self.reading = Listening(
            read_fd, self._intake.incoming, self.outgoing, self._take_in, self._host_is_gone, self._on_stop,
        )

    def serve(self) -> None:
        self.reading.start()
        try:
            self.reading.interruptible(self._registry.lifetime.open)
            self._intake.set_up()
            for number in range(self._registry.threads):
                # A daemon: when the host is gone, the process ends in the middle of whatever they do.
                threading.Thread(target=self._work, name=f"command-{number}", daemon=True).start()
            with self._may_be_over:
                while not self._is_over():
                    self._may_be_over.wait()
        except LeaveIdle:
            return
        except HostGone:
            self._host_is_gone()
        self._intake.stop_taking()
        self._registry.lifetime.close()
        self._leave()

    def running_id(self) -> int:
        found: int = getattr(self._current, "request_id", 0)
        return found

    def _is_over(self) -> bool:
        if self._is_gone:
            return True
        # In this order: what came before Drain is in the line already, and what left the line makes somebody busy.
        is_leaving = self._is_told_to_stop or self._intake.is_drained
        return is_leaving and not len(self.waiting_line) and not self._busy

    def _work(self) -> None:
        try:
            while True:
                with self._work_came:
                    request = self.waiting_line.take()
                    while request is None:
                        self._work_came.wait()
                        request = self.waiting_line.take()
                    self._busy += 1
                self._current.request_id = request.id
                try:
                    self._run(request, monotonic())
                except HostGone:
                    self._host_is_gone()
                self._current.request_id = 0
                with self._may_be_over:
                    self._busy -= 1
                    self._may_be_over.notify()
        except BaseException:
            # A failure of the worker, not of the command: its caller is never answered, unless the process ends.
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    def _answer(self, request: Request, frames: Iterable[Frame]) -> None:
        self.waiting_line.done(request)
        self._send(frames)

    def _wait_for_credit(self, request: Request) -> None:
        with self._credit_came:
            while not (request.cancelled or request.has_credit() or self._is_gone):
                self._credit_came.wait()
        if self._is_gone:
            raise HostGone("the input ended")

    # On the reading thread.

    def _take_in(self, data: bytes) -> None:
        super()._take_in(data)
        with self._work_came:
            self._work_came.notify(len(self.waiting_line))
            self._may_be_over.notify()

    def _on_change(self, _: Request) -> None:
        with self._credit_came:
            self._credit_came.notify_all()

    def _on_stop(self) -> None:
        self._is_told_to_stop = True
        self._refuse_waiting()
        with self._may_be_over:
            self._may_be_over.notify()

    def _host_is_gone(self) -> None:
        super()._host_is_gone()
        with self._credit_came:
            self._credit_came.notify_all()
            self._may_be_over.notify()
