"""The frame layout of the worker contract (proto/README.md, section 2): numbers, headers, cut bodies, breaches."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Tuple, Union

    Buffer = Union[bytes, memoryview]
    Frame = Union[bytes, Tuple[Buffer, ...]]
    """A frame in one piece, or one of a large body: its header, and slices of the body that are not copied."""

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

LARGE = 0x100
"""Added to the kind of a message whose body is not in one piece (see `large_body`)."""

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


def encode_cut(kind: int, request_id: int, *pieces: Buffer) -> Iterator[Tuple[Buffer, ...]]:
    """The frames of a body in any number of pieces, of any length, each as its header and slices of the body."""
    views = [memoryview(piece) for piece in pieces if len(piece)]
    left = sum(map(len, views))
    while True:
        size = min(left, PIECE)
        left -= size
        frame: List[Buffer] = [HEADER.pack(12 + size, kind, MORE if left else 0, 0, request_id)]
        while size:
            frame.append(views[0][:size])
            views[0] = views[0][size:]
            size -= len(frame[-1])
            if not len(views[0]):
                del views[0]
        yield tuple(frame)
        if not left:
            return
        kind = PART
