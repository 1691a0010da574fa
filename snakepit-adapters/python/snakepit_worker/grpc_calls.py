"""Calls over gRPC as the words of one host: each becomes the frames that it would be on a stream, and its answer a message again.

So a command knows nothing of how it was asked. Each call has a thread of the server's, which waits for its answer; there are
always threads that neither requests nor Cancels can take, so that whatever else is said comes through.
"""

from __future__ import annotations

import json
import os
import threading
from _thread import start_new_thread
from contextlib import contextmanager
from queue import SimpleQueue

from .call_message import TRAILERS_SAID, number_of, payload_message, request_body, session_of, status_of, trailers_limit
from .failure import error_body
from .frame import (
    BODY_MARGIN, CANCEL, CHUNK, CREDIT, CREDIT_KIND, DEFAULT_PAYLOAD_LIMIT, DRAIN, END, END_SESSION, ERROR, EXECUTE,
    EXECUTE_STREAM, HEADER, HELLO, LOG, MORE, NO_TIME_LIMIT, PART, RESULT, encode, encode_cut,
)
from .grpc_message import Malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, Iterator, Tuple

WINDOW = CREDIT.pack(16, 1 << 20)
"""Chunks and bytes by which a stream may run ahead of what HTTP/2 has taken of it."""

AT_ONCE = 1024
"""As many requests are served at once, each on a thread, and as many Cancels wait for their end. More are refused."""

THREADS = 2 * AT_ONCE + 64
"""The threads that it takes. One begins when it is needed."""

STREAMS = 2 * THREADS
"""Calls that one connection may have open. What is over the limits above is refused, and not kept waiting."""

DETAILS = "grpc-status-details-bin"

LEFT = error_body("error", "the worker has left", retryable=True, type_name="Left")
BUSY = error_body("error", f"{AT_ONCE} calls are not answered yet", retryable=True, type_name="Busy")


class Call:
    """One call that the worker has not answered to its end; `key` is its frames' number, `number` the caller's own for it."""

    def __init__(self, key: int, number: int) -> None:
        self.key = key
        self.number = number
        self.answers: SimpleQueue[Tuple[int, bytes]] = SimpleQueue()
        self.is_done = threading.Event()


