"""Calls a worker's commands without a host and without a process: what goes in and comes out is what a caller would see.

    from snakepit_worker.testing import Caller, CommandFailed
    from my_worker import worker

    def test_add():
        with Caller(worker) as caller:                          # set up here, torn down at the end
            assert caller.call("add", a=1, b=2) == 3
            assert list(caller.stream("count", 3)) == [{"i": 0}, {"i": 1}, {"i": 2}]
            assert caller.given(session="s").call("remember", "k", 1) == {"k": 1}
            try:
                caller.call("add", a="x", b=2)
            except CommandFailed as failed:
                assert failed.kind == "invalid_argument"
"""

from __future__ import annotations

import time

from .alone import Alone, body_of, fields_of
from .frame import DEFAULT_PAYLOAD_LIMIT, EVENT
from .json_text import dumps, loads
from .payload import Payload
from .request import BYTES_TYPE, JSON_TYPE, Request
from .voice import Voice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Type

    from .worker import Worker


class CommandFailed(Exception):
    """An Error, as the caller gets it. Its `__cause__` is the exception that the command raised."""

    def __init__(self, fields: Dict[str, Any]) -> None:
        super().__init__(f"{fields['kind']}: {fields['message']}")
        self.kind: str = fields["kind"]
        self.type: Optional[str] = fields["type"]
        self.message: str = fields["message"]
        self.traceback: Optional[str] = fields["traceback"]
        self.retryable: bool = fields["retryable"]
        self.details: Any = fields["details"]
        self.cause: Optional[Dict[str, Any]] = fields["cause"]


class Recorder(Voice):
    """Keeps what commands say beside their answers."""

    def __init__(self) -> None:
        self.progress_told: List[Dict[str, Any]] = []
        self.recycle_reasons: List[str] = []

    def say(self, kind: int, request_id: int, fields: Dict[str, Any]) -> None:
        told = loads(dumps(fields))
        if kind == EVENT:
            self.progress_told.append(told["progress"])
        else:
            self.recycle_reasons.append(told["reason"])


class Caller:
    """A caller and the worker it calls, in one thread. Use it in a `with` statement, or call `open` and `close`."""

    def __init__(self, worker: Worker, *, payload_limit: int = DEFAULT_PAYLOAD_LIMIT) -> None:
        self._alone = Alone(worker.registry)
        self._payload_limit = payload_limit
        self._sessions: Dict[str, Dict[str, Any]] = {}
        self._recorder = Recorder()
        self._given: Dict[str, Any] = {}
        self._last_id = 0

    def __enter__(self) -> Caller:
        self.open()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def open(self) -> None:
        """Runs the worker's set-up."""
        self._alone.open()

    def close(self) -> None:
        """Runs the worker's tear-down."""
        self._alone.close()

    def given(
        self, *, session: Optional[str] = None, timeout: Optional[float] = None, metadata: Optional[Mapping[str, str]] = None,
        attachments: Sequence[bytes] = (), content_type: Optional[str] = None, traceparent: Optional[str] = None, cancelled: bool = False,
    ) -> Caller:
        """The same caller and worker, with all of this sent along with each call. `timeout` is in seconds."""
        view = Caller.__new__(Caller)
        view.__dict__.update(self.__dict__)
        view._given = {
            "session_id": session, "timeout": timeout, "metadata_pairs": list((metadata or {}).items()), "attachments": tuple(attachments),
            "content_type": content_type, "traceparent": traceparent, "cancelled": cancelled,
        }
        return view

    def call(self, command: str, /, *positional: Any, **named: Any) -> Any:
        """The result: a value, `bytes`, or a `Payload` where it has attachments or another content type. Raises `CommandFailed`."""
        return next(self._values(command, False, positional, named))

    def stream(self, command: str, /, *positional: Any, **named: Any) -> Iterator[Any]:
        """The items, each made when it is asked for. Raises `CommandFailed` where the stream ends in an error."""
        return self._values(command, True, positional, named)

    def end_session(self, session: str) -> None:
        """Forgets what the worker keeps for a session."""
        self._sessions.pop(session, None)

    @property
    def progress(self) -> List[Dict[str, Any]]:
        """What `ctx.progress` told, so far: `done`, `total`, `message`."""
        return self._recorder.progress_told

    @property
    def recycle_reasons(self) -> List[str]:
        """What `ctx.recycle` was called with, so far."""
        return self._recorder.recycle_reasons

    def _values(self, name: str, is_stream: bool, positional: Tuple[Any, ...], named: Dict[str, Any]) -> Iterator[Any]:
        request = self._request(name, is_stream, positional, named)
        try:
            for payload in self._alone.payloads(request, self._payload_limit):
                yield _value_of(payload)
        except GeneratorExit:
            raise
        except BaseException as error:
            raise CommandFailed(fields_of(body_of(error))) from error

    def _request(self, name: str, is_stream: bool, positional: Tuple[Any, ...], named: Dict[str, Any]) -> Request:
        if positional and named:
            raise TypeError("arguments travel by position or by name, not both")
        is_bytes = len(positional) == 1 and isinstance(positional[0], (bytes, bytearray, memoryview))
        data = bytes(positional[0]) if is_bytes else dumps(named or list(positional)) if named or positional else b""
        self._last_id += 1
        request = Request(self._last_id, is_stream, name, data)
        request.content_type = self._given.get("content_type") or (BYTES_TYPE if is_bytes else JSON_TYPE)
        request.voice = self._recorder
        for field in ("session_id", "metadata_pairs", "attachments", "traceparent", "cancelled"):
            if field in self._given:
                setattr(request, field, self._given[field])
        if request.session_id is not None:
            request.session = self._sessions.setdefault(request.session_id, {})
        timeout = self._given.get("timeout")
        if timeout is not None:
            request.deadline = time.monotonic() + timeout
        return request


def _value_of(payload: Payload) -> Any:
    if payload.attachments or payload.content_type not in (JSON_TYPE, BYTES_TYPE):
        return payload
    return loads(payload.data) if payload.content_type == JSON_TYPE else payload.data
