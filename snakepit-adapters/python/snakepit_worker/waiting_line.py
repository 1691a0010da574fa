"""The requests that have come and have not begun, and those that run: where a Cancel or Credit finds its request."""

from __future__ import annotations

from _thread import allocate_lock
from itertools import islice

from .frame import UNANSWERED_LIMIT, Breach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

    from .request import Request


class WaitingLine:
    """First come, first served, one at a time. The reading thread adds and cancels, the main thread takes.

    Each step is under the lock, so that a request is at any time in exactly one place: waiting, running, or gone.
    """

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._waiting: Dict[int, Request] = {}
        self.running: Optional[Request] = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: Request) -> None:
        """Puts a request at the end. Raises `Breach` for an id under way, and at the limit."""
        with self._lock:
            running = self.running
            if request.id in self._waiting or (running is not None and running.id == request.id):
                raise Breach("duplicate_request", f"request {request.id} came while it is under way")
            if len(self._waiting) >= UNANSWERED_LIMIT:
                raise Breach("too_many_requests", f"more than {UNANSWERED_LIMIT} requests are not answered")
            self._waiting[request.id] = request

    def take(self) -> Optional[Request]:
        """The first in line, which now runs. The one that ran before is thereby done."""
        waiting = self._waiting
        if not waiting:
            # Whoever adds one right now is the standby, which the caller is about to ask for the reading role.
            self.running = None
            return None
        with self._lock:
            request = None
            for request_id in waiting:
                request = waiting.pop(request_id)
                break
            self.running = request
            return request

    def cancel(self, request_id: int) -> bool:
        """Marks a running request. True: it had not begun and never will, and the caller answers it."""
        with self._lock:
            if self._waiting.pop(request_id, None) is not None:
                return True
            running = self.running
            if running is not None and running.id == request_id:
                running.cancelled = True
            return False

    def grant(self, request_id: int, chunks: int, size: int) -> None:
        """Adds to the credit of a request, if it is not answered."""
        with self._lock:
            running = self.running
            request = running if running is not None and running.id == request_id else self._waiting.get(request_id)
            if request is not None:
                request.granted_chunks += chunks
                request.granted_bytes += size

    def peek(self, most: int) -> List[Request]:
        """The first in line, which stay there."""
        with self._lock:
            return list(islice(self._waiting.values(), most))

    def running_now(self) -> List[Request]:
        running = self.running
        return [] if running is None else [running]

    def abandon_all(self) -> List[Request]:
        """Takes out all that have not begun, for the caller to answer."""
        with self._lock:
            requests = list(self._waiting.values())
            self._waiting.clear()
            return requests


class SharedLine(WaitingLine):
    """The same for several that run at once. `on_change` hears of a running request that was cancelled, or given credit."""

    def __init__(self, on_change: Callable[[Request], None]) -> None:
        super().__init__()
        self._running: Dict[int, Request] = {}
        self._on_change = on_change

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        with self._lock:
            return not self._waiting and not self._running

    def running_now(self) -> List[Request]:
        with self._lock:
            return list(self._running.values())

    def add(self, request: Request) -> None:
        with self._lock:
            if request.id in self._waiting or request.id in self._running:
                raise Breach("duplicate_request", f"request {request.id} came while it is under way")
            if len(self._waiting) + len(self._running) >= UNANSWERED_LIMIT:
                raise Breach("too_many_requests", f"more than {UNANSWERED_LIMIT} requests are not answered")
            self._waiting[request.id] = request

    def take(self) -> Optional[Request]:
        """The first in line, which now runs, until it is `done`."""
        with self._lock:
            for request_id in self._waiting:
                request = self._running[request_id] = self._waiting.pop(request_id)
                return request
            return None

    def done(self, request: Request) -> None:
        """Called before its answer is sent: from then on the host may use the number again."""
        with self._lock:
            self._running.pop(request.id, None)

    def cancel(self, request_id: int) -> bool:
        with self._lock:
            if self._waiting.pop(request_id, None) is not None:
                return True
            running = self._running.get(request_id)
            if running is not None:
                running.cancelled = True
        if running is not None:
            self._on_change(running)
        return False

    def grant(self, request_id: int, chunks: int, size: int) -> None:
        with self._lock:
            running = self._running.get(request_id)
            request = self._waiting.get(request_id) if running is None else running
            if request is not None:
                request.granted_chunks += chunks
                request.granted_bytes += size
        if running is not None:
            self._on_change(running)
