"""What comes from the host: requests go into the waiting line, control messages are answered at once.

Belongs to the holder of the reading role (see `reading`): mostly the main thread, the standby while a command computes, never
both. It touches only what belongs to that role (`Incoming`, the table of sessions), the waiting line, and the way out.
"""

from __future__ import annotations

import time
from _thread import allocate_lock

from .failure import error_body
from .frame import (
    CANCEL, CREDIT_KIND, DRAIN, END_SESSION, ERROR, EXECUTE, EXECUTE_STREAM, HELLO, LARGE, PING, PONG, READY, UNANSWERED_LIMIT,
    Breach, encode,
)
from .handshake import Hello, ready_body
from .incoming import Incoming
from .request import Heads, parse_credit, parse_empty, parse_execute_stream, parse_session
from .voice import WireVoice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Set

    from .large_body import Placed
    from .outgoing import Outgoing
    from .registry import Registry
    from .request import Request
    from .waiting_line import WaitingLine


class Intake:
    """The host's side of the conversation."""

    def __init__(self, registry: Registry, waiting_line: WaitingLine, outgoing: Outgoing, agent: str, capacity: int) -> None:
        self._registry = registry
        self._waiting_line = waiting_line
        self._outgoing = outgoing
        self._agent = agent
        self._capacity = capacity
        self._voice = WireVoice(outgoing)
        self.incoming = Incoming()
        self._parse = Heads().parse
        self._sessions: Dict[str, Dict[str, Any]] = {}
        self._cancelled_early: Set[int] = set()
        self._control: Dict[int, Callable[[int, Any], None]] = {
            HELLO: self._on_hello, CANCEL: self._on_cancel, CREDIT_KIND: self._on_credit, END_SESSION: self._on_end_session,
            PING: self._on_ping, DRAIN: self._on_drain, EXECUTE | LARGE: self._on_large, EXECUTE_STREAM | LARGE: self._on_large,
        }
        self._ready_lock = allocate_lock()
        self._ready: Optional[bytes] = None
        self._has_said_ready = False
        self._early_pings: List[int] = []
        self._is_set_up = False
        self.on_set_up: Callable[[], None] = lambda: None
        self.has_greeted = False
        self.is_draining = False
        self.tells_started = False
        self.payload_limit = self.incoming.payload_limit

    @property
    def is_drained(self) -> bool:
        """Whether Drain came, and no request that was being sent before it is still incomplete."""
        return self.is_draining and not self.incoming.has_cut_bodies()

    def take_in(self, data: bytes) -> None:
        """Raises `Breach`, `NoCommonProtocol`, `HostGone`."""
        now = time.monotonic()
        for kind, request_id, body in self.incoming.feed(data):
            if not self.has_greeted and kind != HELLO:
                raise Breach("out_of_order", f"a frame of kind {kind:#04x} before Hello")
            if kind == EXECUTE:
                self._on_request(self._parse(request_id, body, now))
            elif kind == EXECUTE_STREAM:
                self._on_request(parse_execute_stream(request_id, body, now))
            else:
                self._control[kind](request_id, body)

    def _on_large(self, request_id: int, body: Placed) -> None:
        self._on_request(body.request(request_id, time.monotonic()))

    def _on_request(self, request: Request) -> None:
        if self._cancelled_early and request.id in self._cancelled_early:
            self._cancelled_early.remove(request.id)
            self._answer_cancelled(request.id)
            return
        if self.is_draining:
            self.refuse(request)
            return
        request.command = command = self._registry.find(request.name)
        if command is not None and command.signature.wants_context:
            request.voice = self._voice
            if request.session_id is not None:
                # Bound on arrival: an EndSession that comes while the request waits ends the session for later requests only.
                request.session = self._sessions.setdefault(request.session_id, {})
        self._waiting_line.add(request)

    def refuse(self, request: Request) -> None:
        """Answers a request that came too late to be run."""
        self._outgoing.post(encode(ERROR, request.id, error_body("draining", "the worker takes no more work", retryable=True)))

    def _on_hello(self, _: int, body: bytes) -> None:
        if self.has_greeted:
            raise Breach("out_of_order", "a second Hello")
        hello = Hello(body)
        self.has_greeted = True
        self.tells_started = "started" in hello.features
        self.payload_limit = self.incoming.payload_limit = hello.payload_limit
        self._ready = encode(READY, 0, ready_body(hello, self._agent, self._capacity, self._registry.described()))
        self._say_ready()

    def set_up(self) -> None:
        """Called once, by the main thread, whoever holds the reading role: from now on requests can be taken. Raises `HostGone`."""
        self._is_set_up = True
        self._say_ready()
        self.on_set_up()

    def _say_ready(self) -> None:
        # Of Hello and the end of the set-up the later one sends it, also where they come at once, in two threads.
        with self._ready_lock:
            if self._is_set_up and self._ready is not None:
                ready, self._ready, self._has_said_ready = self._ready, None, True
                self._outgoing.post(ready)
                for number in self._early_pings:
                    self._outgoing.post(encode(PONG, number))

    def _on_cancel(self, request_id: int, body: bytes) -> None:
        parse_empty(body, "Cancel")
        if self.incoming.is_cut(request_id):
            self._cancelled_early.add(request_id)
        elif self._waiting_line.cancel(request_id):
            self._answer_cancelled(request_id)

    def _answer_cancelled(self, request_id: int) -> None:
        self._outgoing.post(encode(ERROR, request_id, error_body("cancelled", "the request was cancelled before it began")))

    def _on_credit(self, request_id: int, body: bytes) -> None:
        chunks, size = parse_credit(body)
        self._waiting_line.grant(request_id, chunks, size)

    def _on_end_session(self, _: int, body: bytes) -> None:
        self._sessions.pop(parse_session(body), None)

    def _on_ping(self, number: int, body: bytes) -> None:
        parse_empty(body, "Ping")
        if not self._has_said_ready:
            with self._ready_lock:
                if not self._has_said_ready:
                    # Nothing but Log and Event may go out before Ready. A host that asks more often than this needs no answer.
                    if len(self._early_pings) < UNANSWERED_LIMIT:
                        self._early_pings.append(number)
                    return
        self._outgoing.post(encode(PONG, number))

    def _on_drain(self, _: int, body: bytes) -> None:
        parse_empty(body, "Drain")
        self.stop_taking()

    def stop_taking(self) -> None:
        """Refuses every request that comes from now on."""
        self.is_draining = True
