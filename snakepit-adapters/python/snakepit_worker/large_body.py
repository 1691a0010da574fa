"""A cut request whose data is read from the pipe straight to where it stays, and is never copied.

The first frame of a request says how long its data and its attachments are: each gets its memory then, and the parts that
follow are read into it. A body that does not keep to what it said is put together as any other (see `incoming`), so that
there is one judge of it.
"""

from __future__ import annotations

import os
import struct
from io import BytesIO

from .frame import EXECUTE_STREAM
from .request import FIXED, parse_execute, parse_execute_stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Sequence, Tuple

    from .request import Request

WORTH = 65536
"""Up to this size a body is put together from its pieces."""

MOST_FIELDS = 16
"""Data and attachments beyond this number are put together, too: each field costs a read of its own."""

BETWEEN_PARTS = 4096
"""How much is read beyond the part that is under way: a header, and small messages."""


class Placed:
    """A request body in three: all that stands before the data, the data, the attachments."""

    def __init__(self, kind: int, head: bytes, fields: Sequence[bytes]) -> None:
        self.kind = kind
        self.head = head
        self.data = fields[0]
        self.attachments = tuple(fields[1:])

    def request(self, request_id: int, now: float) -> Request:
        """The request that it says. Raises `Breach`."""
        parse = parse_execute_stream if self.kind == EXECUTE_STREAM else parse_execute
        request = parse(request_id, self.head, now)
        request.data = self.data
        if self.attachments:
            request.attachments = self.attachments
        return request


class Field:
    """A bytes object that is written before anybody else sees it."""

    def __init__(self, size: int) -> None:
        # The buffer of a BytesIO is a bytes object, which `getvalue` hands out without a copy. Its memory is zero, and
        # therefore not touched, until something is written to it.
        self._buffer = BytesIO(bytes(size))
        self.left = self._buffer.getbuffer()

    def take(self) -> bytes:
        self.left.release()
        return self._buffer.getvalue()


class LargeBody:
    """A body under way, and the part of it that is being read."""

    def __init__(self, kind: int, start: int, first: bytes, lengths: Sequence[int], names: Tuple[int, int]) -> None:
        self.kind = kind
        self.size = 0
        self.announced = names[1] + sum(lengths)
        # As if the request had no data: the names are read, and judged, when it is complete.
        fixed = FIXED.pack(*FIXED.unpack_from(first, start)[:6], 0, *FIXED.unpack_from(first, start)[7:8], 0)
        self._head = first[:start] + fixed + first[names[0]:names[1]]
        self._whole_head = first[:names[1]]
        self._fields = [Field(length) for length in lengths]
        self._at = 0
        self._part_left = 0
        self._spill = bytearray(BETWEEN_PARTS)
        self.size = names[1]
        self.begin_part(len(first) - names[1])
        self.pour(memoryview(first)[names[1]:])

    def fits(self, length: int) -> bool:
        """Whether so many bytes more are what was announced, or less."""
        return self.size + self._part_left + length <= self.announced

    def begin_part(self, length: int) -> None:
        """So many bytes are about to come."""
        self._part_left = length

    @property
    def is_part_whole(self) -> bool:
        """Whether all of the part that was begun has come."""
        return not self._part_left

    @property
    def is_whole(self) -> bool:
        """Whether all that was announced has come."""
        return self.size == self.announced

    def pour(self, data: memoryview) -> int:
        """Takes what belongs to the part from the start of `data`: how much that was."""
        taken = 0
        while taken < len(data) and self._part_left:
            room = self._room()
            count = min(len(room), len(data) - taken)
            room[:count] = data[taken:taken + count]
            self._advance(count)
            taken += count
        return taken

    def read(self, fd: int) -> Optional[bytes]:
        """Reads some of the part that was begun, and returns what came behind it. None at the end of the input."""
        room = self._room()
        # Nothing can follow a piece that is not the last of its part.
        into = (room, self._spill) if len(room) == self._part_left else (room,)
        count = os.readv(fd, into)
        if not count:
            return None
        placed = min(count, len(room))
        self._advance(placed)
        return bytes(self._spill[:count - placed])

    def _room(self) -> memoryview:
        while not len(self._fields[self._at].left):
            self._at += 1
        return self._fields[self._at].left[:self._part_left]

    def _advance(self, count: int) -> None:
        field = self._fields[self._at]
        field.left = field.left[count:]
        self._part_left -= count
        self.size += count

    def placed(self) -> Placed:
        """The whole body."""
        return Placed(self.kind, self._head, [field.take() for field in self._fields])

    def pieces(self) -> List[bytes]:
        """What has come so far, for a body that does not keep to what it said."""
        whole, left = [self._whole_head], self.size - len(self._whole_head)
        for field in self._fields:
            value = field.take()
            whole.append(value[:left])
            left -= len(whole[-1])
        return whole


def large_body(kind: int, first: bytes, limit: int) -> Optional[LargeBody]:
    """The body that begins with the frame body `first`, if it says enough, and is worth it. `limit`: of a whole body."""
    start = 8 if kind == EXECUTE_STREAM else 0
    at = start + FIXED.size
    if len(first) < at:
        return None
    _, command, session, content_type, traceparent, metadata, attachments, _, data = FIXED.unpack_from(first, start)
    names = at + 4 * attachments
    end = names + command + session + content_type + traceparent + metadata
    if attachments >= MOST_FIELDS or len(first) < end:
        return None
    lengths = (data, *struct.unpack_from(f">{attachments}I", first, at))
    if not max(WORTH, len(first) - 1) < end + sum(lengths) <= limit:
        return None
    return LargeBody(kind, start, first, lengths, (names, end))
