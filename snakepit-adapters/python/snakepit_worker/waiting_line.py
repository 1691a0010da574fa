"""The requests that have come and have not begun, and the one that runs: where a Cancel finds its request."""

from __future__ import annotations

from _thread import allocate_lock

from .frame import UNANSWERED_LIMIT, Breach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional

    from .request import Request


class WaitingLine:
    """First come, first served. The reading thread adds and cancels, the main thread takes.

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

    def find(self, request_id: int) -> Optional[Request]:
        """The request, if it is not answered."""
        with self._lock:
            running = self.running
            return running if running is not None and running.id == request_id else self._waiting.get(request_id)

    def abandon_all(self) -> List[Request]:
        """Takes out all that have not begun, for the caller to answer."""
        with self._lock:
            requests = list(self._waiting.values())
            self._waiting.clear()
            return requests
