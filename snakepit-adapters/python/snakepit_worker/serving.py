"""The main thread: takes requests in order, runs them, and reads the next ones itself while it is quick (see `reading`)."""

from __future__ import annotations

import time

from .answer import Unsendable, error_frame, payload_frames, result_frames, sendable
from .invocation import InvalidArgument
from .failure import error_body, exception_body
from .frame import CHUNK, END, STARTED, Breach, encode
from .handshake import NoCommonProtocol
from .intake import Intake
from .leaving import BROKEN_CONTRACT, WRONG_WIRE, leave_now, leave_within
from .outgoing import HostGone, Outgoing
from .reading import LeaveIdle, Reading
from .waiting_line import WaitingLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Optional

    from .invocation import Command
    from .registry import Registry
    from .request import Request

HOLD = 0.00025
"""Seconds that a finished answer may wait for those behind it, so that many quick ones leave in one write."""

GONE_GRACE = 0.5
"""Seconds for the main thread to come back by itself when the host is gone; nobody would read its answer."""


class Serving:
    """One worker on one pair of pipes."""

    def __init__(self, registry: Registry, read_fd: int, write_fd: int, agent: str) -> None:
        self._registry = registry
        self._held_since = 0.0
        self._is_gone = False
        self.waiting_line = WaitingLine()
        self.outgoing = Outgoing(write_fd)
        self._intake = Intake(registry, self.waiting_line, self.outgoing, agent)
        self.reading = Reading(read_fd, self.outgoing, self._take_in, self._host_is_gone)

    def serve(self) -> None:
        """Returns when the worker is to leave: drained, told by SIGTERM, or without a host."""
        self.reading.start()
        try:
            self._set_up()
            self._take_and_run()
        except LeaveIdle:
            pass
        except HostGone:
            self._host_is_gone()
        self._tear_down()

    def _set_up(self) -> None:
        # Meanwhile the standby finds that this thread computes, and watches for the end of the host.
        if self._registry.lifetime:
            self.reading.interruptible(self._registry.lifetime.open)
        self._intake.set_up()

    def _tear_down(self) -> None:
        if not self._registry.lifetime:
            return
        self._intake.stop_taking()
        self.reading.compute()
        self._registry.lifetime.close()
        try:
            # What came in the instant before the mark was set.
            self._refuse_all(self.waiting_line.abandon_all())
        except HostGone:
            pass

    def _take_and_run(self) -> None:
        take, flush, read = self.waiting_line.take, self.outgoing.flush, self.reading.read
        intake = self._intake
        while True:
            # Asked before the line is: what came before Drain is then in the line already, also if the standby took it in.
            is_drained = intake.is_drained
            request = take()
            if request is not None:
                if self.reading.stopping:
                    self._refuse_all([request, *self.waiting_line.abandon_all()])
                    return
                self._run(request)
                continue
            flush()
            self._held_since = 0.0
            if is_drained:
                return
            if intake.is_drained:
                continue
            if not read(True):
                self._host_is_gone()
                return

    def _run(self, request: Request) -> None:
        if self._intake.tells_started:
            # Before anything of it runs, or it would tell nothing when the process dies in the middle.
            self._send((encode(STARTED, request.id),))
        command = request.command
        if command is None:
            self._answer(error_frame(request.id, self._registry.unknown_body(request.name)))
            return
        problem = self._problem(request, command)
        if problem is not None:
            self._answer(error_frame(request.id, problem))
            return
        try:
            value = command.call(request)
        except InvalidArgument as error:
            self._answer(error_frame(request.id, error_body("invalid_argument", str(error), type_name="InvalidArgument")))
        except BaseException as error:
            # SystemExit and KeyboardInterrupt too: a command that calls exit() has failed, the worker has not.
            self._answer(error_frame(request.id, exception_body(error)))
        else:
            if request.is_stream:
                self._stream(request, value)
            else:
                self._answer(result_frames(request.id, value, self._intake.payload_limit))

    def _problem(self, request: Request, command: Command) -> Optional[bytes]:
        """Why the request cannot run, as an Error body."""
        if command.is_stream != request.is_stream:
            told = "is a stream: call it as one" if command.is_stream else "is no stream: call it for its one result"
            return error_body("streaming_not_supported", f"command {command.name!r} {told}")
        if request.deadline is not None and time.monotonic() >= request.deadline:
            return error_body("deadline_exceeded", "no time was left when the request's turn came")
        limit, size = self._intake.payload_limit, len(request.data)
        if size > limit or (request.attachments and size + sum(map(len, request.attachments)) > limit):
            return error_body("payload_too_large", f"the request is over the limit of {limit} bytes")
        return None

    def _stream(self, request: Request, items: Any) -> None:
        """Sends what the generator yields, as far as there is credit, and ends with exactly one End or Error."""
        try:
            ending = self._send_items(request, items)
        except HostGone:
            _close(items)
            raise
        except Unsendable as unsendable:
            _close(items)
            ending = error_frame(request.id, unsendable.body)
        except BaseException as error:
            ending = error_frame(request.id, exception_body(error))
        self._answer(ending)

    def _send_items(self, request: Request, items: Any) -> Iterable[bytes]:
        for item in items:
            payload = sendable(item, self._intake.payload_limit)
            frames = payload_frames(CHUNK, request.id, payload)
            # Credit is waited for with an item in hand, not before the next is made: thus the end needs no credit.
            while not request.cancelled and not request.has_credit():
                self.outgoing.flush()
                if not self.reading.read(False):
                    raise HostGone("the input ended")
            if request.cancelled:
                _close(items)
                return error_frame(request.id, error_body("cancelled", "the caller cancelled the stream"))
            request.sent_chunks += 1
            request.sent_bytes += payload.body_size
            self._send(frames)
        return (encode(END, request.id),)

    def _send(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            # One at a time, so that what other threads have to say passes between, and memory holds one piece.
            self.outgoing.put(frame)
            self.outgoing.flush()

    def _answer(self, frames: Iterable[bytes]) -> None:
        """Sends an answer, or holds it for a moment while more requests wait.

        If the next command takes long, the standby sends what is held. If it kills the process, answers held for less than
        `HOLD` are lost with it: that costs their callers a retry, and saves all others a system call each.
        """
        # From here on the host may use the number again.
        self.waiting_line.running = None
        if type(frames) is not tuple:
            self._send(frames)
            return
        self.outgoing.put(frames[0])
        # With an empty line the loop flushes at once.
        if len(self.waiting_line):
            now = time.monotonic()
            if self._held_since == 0.0:
                self._held_since = now
            elif now - self._held_since > HOLD:
                self.outgoing.flush()
                self._held_since = 0.0

    def _refuse_all(self, requests: List[Request]) -> None:
        for request in requests:
            self._intake.refuse(request)
        self.outgoing.flush()

    # Called by the holder of the reading role; nothing may be raised there.

    def _take_in(self, data: bytes) -> None:
        try:
            self._intake.take_in(data)
        except Breach as breach:
            leave_now(BROKEN_CONTRACT, f"the host broke the contract: {breach}")
        except NoCommonProtocol as error:
            leave_now(WRONG_WIRE, str(error))
        except HostGone:
            self._host_is_gone()

    def _host_is_gone(self) -> None:
        if self._is_gone:
            return
        self._is_gone = True
        running = self.waiting_line.running
        if running is not None:
            running.cancelled = True
        leave_within(GONE_GRACE)


def _close(items: Any) -> None:
    """Lets a generator clean up; what it raises then, or yields, changes nothing any more."""
    try:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    except BaseException:
        pass
