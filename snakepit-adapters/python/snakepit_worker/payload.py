"""Data with its content type: what a command may return when JSON or bare bytes do not say enough."""

from __future__ import annotations

import struct

from . import message_pack
from .json_text import dumps
from .request import BYTES_TYPE, JSON_TYPE, MSGPACK_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence, Tuple, Union

FIXED = struct.Struct(">HHI")
"""length of the content type, number of attachments, length of the data"""


class Payload:
    """Data, content type and attachments of an answer, as they travel.

    Return one from a command (or yield it) to send attachments, or data that is encoded already.
    """

    __slots__ = ("data", "content_type", "attachments")

    def __init__(
        self, data: Union[bytes, bytearray, memoryview], content_type: str = BYTES_TYPE,
        attachments: Sequence[Union[bytes, bytearray, memoryview]] = (),
    ) -> None:
        self.data = bytes(data)
        self.content_type = content_type
        self.attachments = tuple(map(bytes, attachments)) if attachments else ()

    @property
    def size(self) -> int:
        """Bytes of data and attachments: what `payload_limit` counts."""
        return len(self.data) + sum(map(len, self.attachments)) if self.attachments else len(self.data)

    @property
    def body_size(self) -> int:
        """Bytes of the payload body: what credit counts."""
        content_type = 0 if self.content_type == JSON_TYPE else len(self.content_type.encode("utf-8"))
        return FIXED.size + 4 * len(self.attachments) + content_type + self.size

    def head(self) -> bytes:
        """All of the payload body (section 4 of the contract) that stands before the data."""
        if self.content_type == JSON_TYPE and not self.attachments:
            return FIXED.pack(0, 0, len(self.data))
        content_type = b"" if self.content_type == JSON_TYPE else self.content_type.encode("utf-8")
        head = FIXED.pack(len(content_type), len(self.attachments), len(self.data))
        return head + struct.pack(f">{len(self.attachments)}I", *map(len, self.attachments)) + content_type

    def pieces(self) -> Tuple[bytes, ...]:
        """The payload body, one behind the other."""
        return (self.head(), self.data, *self.attachments)


def payload_of(value: Any, asked_in: str = JSON_TYPE) -> Payload:
    """The payload of what a command returned. Raises TypeError, ValueError or RecursionError where it has none.

    `asked_in`: the content type of the arguments, which the answer takes after.
    """
    if isinstance(value, Payload):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Payload(value)
    if asked_in == MSGPACK_TYPE:
        return Payload(message_pack.dumps(value), MSGPACK_TYPE)
    return Payload(dumps(value), JSON_TYPE)
