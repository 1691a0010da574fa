"""The messages of calls over gRPC, to and from the bodies of frames that say the same. By hand, as `grpc_message` says."""

from __future__ import annotations

import json
import struct

from .grpc_message import Malformed, bytes_field, fields, varint
from .request import FIXED, JSON_TYPE, PAIR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple, Union

    Value = Union[int, bytes]

PAYLOAD_HEAD = struct.Struct(">HHI")
"""lengths of the content type, of the list of attachments, of the data"""

CAUSES_LIMIT = 32
"""A chain of causes is cut here: readers go no deeper than 100 messages."""

ERROR_TYPE = b"type.googleapis.com/snakepit.worker.v1.Error"

UNKNOWN, UNAVAILABLE = 2, 14

CODES = {
    "cancelled": 1, "invalid_argument": 3, "deadline_exceeded": 4, "payload_too_large": 11, "unknown_command": 12,
    "streaming_not_supported": 12,
}
"""The status codes of the kinds that have one."""


def request_body(message: bytes, traceparent: str, time_left: int) -> Tuple[int, bytes]:
    """The caller's number for an ExecuteRequest, and the body of the frame that asks the same; `time_left` in milliseconds.

    Raises `Malformed` where it is none, or holds what a frame cannot say.
    """
    number, command, session, payload = 0, b"", b"", b""
    metadata: List[bytes] = []
    for field, value in fields(message):
        if field == 1:
            number = _number(value)
        elif field == 2:
            command = _text("command", value)
        elif field == 3:
            session = _text("session id", value)
        elif field == 4:
            # What comes twice is one message in two parts.
            payload += _bytes(value)
        elif field == 5:
            metadata.append(_pair(_bytes(value)))
    content_type, data, attachments = _payload(payload)
    trace, pairs = traceparent.encode(), b"".join(metadata)
    if len(trace) > 0xFFFF or len(attachments) > 0xFFFF:
        raise Malformed("the trace context, or the list of attachments, is too long")
    fixed = FIXED.pack(
        time_left, len(command), len(session), len(content_type), len(trace), len(pairs), len(attachments), 0, len(data)
    )
    lengths = struct.pack(f">{len(attachments)}I", *map(len, attachments))
    return number, b"".join((fixed, lengths, command, session, content_type, trace, pairs, data, *attachments))


def payload_message(body: bytes) -> bytes:
    """An ExecuteResponse or ExecuteStreamResponse, from the body of a Result or a Chunk."""
    content_type, attachments, data = PAYLOAD_HEAD.unpack_from(body)
    at = PAYLOAD_HEAD.size
    lengths = struct.unpack_from(f">{attachments}I", body, at)
    at += 4 * attachments
    pieces = []
    if content_type:
        pieces.append(bytes_field(1, body[at:at + content_type]))
        at += content_type
    for number, length in ((2, data), *((3, length) for length in lengths)):
        pieces.append(bytes_field(number, body[at:at + length]))
        at += length
    return bytes_field(1, b"".join(pieces))


def number_of(message: bytes) -> int:
    """The number in a CancelRequest. Raises `Malformed`."""
    number = 0
    for field, value in fields(message):
        if field == 1:
            number = _number(value)
    return number


def session_of(message: bytes) -> bytes:
    """The session of an EndSessionRequest. Raises `Malformed`."""
    session = b""
    for field, value in fields(message):
        if field == 1:
            session = _text("session id", value)
    return session


def status_of(body: bytes) -> Tuple[int, str, bytes]:
    """What an Error body says as a status: its code, its message, and `google.rpc.Status` with all the rest."""
    error: Dict[str, Any] = json.loads(body)
    kind, message = str(error.get("kind", "error")), str(error.get("message", ""))
    code = UNAVAILABLE if error.get("retryable") else CODES.get(kind, UNKNOWN)
    detail = bytes_field(1, ERROR_TYPE) + bytes_field(2, _error(error, CAUSES_LIMIT))
    return code, message, b"\x08" + varint(code) + bytes_field(2, _encoded(message)) + bytes_field(3, detail)


def _error(error: Dict[str, Any], depth: int) -> bytes:
    texts = enumerate((error.get("kind", "error"), error.get("type"), error.get("message"), error.get("traceback")), 1)
    pieces = [bytes_field(number, _encoded(text)) for number, text in texts if text]
    if error.get("retryable"):
        pieces.append(b"\x28\x01")
    if error.get("details") is not None:
        pieces.append(bytes_field(6, json.dumps(error["details"]).encode()))
    if error.get("cause") and depth:
        pieces.append(bytes_field(7, _error(error["cause"], depth - 1)))
    return b"".join(pieces)


def _encoded(text: Any) -> bytes:
    return str(text).encode("utf-8", "backslashreplace")


def _payload(message: bytes) -> Tuple[bytes, bytes, List[bytes]]:
    content_type, data, attachments = b"", b"", []
    for field, value in fields(message):
        if field == 1:
            content_type = _text("content type", value)
        elif field == 2:
            data = _bytes(value)
        elif field == 3:
            attachments.append(_bytes(value))
    return (b"" if content_type == JSON_TYPE.encode() else content_type), data, attachments


def _pair(message: bytes) -> bytes:
    key, value = b"", b""
    for field, text in fields(message):
        if field == 1:
            key = _text("metadata key", text)
        elif field == 2:
            value = _text("metadata value", text)
    return PAIR.pack(len(key), len(value)) + key + value


def _number(value: Value) -> int:
    if not isinstance(value, int):
        raise Malformed("a number is not said as one")
    return value


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise Malformed("a number stands where bytes belong")
    return value


def _text(what: str, value: Value) -> bytes:
    # Read here already: in a frame it would be a breach, which costs the worker.
    text = _bytes(value)
    if len(text) > 0xFFFF:
        raise Malformed(f"the {what} has {len(text)} bytes, the limit is 65535")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"the {what} is not UTF-8: {error}") from None
    return text
