"""The main thread alone: takes requests in order, runs them, and reads the next ones itself while it is quick (see `reading`)."""

from __future__ import annotations

from _thread import get_ident
from time import monotonic

from .beginning import MOST, begin_together, next_expectation, started_frames
from .outgoing import HostGone
from .reading import Reading
from .serving import Serving
from .stopping import LeaveIdle
from .waiting_line import WaitingLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Optional

    from .frame import Frame
    from .registry import Registry
    from .request import Request

HOLD = 0.00025
"""Seconds that a finished answer may wait for those behind it, so that many quick ones leave in one write."""


class InlineServing(Serving):
    """One request at a time."""

    reading: Reading

    def __init__(self, registry: Registry, read_fd: int, write_fd: int, agent: str) -> None:
        super().__init__(registry, WaitingLine(), write_fd, agent, 1)
        self._held_since = 0.0
        self._put = self.outgoing.put
        self._main_thread = get_ident()
        self.reading = Reading(read_fd, self._intake.incoming, self.outgoing, self._take_in, self._host_is_gone)

    def serve(self) -> None:
        self.reading.start()
        try:
            self._set_up()
            self._take_and_run()
        except LeaveIdle:
            pass
        except HostGone:
            self._host_is_gone()
        self._tear_down()

    def running_id(self) -> int:
        running = self.waiting_line.running if get_ident() == self._main_thread else None
        return 0 if running is None else running.id

    def _set_up(self) -> None:
        # Meanwhile the standby finds that this thread computes, and watches for the end of the host.
        if self._registry.lifetime:
            self.reading.interruptible(self._registry.lifetime.open)
        self._intake.set_up()

    def _tear_down(self) -> None:
        if self._registry.lifetime:
            self._intake.stop_taking()
            self.reading.compute()
            self._registry.lifetime.close()
        self._leave()
        # From here on the standby watches for the end of the host, whatever the program does yet.
        self.reading.compute()

    def _take_and_run(self) -> None:
        take, flush, reading, intake = self.waiting_line.take, self.outgoing.flush, self.reading, self._intake
        # When the request before was done with, where that is known: then the next one's turn has come.
        now: Optional[float] = None
        while True:
            # Asked before the line is: what came before Drain is then in the line already, also if the standby took it in.
            is_drained = intake.is_draining and intake.is_drained
            request = take()
            if request is not None:
                if reading.stopping:
                    self._refuse_all([request, *self.waiting_line.abandon_all()])
                    return
                if now is None:
                    now = monotonic()
                self._hold(now)
                if intake.tells_started:
                    now = self._tell_and_run(request, now)
                else:
                    self._run(request, now)
                    now = None
                continue
            flush()
            self._held_since = 0.0
            now = None
            if is_drained:
                return
            if intake.is_draining and intake.is_drained:
                continue
            if not reading.read(True):
                self._host_is_gone()
                return

    def _hold(self, now: float) -> None:
        """Sends the answers that are held, if the first of them may wait no longer.

        If the next command takes long, the standby sends what is held. If it kills the process, answers held for less than
        `HOLD` are lost with it: that costs their callers a retry, and saves all others a system call each.
        """
        if self._held_since == 0.0:
            self._held_since = now
        elif now - self._held_since > HOLD:
            self.outgoing.flush()
            self._held_since = now

    def _tell_and_run(self, request: Request, now: float) -> float:
        """Returns when the request was done with."""
        if not request.is_told:
            self._tell(request)
            now = monotonic()
        self._run(request, now)
        done = monotonic()
        command = request.command
        if command is not None:
            command.expected = next_expectation(command.expected, done - now)
        return done

    def _tell(self, first: Request) -> None:
        """Says that this one begins, and those behind it that begin in the same breath."""
        told = begin_together(first, self.waiting_line.peek(MOST - 1))
        for each in told:
            each.is_told = True
        # With the answers that are held, in one write, before anything of these runs.
        self._put(started_frames(told))
        self.outgoing.flush()
        self._held_since = 0.0

    def _wait_for_credit(self, request: Request) -> None:
        self.outgoing.flush()
        if not self.reading.read(False):
            raise HostGone("the input ended")

    def _answer(self, request: Request, frames: Iterable[Frame]) -> None:
        """Leaves an answer for a moment in which more may follow (see `_hold`); with an empty line the loop sends it at once."""
        self.waiting_line.running = None
        if type(frames) is tuple:
            self._put(frames[0])
        else:
            self._send(frames)