class Calls:
    """All calls of a worker's life. `write` takes frames to the worker, whole, and may wait."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._greeting = threading.Lock()
        self._has_greeted = False
        self._calls: Dict[int, Call] = {}
        self._last_id = 0
        self._has_left = False
        self._requests = threading.Semaphore(AT_ONCE)
        self._cancels = threading.Semaphore(AT_ONCE)

    def begin(self, fd: int) -> None:
        """Greets the worker once, before anybody asks; `fd` is where it answers."""
        with self._greeting:
            if not self._has_greeted:
                self._has_greeted = True
                self._say(HELLO, 0, b'{"protocol": [1]}')
                start_new_thread(self._hear, (fd,))

    # What is served

    def execute(self, message: bytes, context: Any) -> bytes:
        with self._place(self._requests, context):
            call = self._ask(EXECUTE, message, context)
            kind, body = call.answers.get()
            if kind != RESULT:
                self._fail(context, body)
            return payload_message(body)

    def execute_stream(self, message: bytes, context: Any) -> Iterator[bytes]:
        with self._place(self._requests, context):
            call = self._ask(EXECUTE_STREAM, message, context)
            while True:
                kind, body = call.answers.get()
                if kind == CHUNK:
                    yield payload_message(body)
                    # Asked for the next one, the server has sent this one.
                    self._say(CREDIT_KIND, call.key, CREDIT.pack(1, min(len(body), 0xFFFFFFFF)))
                elif kind == END:
                    return
                else:
                    self._fail(context, body)

    def cancel(self, message: bytes, context: Any) -> bytes:
        number = self._read(number_of, message, context)
        with self._lock:
            asked = [call for call in self._calls.values() if number and call.number == number]
        for call in asked:
            self._say(CANCEL, call.key)
        # What it asks for has been said, also where there is no thread to wait for the end on.
        with self._place(self._cancels, context):
            for call in asked:
                call.is_done.wait()
        return b""

    def end_session(self, message: bytes, context: Any) -> bytes:
        self._say(END_SESSION, 0, self._read(session_of, message, context))
        return b""

    def drain(self, _: bytes, __: Any) -> bytes:
        self._say(DRAIN, 0)
        return b""

    @contextmanager
    def _place(self, places: threading.Semaphore, context: Any) -> Iterator[None]:
        """One of the threads that these calls may have, or the end of the call."""
        if not places.acquire(blocking=False):
            self._fail(context, BUSY)
        try:
            yield
        finally:
            places.release()

    def _ask(self, kind: int, message: bytes, context: Any) -> Call:
        remaining = context.time_remaining()
        time_left = NO_TIME_LIMIT if remaining is None else min(int(max(remaining, 0) * 1000) + 1, NO_TIME_LIMIT)
        trace = dict(context.invocation_metadata()).get("traceparent", "")
        number, body = self._read(lambda message: request_body(message, str(trace), time_left), message, context)
        if len(body) > DEFAULT_PAYLOAD_LIMIT + BODY_MARGIN:
            self._fail(context, error_body("payload_too_large", f"the request is {len(body)} bytes, limit {DEFAULT_PAYLOAD_LIMIT}"))
        with self._lock:
            self._last_id += 1
            key = self._last_id
            call = Call(key, number)
            if self._has_left:
                call.answers.put((ERROR, LEFT))
                return call
            self._calls[key] = call
        pieces = (WINDOW, body) if kind == EXECUTE_STREAM else (body,)
        self._send(b"".join(frame) for frame in encode_cut(kind, key, *pieces))
        # Called when the caller has given up, and when all is over; False if that has been already.
        if not context.add_callback(lambda: self._give_up(key)):
            self._give_up(key)
        return call

    def _give_up(self, key: int) -> None:
        if key in self._calls:
            self._say(CANCEL, key)

    def _read(self, read: Callable[[bytes], Any], message: bytes, context: Any) -> Any:
        try:
            return read(message)
        except Malformed as error:
            self._fail(context, error_body("invalid_argument", str(error), type_name="Malformed"))

    def _fail(self, context: Any, body: bytes) -> None:
        """Ends the call with what an Error body says. Raises."""
        import grpc

        said = dict(context.invocation_metadata()).get(TRAILERS_SAID)
        code, message, details = status_of(body, trailers_limit(said))
        context.set_trailing_metadata(((DETAILS, details),))
        context.abort(next(status for status in grpc.StatusCode if status.value[0] == code), message)

    # What the worker hears, and says

    def _say(self, kind: int, key: int, body: bytes = b"") -> None:
        self._send((encode(kind, key, body),))

    def _send(self, frames: Iterable[bytes]) -> None:
        try:
            for frame in frames:
                # One at a time, so that small ones of other calls pass between.
                with self._writing:
                    self._write(frame)
        except OSError:
            # The worker leaves, and says so to all that wait.
            pass

    def _hear(self, fd: int) -> None:
        """Reads what the worker says until it leaves, and hands each answer to its call."""
        data = bytearray()
        cut: Dict[int, Tuple[int, bytearray]] = {}
        while True:
            read = os.read(fd, 1 << 16)
            if not read:
                break
            data += read
            at = 0
            while len(data) - at >= HEADER.size:
                length, kind, flags, _, key = HEADER.unpack_from(data, at)
                stop = at + 4 + length
                if stop > len(data):
                    break
                body = bytes(data[at + HEADER.size:stop])
                at = stop
                if kind == PART or flags & MORE:
                    begun, whole = cut.setdefault(key, (kind, bytearray()))
                    whole += body
                    if flags & MORE:
                        continue
                    del cut[key]
                    kind, body = begun, bytes(whole)
                self._take(kind, key, body)
            del data[:at]
        with self._lock:
            self._has_left = True
            waiting, self._calls = list(self._calls.values()), {}
        for call in waiting:
            call.answers.put((ERROR, LEFT))
            call.is_done.set()

    def _take(self, kind: int, key: int, body: bytes) -> None:
        if kind == LOG:
            # A call has no way to say it.
            line = json.loads(body)
            try:
                os.write(2, f"{line['level']} {line['logger']}: {line['message']}\n".encode("utf-8", "backslashreplace"))
            except OSError:
                # A stream that was closed is the user's affair. This thread is all that answers.
                pass
        elif kind == CHUNK:
            call = self._calls.get(key)
            if call is not None:
                call.answers.put((kind, body))
        elif kind in (RESULT, ERROR, END):
            with self._lock:
                call = self._calls.pop(key, None)
            if call is not None:
                call.answers.put((kind, body))
                call.is_done.set()
