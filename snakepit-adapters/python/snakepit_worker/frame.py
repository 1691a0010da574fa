"""The frame layout of the worker contract (proto/README.md, section 2): numbers, headers, cut bodies, breaches."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Union

    Buffer = Union[bytes, memoryview]

HEADER = struct.Struct(">IBBHQ")
"""length, kind, flags, reserved, request id"""

LENGTH = struct.Struct(">I")
CREDIT = struct.Struct(">II")

SHORTEST = 12
LONGEST = 1_048_576
PIECE = 262_144
"""Bodies over this are cut, so that a small message never waits behind a large one for long."""

BODY_MARGIN = 1_048_576
"""What a body may be longer than the payload limit: names, session, metadata."""

DEFAULT_PAYLOAD_LIMIT = 67_108_864
UNANSWERED_LIMIT = 4096
NO_TIME_LIMIT = 0xFFFFFFFF

OPTIONAL = 1
MORE = 2

HELLO = 0x01
EXECUTE = 0x02
EXECUTE_STREAM = 0x03
CANCEL = 0x04
CREDIT_KIND = 0x05
END_SESSION = 0x06
PING = 0x07
DRAIN = 0x08
PART = 0x21
READY = 0x41
STARTED = 0x42
RESULT = 0x43
ERROR = 0x44
CHUNK = 0x45
END = 0x46
PONG = 0x47
LOG = 0x48
EVENT = 0x49
RECYCLE = 0x4A

FROM_HOST = frozenset((HELLO, EXECUTE, EXECUTE_STREAM, CANCEL, CREDIT_KIND, END_SESSION, PING, DRAIN, PART))
MAY_BE_CUT = frozenset((EXECUTE, EXECUTE_STREAM, RESULT, ERROR, CHUNK))
NAMES_A_REQUEST = frozenset((EXECUTE, EXECUTE_STREAM, CANCEL, CREDIT_KIND, PART))


class Breach(Exception):
    """The host broke the contract; `word` is the one that section 10 of the contract gives it."""

    def __init__(self, word: str, reason: str) -> None:
        super().__init__(f"{word}: {reason}")
        self.word = word


def check_length(length: int) -> None:
    """Judges a length before anything waits for that many bytes."""
    if length < SHORTEST:
        raise Breach("length_too_short", f"a frame of length {length}; the least is {SHORTEST}")
    if length > LONGEST:
        raise Breach("length_too_long", f"a frame of length {length}; the limit is {LONGEST}")


def encode(kind: int, request_id: int, body: bytes = b"") -> bytes:
    """One frame whose body is known to need no cut."""
    return HEADER.pack(12 + len(body), kind, 0, 0, request_id) + body


def encode_cut(kind: int, request_id: int, body: bytes) -> Iterator[bytes]:
    """The frames of a body of any length, made one at a time so that a large body is not held twice."""
    view, size = memoryview(body), len(body)
    start = 0
    while True:
        stop = min(start + PIECE, size)
        flags = MORE if stop < size else 0
        head = HEADER.pack(12 + stop - start, kind if start == 0 else PART, flags, 0, request_id)
        yield b"".join((head, view[start:stop]))
        if stop == size:
            return
        start = stop
