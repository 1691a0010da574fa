"""Bytes from the host become whole messages: frames found, checked, and cut bodies put together.

Knows no command and no pipe. Whoever holds the reading role calls it; it is never called by two threads at once.
"""

from __future__ import annotations

from .frame import (
    BODY_MARGIN, DEFAULT_PAYLOAD_LIMIT, FROM_HOST, HEADER, LENGTH, LONGEST, MAY_BE_CUT, MORE, NAMES_A_REQUEST, OPTIONAL,
    PART, SHORTEST, Breach, check_length,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Tuple

    Message = Tuple[int, int, bytes]
    """kind, request id, body"""


class CutBody:
    """A body whose last part has not come."""

    __slots__ = ("kind", "pieces", "size")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.pieces: List[bytes] = []
        self.size = 0


class Incoming:
    """What has come of frames and bodies that are not complete."""

    def __init__(self, payload_limit: int = DEFAULT_PAYLOAD_LIMIT) -> None:
        self.payload_limit = payload_limit
        self._pieces: List[bytes] = []
        self._have = 0
        self._need = 0
        self._cut: Dict[int, CutBody] = {}

    def feed(self, data: bytes) -> List[Message]:
        """The messages that `data` completes, in order.

        Raises `Breach` at the first broken frame; what came before it in the same data is then lost with it.
        """
        if self._pieces:
            # Joined once when the frame is complete: joining at every read would copy a large frame many times.
            self._pieces.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._pieces)
            self._pieces.clear()
        messages: List[Message] = []
        unpack, offset, end = HEADER.unpack_from, 0, len(data)
        while end - offset >= 16:
            length, kind, flags, reserved, request_id = unpack(data, offset)
            if length < SHORTEST or length > LONGEST:
                check_length(length)
            stop = offset + 4 + length
            if stop > end:
                break
            body = data[offset + 16:stop]
            if flags or reserved or self._cut or request_id == 0 or kind not in FROM_HOST or kind == PART:
                message = self._judge(kind, flags, reserved, request_id, body)
                if message is not None:
                    messages.append(message)
            else:
                messages.append((kind, request_id, body))
            offset = stop
        if offset < end:
            self._keep(data[offset:] if offset else data)
        return messages

    def is_inside_a_frame(self) -> bool:
        """Whether the input would be torn if it ended here."""
        return bool(self._pieces)

    def is_cut(self, request_id: int) -> bool:
        """Whether parts of this request's body are still to come."""
        return request_id in self._cut

    def has_cut_bodies(self) -> bool:
        """Whether parts of any request are still to come."""
        return bool(self._cut)

    def _keep(self, rest: bytes) -> None:
        self._need = 4
        if len(rest) >= 4:
            length = LENGTH.unpack_from(rest)[0]
            check_length(length)
            self._need = 4 + length
        self._pieces.append(rest)
        self._have = len(rest)

    def _judge(self, kind: int, flags: int, reserved: int, request_id: int, body: bytes) -> Optional[Message]:
        """The frames that are not plain: flags, parts, unknown kinds, and all frames while a body is cut."""
        if flags & ~(OPTIONAL | MORE) or reserved:
            raise Breach("reserved_bits", f"a frame of kind {kind:#04x} with flags {flags:#04x}, reserved field {reserved}")
        if kind not in FROM_HOST and not flags & OPTIONAL:
            raise Breach("unknown_kind", f"a frame of kind {kind:#04x} without the flag OPTIONAL")
        if flags & MORE and kind != PART and (kind not in MAY_BE_CUT or kind not in FROM_HOST):
            raise Breach("more_not_allowed", f"a frame of kind {kind:#04x} that claims to go on")
        if kind not in FROM_HOST:
            return None
        if request_id == 0 and kind in NAMES_A_REQUEST:
            raise Breach("request_id", f"a frame of kind {kind:#04x} for request 0")
        if kind == PART:
            cut = self._cut.get(request_id)
            if cut is None:
                raise Breach("part_without_start", f"a part of request {request_id}, of which nothing came before")
            return self._add_piece(cut, flags, request_id, body)
        if kind in MAY_BE_CUT:
            if request_id in self._cut:
                raise Breach("body_under_way", f"a second body of request {request_id} before the first was complete")
            if flags & MORE:
                cut = self._cut[request_id] = CutBody(kind)
                return self._add_piece(cut, flags, request_id, body)
        return kind, request_id, body

    def _add_piece(self, cut: CutBody, flags: int, request_id: int, piece: bytes) -> Optional[Message]:
        cut.size += len(piece)
        if cut.size > self.payload_limit + BODY_MARGIN:
            raise Breach("body_too_long", f"the body of request {request_id} is over {self.payload_limit} + {BODY_MARGIN} bytes")
        cut.pieces.append(piece)
        if flags & MORE:
            return None
        del self._cut[request_id]
        return cut.kind, request_id, b"".join(cut.pieces)
