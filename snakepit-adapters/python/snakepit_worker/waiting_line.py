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
    """First come, first served, one at a time. The holder of the reading role adds and cancels, the main thread takes.

    There is no lock, which would cost more than all that it guards: each step on the table is one step of the interpreter,
    whoever takes a request out of it is the one that answers it, and one that is about to run is known as running before it is
    taken out. So whoever looks for it in the table first, and at `running` then, finds it wherever it is.
    """

    def __init__(self) -> None:
        self.waiting: Dict[int, Request] = {}
        self.running: Optional[Request] = None

    def __len__(self) -> int:
        return len(self.waiting)

    def add(self, request: Request) -> None:
        """Puts a request at the end. Raises `Breach` for an id under way, and at the limit."""
        waiting, number = self.waiting, request.id
        if number in waiting:
            raise _duplicate(number)
        running = self.running
        if running is not None and running.id == number and not running.was_withdrawn:
            raise _duplicate(number)
        if len(waiting) >= UNANSWERED_LIMIT:
            raise _too_many()
        waiting[number] = request

    def take(self) -> Optional[Request]:
        """The first in line, which now runs. The one that ran before is thereby done."""
        waiting = self.waiting
        while waiting:
            try:
                for request in waiting.values():
                    break
                else:
                    continue
            except RuntimeError:
                # The standby has added one, or taken one out, in between.
                continue
            self.running = request
            taken = waiting.pop(request.id, None)
            if taken is request:
                return request
            if taken is not None:
                # Cancelled in between, and its number used again.
                self.running = taken
                return taken
        # Whoever adds one right now is the standby, which the caller is about to ask for the reading role.
        self.running = None
        return None

    def cancel(self, request_id: int) -> bool:
        """Marks a running request. True: it had not begun and never will, and the caller answers it."""
        request = self.waiting.pop(request_id, None)
        if request is not None:
            request.was_withdrawn = True
            return True
        running = self.running
        if running is not None and running.id == request_id:
            running.cancelled = True
        return False

    def grant(self, request_id: int, chunks: int, size: int) -> None:
        """Adds to the credit of a request, if it is not answered."""
        request = self.waiting.get(request_id)
        if request is None:
            request = self.running
        if request is not None and request.id == request_id:
            request.granted_chunks += chunks
            request.granted_bytes += size

    def peek(self, most: int) -> List[Request]:
        """The first in line, which stay there; fewer while another thread changes it."""
        try:
            return list(islice(self.waiting.values(), most))
        except RuntimeError:
            return []

    def running_now(self) -> List[Request]:
        running = self.running
        return [] if running is None else [running]

    def abandon_all(self) -> List[Request]:
        """Takes out all that have not begun, for the caller to answer."""
        requests = []
        while True:
            try:
                requests.append(self.waiting.popitem()[1])
            except KeyError:
                return requests[::-1]


class SharedLine(WaitingLine):
    """The same for several that run at once, taken by several threads, and so under a lock.

    `on_change` hears of a running request that was cancelled, or given credit.
    """

    def __init__(self, on_change: Callable[[Request], None]) -> None:
        super().__init__()
        self._lock = allocate_lock()
        self._running: Dict[int, Request] = {}
        self._on_change = on_change

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        with self._lock:
            return not self.waiting and not self._running

    def running_now(self) -> List[Request]:
        with self._lock:
            return list(self._running.values())

    def add(self, request: Request) -> None:
        with self._lock:
            if request.id in self.waiting or request.id in self._running:
                raise _duplicate(request.id)
            if len(self.waiting) + len(self._running) >= UNANSWERED_LIMIT:
                raise _too_many()
            self.waiting[request.id] = request

    def take(self) -> Optional[Request]:
        """The first in line, which now runs, until it is `done`."""
        with self._lock:
            for request_id in self.waiting:
                request = self._running[request_id] = self.waiting.pop(request_id)
                return request
            return None

    def done(self, request: Request) -> None:
        """Called before its answer is sent: from then on the host may use the number again."""
        with self._lock:
            self._running.pop(request.id, None)

    def cancel(self, request_id: int) -> bool:
        with self._lock:
            if self.waiting.pop(request_id, None) is not None:
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
            request = self.waiting.get(request_id) if running is None else running
            if request is not None:
                request.granted_chunks += chunks
                request.granted_bytes += size
        if running is not None:
            self._on_change(running)

    def abandon_all(self) -> List[Request]:
        with self._lock:
            return super().abandon_all()


def _duplicate(request_id: int) -> Breach:
    return Breach("duplicate_request", f"request {request_id} came while it is under way")


def _too_many() -> Breach:
    return Breach("too_many_requests", f"more than {UNANSWERED_LIMIT} requests are not answered")
