"""Bytes from the host become whole messages: frames found, checked, and cut bodies put together.

Knows no command and no pipe. Whoever holds the reading role calls it; it is never called by two threads at once.
"""

from __future__ import annotations

import struct

from .frame import (
    BODY_MARGIN, DEFAULT_PAYLOAD_LIMIT, FROM_HOST, HEADER, LARGE, LENGTH, LONGEST, MAY_BE_CUT, MORE, NAMES_A_REQUEST, OPTIONAL,
    PART, SHORTEST, Breach, check_length,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple, Union

    from .large_body import LargeBody

    Message = Tuple[int, int, Any]
    """kind, request id, body: bytes, or with `LARGE` in the kind a `Placed`"""


PLAIN_HEADER = struct.Struct(">IIQ")
"""A frame header with kind, flags and reserved field as one number."""

PLAIN = {kind << 24: kind for kind in FROM_HOST - {PART}}
"""What that number is where there is nothing to judge."""


class CutBody:
    """A body whose last part has not come."""

    __slots__ = ("kind", "pieces", "size")

    def __init__(self, kind: int) -> None:
        self.kind = kind
        self.pieces: List[bytes] = []
        self.size = 0

    @classmethod
    def instead_of(cls, large: LargeBody) -> CutBody:
        """The same body, put together from its pieces."""
        body = cls(large.kind)
        body.pieces, body.size = large.pieces(), large.size
        return body


class Incoming:
    """What has come of frames and bodies that are not complete."""

    def __init__(self, payload_limit: int = DEFAULT_PAYLOAD_LIMIT) -> None:
        self.payload_limit = payload_limit
        self._pieces: List[bytes] = []
        self._have = 0
        self._need = 0
        self._cut: Dict[int, Union[CutBody, LargeBody]] = {}
        self.filling: Optional[LargeBody] = None
        """The body of which a part is under way that is to be read to its place, with `fill`."""
        self._filling_id = 0
        self._filling_goes_on = False

    def feed(self, data: bytes) -> List[Message]:
        """The messages that `data` completes, in order.

        Raises `Breach` at the first broken frame; what came before it in the same data is then lost with it.
        """
        messages: List[Message] = []
        if self.filling is not None:
            data = self._pour(data, messages)
        elif self._pieces:
            # Joined once when the frame is complete: joining at every read would copy a large frame many times.
            self._pieces.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._pieces)
            self._pieces.clear()
        unpack, offset, end, cut = PLAIN_HEADER.unpack_from, 0, len(data), self._cut
        while end - offset >= 16:
            length, word, request_id = unpack(data, offset)
            if length < SHORTEST or length > LONGEST:
                check_length(length)
            stop = offset + 4 + length
            if stop > end:
                if request_id in cut and self._begin_filling(data, offset):
                    return messages
                break
            body = data[offset + 16:stop]
            if word in PLAIN and request_id and not cut:
                messages.append((PLAIN[word], request_id, body))
            else:
                message = self._judge(data, offset, body)
                if message is not None:
                    messages.append(message)
            offset = stop
        if offset < end:
            self._keep(data[offset:] if offset else data)
        return messages

    def fill(self, fd: int) -> bytes:
        """Reads some of the part that is under way to its place, and returns what came behind it.

        At the end of the input `filling` is None, and there is nothing.
        """
        behind = self.filling.read(fd) if self.filling is not None else None
        if behind is None:
            self.filling = None
            return b""
        return behind

    def is_inside_a_frame(self) -> bool:
        """Whether the input would be torn if it ended here."""
        return bool(self._pieces) or self.filling is not None

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

    def _judge(self, data: bytes, offset: int, body: bytes) -> Optional[Message]:
        """The frames that are not plain: flags, parts, unknown kinds, and all frames while a body is cut."""
        _, kind, flags, reserved, request_id = HEADER.unpack_from(data, offset)
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
            if request_id not in self._cut:
                raise Breach("part_without_start", f"a part of request {request_id}, of which nothing came before")
            return self._add_piece(request_id, flags, body)
        if kind in MAY_BE_CUT:
            if request_id in self._cut:
                raise Breach("body_under_way", f"a second body of request {request_id} before the first was complete")
            if flags & MORE:
                return self._begin_body(kind, request_id, body)
        return kind, request_id, body

    def _begin_body(self, kind: int, request_id: int, first: bytes) -> Optional[Message]:
        from .large_body import large_body  # With the first: most workers never see one.

        large = large_body(kind, first, self.payload_limit + BODY_MARGIN)
        if large is not None:
            self._cut[request_id] = large
            return None
        self._cut[request_id] = CutBody(kind)
        return self._add_piece(request_id, MORE, first)

    def _begin_filling(self, data: bytes, offset: int) -> bool:
        """Takes the beginning of a part whose rest has not come, if its body has a place; everything else waits for the whole."""
        length, kind, flags, reserved, request_id = HEADER.unpack_from(data, offset)
        large = self._cut[request_id]
        if kind != PART or isinstance(large, CutBody) or flags & ~MORE or reserved or not large.fits(length - SHORTEST):
            return False
        self.filling, self._filling_id, self._filling_goes_on = large, request_id, bool(flags & MORE)
        large.begin_part(length - SHORTEST)
        large.pour(memoryview(data)[offset + 16:])
        return True

    def _pour(self, data: bytes, messages: List[Message]) -> bytes:
        """Takes more of the part that is under way, and returns what stands behind it."""
        large = self.filling
        assert large is not None
        taken = large.pour(memoryview(data))
        if large.is_part_whole:
            self.filling = None
            if not self._filling_goes_on:
                del self._cut[self._filling_id]
                messages.append(self._whole(large, self._filling_id))
        return data[taken:]

    def _whole(self, body: Union[CutBody, LargeBody], request_id: int) -> Message:
        if not isinstance(body, CutBody):
            if body.is_whole:
                return body.kind | LARGE, request_id, body.placed()
            body = CutBody.instead_of(body)
        return body.kind, request_id, b"".join(body.pieces)

    def _add_piece(self, request_id: int, flags: int, piece: bytes) -> Optional[Message]:
        cut = self._cut[request_id]
        if cut.size + len(piece) > self.payload_limit + BODY_MARGIN:
            raise Breach("body_too_long", f"the body of request {request_id} is over {self.payload_limit} + {BODY_MARGIN} bytes")
        if not isinstance(cut, CutBody):
            if cut.fits(len(piece)):
                cut.begin_part(len(piece))
                cut.pour(memoryview(piece))
            else:
                cut = self._cut[request_id] = CutBody.instead_of(cut)
        if isinstance(cut, CutBody):
            cut.pieces.append(piece)
            cut.size += len(piece)
        if flags & MORE:
            return None
        del self._cut[request_id]
        return self._whole(cut, request_id)
