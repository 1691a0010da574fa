"""What every way of serving has in common: the host's side of the conversation, and one request from its check to its answer.

`inline` runs one at a time on the main thread, `threads` several on threads, `tasks` several on an asyncio loop.
"""

from __future__ import annotations

import sys

from .answer import Unsendable, error_frame, payload_frames, result_frames, sendable
from .failure import error_body, exception_body
from .frame import CHUNK, END, STARTED, Breach, encode
from .handshake import NoCommonProtocol
from .intake import Intake
from .invocation import InvalidArgument
from .leaving import BROKEN_CONTRACT, WRONG_WIRE, leave_now, leave_within
from .outgoing import HostGone, Outgoing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, List, Optional

    from .frame import Frame
    from .invocation import Command
    from .registry import Registry
    from .request import Request
    from .stopping import Stopping
    from .waiting_line import WaitingLine

GONE_GRACE = 0.5
"""Seconds for the main thread to come back by itself when the host is gone; nobody would read its answer."""


class Serving:
    """One worker on one pair of pipes."""

    reading: Stopping

    def __init__(self, registry: Registry, waiting_line: WaitingLine, write_fd: int, agent: str, capacity: int) -> None:
        self._registry = registry
        self._is_gone = False
        self.waiting_line = waiting_line
        self.outgoing = Outgoing(write_fd)
        self._intake = Intake(registry, waiting_line, self.outgoing, agent, capacity)

    def when_set_up(self, call: Callable[[], None]) -> None:
        """Has this called, by the main thread, when requests can be taken."""
        self._intake.on_set_up = call

    def serve(self) -> None:
        """Returns when the worker is to leave: drained, told by SIGTERM, or without a host."""
        raise NotImplementedError

    def disown(self) -> None:
        """In a forked child: it is no worker, and ends where it comes back from the command, or the hook, that made it.

        Otherwise it would run what waits once more, tear down, and break off what it shares with the worker, as an event loop is.
        """
        self.outgoing.disown()
        # On this one object: the worker itself pays nothing for it.
        for name in ("_answer", "_send_chunk", "_wait_for_credit", "_credit_for", "_host_is_gone"):
            setattr(self, name, _end_child)
        setattr(self, "_failed", lambda _, error: _end_failed_child(error))
        lifetime = self._registry.lifetime
        lifetime.on_return, lifetime.on_failure = _end_child, _end_failed_child

    def running_id(self) -> int:
        """The request that the calling thread, or task, runs; 0 for none."""
        raise NotImplementedError

    def _answer(self, request: Request, frames: Iterable[Frame]) -> None:
        """Sends the one answer. From here on the host may use the number again."""
        raise NotImplementedError

    def _wait_for_credit(self, request: Request) -> None:
        """Returns when a running stream may have been given credit, or was cancelled. Raises `HostGone`."""
        raise NotImplementedError

    # One request

    def _run(self, request: Request, now: float) -> None:
        """`now`: when its turn came, on the clock of `time.monotonic()`."""
        command = self._checked(request, now)
        if command is None:
            return
        try:
            value = command.call(request)
        except BaseException as error:
            # SystemExit and KeyboardInterrupt too: a command that calls exit() has failed, the worker has not.
            self._answer(request, self._failed(request, error))
        else:
            if request.is_stream:
                self._stream(request, value)
            else:
                self._answer(request, result_frames(request.id, value, self._intake.payload_limit, request.content_type))

    def _checked(self, request: Request, now: float) -> Optional[Command]:
        """The command that is to run, or None if the request is answered because none can."""
        if self._intake.tells_started and not request.is_told:
            # Before anything of it runs, or it would tell nothing when the process dies in the middle.
            self._send((encode(STARTED, request.id),))
        command = request.command
        if command is None:
            self._answer(request, error_frame(request.id, self._registry.unknown_body(request.name)))
            return None
        refusal = command.refusal(request, self._intake.payload_limit, now)
        if refusal is not None:
            self._answer(request, error_frame(request.id, refusal))
            return None
        return command

    def _failed(self, request: Request, error: BaseException) -> Iterable[Frame]:
        # By type: `isinstance` would ask the exception itself, which may do anything.
        if type(error) is InvalidArgument:
            return error_frame(request.id, error_body("invalid_argument", str(error), type_name="InvalidArgument"))
        if type(error) is Unsendable:
            return error_frame(request.id, error.body)
        return error_frame(request.id, exception_body(error))

    def _stream(self, request: Request, items: Any) -> None:
        """Sends what the generator yields, as far as there is credit, and ends with exactly one End or Error."""
        try:
            ending = self._send_items(request, items)
        except HostGone:
            close_quietly(items)
            raise
        except BaseException as error:
            if type(error) is Unsendable:
                close_quietly(items)
            ending = self._failed(request, error)
        self._answer(request, ending)

    def _send_items(self, request: Request, items: Any) -> Iterable[Frame]:
        for item in items:
            payload = sendable(item, self._intake.payload_limit, request.content_type)
            frames = payload_frames(CHUNK, request.id, payload)
            # Credit is waited for with an item in hand, not before the next is made: thus the end needs no credit.
            while not request.cancelled and not request.has_credit():
                self._wait_for_credit(request)
            if request.cancelled:
                close_quietly(items)
                return self._cancelled(request)
            self._send_chunk(request, frames, payload.body_size)
        return (encode(END, request.id),)

    def _send_chunk(self, request: Request, frames: Iterable[Frame], size: int) -> None:
        request.sent_chunks += 1
        request.sent_bytes += size
        self._send(frames)

    def _cancelled(self, request: Request) -> Iterable[Frame]:
        what = "stream" if request.is_stream else "request"
        return error_frame(request.id, error_body("cancelled", f"the caller cancelled the {what}"))

    def _send(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            # One at a time, so that what other threads have to say passes between.
            if isinstance(frame, tuple):
                self.outgoing.send_pieces(frame)
            else:
                self.outgoing.put(frame)
                self.outgoing.flush()

    def _refuse_all(self, requests: List[Request]) -> None:
        for request in requests:
            self._intake.refuse(request)
        self.outgoing.flush()

    def _leave(self) -> None:
        """Answers all that was read: whatever is not goes nowhere else, though nothing was done with it."""
        self.reading.read_no_more()
        try:
            self._refuse_all(self.waiting_line.abandon_all())
        except HostGone:
            pass

    # Called by the holder of the reading role; nothing may be raised there, and nothing may wait.

    def _refuse_waiting(self) -> None:
        """Takes no more work, and answers what has not begun."""
        self._intake.stop_taking()
        try:
            for request in self.waiting_line.abandon_all():
                self._intake.refuse(request)
        except HostGone:
            self._host_is_gone()

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
        for request in self.waiting_line.running_now():
            request.cancelled = True
        leave_within(GONE_GRACE)


def close_quietly(items: Any) -> None:
    """Lets a generator clean up; what it raises then, or yields, changes nothing any more."""
    try:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    except BaseException:
        pass


def _end_child(*_: Any) -> None:
    leave_now(0)


def _end_failed_child(error: BaseException) -> None:
    """As the interpreter ends a program."""
    if not isinstance(error, SystemExit):
        sys.excepthook(type(error), error, error.__traceback__)
        leave_now(1)
    elif error.code is None or isinstance(error.code, int):
        leave_now((error.code or 0) & 0xFF)
    else:
        print(error.code, file=sys.stderr)
        leave_now(1)
