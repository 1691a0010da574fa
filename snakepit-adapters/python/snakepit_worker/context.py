"""What a command may know of the request it answers: a parameter named `ctx` receives it."""

from __future__ import annotations

import time

from .failure import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    from .request import Request


class Context:
    """The request in hand, seen from the command."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def request_id(self) -> int:
        """The host's number for this request."""
        return self._request.id

    @property
    def session_id(self) -> Optional[str]:
        """The caller's session, if the request belongs to one."""
        return self._request.session_id

    @property
    def session(self) -> Dict[str, Any]:
        """What this worker keeps for the session, until the host ends it.

        Raises `CommandError` (kind `invalid_argument`) where the request has no session: state kept for nobody would be lost silently.
        """
        kept = self._request.session
        if kept is None:
            raise CommandError(f"command {self._request.name!r} keeps state: call it in a session", kind="invalid_argument")
        return kept

    @property
    def deadline(self) -> Optional[float]:
        """When the caller stops waiting, on the clock of `time.monotonic()`; None: no limit."""
        return self._request.deadline

    def remaining(self) -> Optional[float]:
        """Seconds until the deadline, never below 0; None: no limit."""
        deadline = self._request.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Whether the caller has given up. A long command asks now and then, and returns early."""
        return self._request.cancelled

    def progress(self, done: float, total: Optional[float] = None, message: str = "") -> None:
        """Tells the host how far the command is: `done` of `total`, where that is known. Each call is a message of its own."""
        self._request.voice.progress(self._request.id, done, total, message)

    def recycle(self, reason: str) -> None:
        """Asks the host to replace this worker: it leaks, or has worn out. It serves on until the host is ready for that."""
        self._request.voice.recycle(reason)

    @property
    def metadata(self) -> Dict[str, str]:
        """What the caller sent beside the arguments; of a key that came twice, the last value."""
        return dict(self._request.metadata_pairs)

    @property
    def traceparent(self) -> Optional[str]:
        """The W3C trace context of the caller's span."""
        return self._request.traceparent

    @property
    def content_type(self) -> str:
        """The content type of the arguments."""
        return self._request.content_type

    @property
    def data(self) -> bytes:
        """The arguments as they came."""
        return self._request.data

    @property
    def attachments(self) -> Tuple[bytes, ...]:
        """Bytes sent beside the arguments."""
        return self._request.attachments
