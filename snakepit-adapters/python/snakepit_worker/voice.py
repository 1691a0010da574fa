"""What a command says to the host beside its answer: how far it is, and that the worker wants to be replaced."""

from __future__ import annotations

from .failure import shortened
from .frame import EVENT, RECYCLE, encode
from .json_text import dumps
from .outgoing import HostGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from .outgoing import Outgoing

TEXT_LIMIT = 8_192
"""Characters of a message or reason; six bytes each at worst, so that no frame is cut."""


class Voice:
    """Says it nowhere; the base of what says it to a host."""

    def progress(self, request_id: int, done: float, total: Optional[float], message: str) -> None:
        self.say(EVENT, request_id, {"progress": {"done": done, "total": total, "message": shortened(message, TEXT_LIMIT)}})

    def recycle(self, reason: str) -> None:
        self.say(RECYCLE, 0, {"reason": shortened(reason, TEXT_LIMIT)})

    def say(self, kind: int, request_id: int, fields: Dict[str, Any]) -> None:
        """Takes what a subclass may send. Raises TypeError or ValueError for what JSON cannot say."""
        dumps(fields)


class WireVoice(Voice):
    """To the host, as frames among the answers."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._wants_to_go = False

    def recycle(self, reason: str) -> None:
        if not self._wants_to_go:
            self._wants_to_go = True
            super().recycle(reason)

    def say(self, kind: int, request_id: int, fields: Dict[str, Any]) -> None:
        try:
            self._outgoing.put(encode(kind, request_id, dumps(fields)))
            self._outgoing.flush()
        except HostGone:
            pass  # The end of the input says the same, and the reading thread acts on it.
