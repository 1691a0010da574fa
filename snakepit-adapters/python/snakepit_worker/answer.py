"""What a command returned, or how it failed, as the frames that say so."""

from __future__ import annotations

import struct

from . import message_pack
from .failure import error_body
from .frame import ERROR, PIECE, RESULT, encode, encode_cut
from .json_text import dumps
from .payload import Payload, payload_of
from .request import BYTES_TYPE, JSON_TYPE, MSGPACK_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Optional

    from .frame import Frame

JSON_ANSWER = struct.Struct(">IIQII")
"""The header of a Result, and the fixed part of a payload body without attachments: each number that is made of others is one."""

RESULT_WORD = RESULT << 24

OCTETS = BYTES_TYPE.encode()
OCTETS_WORD = len(OCTETS) << 16
BYTES_ANSWER = struct.Struct(f">IIQII{len(OCTETS)}s")
"""The same for bare bytes, with their content type."""

PACKED = MSGPACK_TYPE.encode()
PACKED_WORD = len(PACKED) << 16
PACKED_ANSWER = struct.Struct(f">IIQII{len(PACKED)}s")

SMALL = PIECE - 8 - len(OCTETS)
COMMON_VALUES = frozenset((dict, list, str, int, float, bool, type(None)))


class Unsendable(Exception):
    """A value that cannot travel; `body` is the Error body that says why."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.body = body


def sendable(value: Any, payload_limit: int, asked_in: str = JSON_TYPE) -> Payload:
    """The payload of a result or of a stream's item; `asked_in` as in `payload_of`. Raises `Unsendable`."""
    try:
        payload = payload_of(value, asked_in)
    except Exception as error:
        # Whatever a value's own methods raise while it is encoded: the worker answers, and lives.
        reason = "it is nested too deeply, or contains itself" if isinstance(error, RecursionError) else str(error)
        message = f"the result cannot be sent: {reason}"
        raise Unsendable(error_body("error", message, type_name="UnserialisableResult")) from None
    if payload.size > payload_limit:
        message = f"the result has {payload.size} bytes, the limit is {payload_limit}"
        details = {"size": payload.size, "payload_limit": payload_limit}
        raise Unsendable(error_body("payload_too_large", message, details=details))
    return payload


def payload_frames(kind: int, request_id: int, payload: Payload) -> Iterable[Frame]:
    """The frames of a Result or Chunk: one in a tuple where it fits, else those of the cut body, made one at a time.

    Raises `Unsendable`.
    """
    try:
        pieces = payload.pieces()
    except Exception as error:
        # A content type that is no text, or more attachments than can be counted.
        raise Unsendable(error_body("error", f"the result cannot be sent: {error}", type_name="UnserialisableResult")) from None
    if sum(map(len, pieces)) <= PIECE:
        return (encode(kind, request_id, b"".join(pieces)),)
    return encode_cut(kind, request_id, *pieces)


def error_frame(request_id: int, body: bytes) -> Iterable[Frame]:
    """The Error frame, cut in the rare case that causes and details make it long."""
    return (encode(ERROR, request_id, body),) if len(body) <= PIECE else encode_cut(ERROR, request_id, body)


def result_frames(request_id: int, value: Any, payload_limit: int, asked_in: str = JSON_TYPE) -> Iterable[Frame]:
    """The one answer to an Execute whose command returned `value`; `asked_in` as in `payload_of`."""
    if type(value) is bytes:
        size = len(value)
        if size <= SMALL and size <= payload_limit:
            return (BYTES_ANSWER.pack(20 + len(OCTETS) + size, RESULT_WORD, request_id, OCTETS_WORD, size, OCTETS) + value,)
    elif type(value) in COMMON_VALUES:
        frames = _common_frames(request_id, value, payload_limit, asked_in)
        if frames is not None:
            return frames
    try:
        return payload_frames(RESULT, request_id, sendable(value, payload_limit, asked_in))
    except Unsendable as unsendable:
        return error_frame(request_id, unsendable.body)


def _common_frames(request_id: int, value: Any, payload_limit: int, asked_in: str) -> Optional[Iterable[Frame]]:
    """The frames of a result of one of the common types, in as few steps as can be; None where something is odd about it."""
    is_packed = asked_in is MSGPACK_TYPE
    try:
        data = message_pack.dumps(value) if is_packed else dumps(value)
    except Exception:
        # What it is is found once more, and told, on the long way.
        return None
    size = len(data)
    if size > payload_limit:
        return None
    if size > SMALL:
        return payload_frames(RESULT, request_id, Payload(data, MSGPACK_TYPE if is_packed else JSON_TYPE))
    if is_packed:
        return (PACKED_ANSWER.pack(20 + len(PACKED) + size, RESULT_WORD, request_id, PACKED_WORD, size, PACKED) + data,)
    return (JSON_ANSWER.pack(20 + size, RESULT_WORD, request_id, 0, size) + data,)
