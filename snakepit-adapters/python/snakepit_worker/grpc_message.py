"""The messages of the gRPC wire, by hand: they are few and small, and generated code would tie the worker to a version of protobuf."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Tuple, Union

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


FRAMES = b"\x0a"
"""The tag of the field in a `Frames`."""


class Malformed(ValueError):
    """These bytes are no message."""


def frames_message(frames: bytes) -> bytes:
    """`Frames`, as it stands on the wire."""
    return FRAMES + varint(len(frames)) + frames


def frames_of(message: bytes) -> bytes:
    """The bytes of a `Frames`."""
    if message[:1] == FRAMES:
        # As every message is that is a Frames and no more.
        length, at = _read_varint(message, 1)
        if at + length == len(message):
            return message[at:]
    frames = b""
    for number, value in fields(message):
        if number == 1 and isinstance(value, bytes):
            frames = value
    return frames


def bytes_field(number: int, value: bytes) -> bytes:
    """A field of bytes, of text, or of another message, under a number up to 15."""
    return bytes((number << 3 | BYTES,)) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    if value < 0x80:
        return bytes((value,))
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def fields(message: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
    """Each field's number and value: an integer, or bytes. Raises `Malformed`."""
    at, size = 0, len(message)
    while at < size:
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = _read_varint(message, at)
            yield tag >> 3, value
            continue
        if kind == BYTES:
            length, at = _read_varint(message, at)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise Malformed(f"a field has the wire type {kind}")
        if length > size - at:
            raise Malformed(f"a field of {length} bytes, of which {size - at} are there")
        yield tag >> 3, message[at:at + length]
        at += length


def _read_varint(message: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise Malformed("a number has no end")
        group = message[at]
        at += 1
        value |= (group & 0x7F) << shift
        if group < 0x80:
            return value, at
        shift += 7
