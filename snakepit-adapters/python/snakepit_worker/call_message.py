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

TRAILERS_LIMIT = 8_192
"""The most bytes of the trailers that say an error, where the caller does not say that it takes more: each field counts with its
name, its value, and 32 bytes. Beyond it clients report a broken call in the error's place."""

TRAILERS_TAKEN = 16 << 20
"""The most that any caller is believed to take."""

TRAILERS_SAID = "snakepit-trailers-limit"
"""How a caller says that it takes more, in bytes."""

OTHER_FIELDS = 512
"""For what a server adds of its own, such as its date."""

FIELDS = 3 * 32 + len("grpc-status2grpc-messagegrpc-status-details-bin")
"""What the three fields of an error count beside their texts."""

FEWEST, NOTE = 256, 48
"""What is kept of each text at least, and the room in it for the words that say how much was left out."""

PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte != 0x25)
"""What a message says by one byte; any other takes three."""

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


def trailers_limit(said: Any) -> int:
    """What a caller takes, as it has said in its metadata or, where that is None or no number, as any does."""
    try:
        return min(max(int(said), TRAILERS_LIMIT), TRAILERS_TAKEN)
    except (TypeError, ValueError):
        return TRAILERS_LIMIT


def status_of(body: bytes, limit: int = TRAILERS_LIMIT) -> Tuple[int, str, bytes]:
    """What an Error body says as a status: its code, its message, and `google.rpc.Status` with all the rest.

    Its trailers have no more bytes than the limit: of longer texts the middle is left out, of details all, and of a long chain of
    causes the last.
    """
    error: Dict[str, Any] = json.loads(body)
    room = limit - OTHER_FIELDS
    whole = _status(error, limit, CAUSES_LIMIT)
    if _size(whole) <= room:
        return whole
    for causes in (CAUSES_LIMIT, 16, 8, 4, 2, 1):
        text = room
        while text >= FEWEST:
            cut = _status(error, text, causes)
            size = _size(cut)
            if size <= room:
                return cut
            # In proportion: part of the size is not text, so this comes near to what there is room for, and never far below.
            text = min(text * 15 // 16, text * room // size)
    return _status(error, FEWEST, 0)


def _size(status: Tuple[int, str, bytes]) -> int:
    message = status[1].encode()
    return FIELDS + len(message) + 2 * len(message.translate(None, PLAIN)) + (len(status[2]) + 2) // 3 * 4


def _status(error: Dict[str, Any], kept: int, causes: int) -> Tuple[int, str, bytes]:
    """The status with so many bytes of each text, and so many causes."""
    kind, message = str(error.get("kind", "error")), _cut(error.get("message", ""), kept)
    code = UNAVAILABLE if error.get("retryable") else CODES.get(kind, UNKNOWN)
    detail = bytes_field(1, ERROR_TYPE) + bytes_field(2, _error(error, kept, causes))
    return code, message.decode(), b"\x08" + varint(code) + bytes_field(2, message) + bytes_field(3, detail)


def _error(error: Dict[str, Any], kept: int, causes: int) -> bytes:
    texts = enumerate((error.get("kind", "error"), error.get("type"), error.get("message"), error.get("traceback")), 1)
    pieces = [bytes_field(number, _cut(text, kept)) for number, text in texts if text]
    if error.get("retryable"):
        pieces.append(b"\x28\x01")
    if error.get("details") is not None:
        details = json.dumps(error["details"]).encode()
        pieces.append(bytes_field(6, details if len(details) <= kept else b'"(details of %d bytes left out)"' % len(details)))
    cause = error.get("cause")
    if cause:
        pieces.append(bytes_field(7, _error(cause, kept, causes - 1) if causes else _error(_further(cause), kept, 1)))
    return b"".join(pieces)


def _further(cause: Dict[str, Any]) -> Dict[str, Any]:
    """Stands in the place of the causes that are left out."""
    count = 0
    while cause:
        count, cause = count + 1, cause.get("cause") or {}
    return {"message": f"({count} more left out)"}


def _cut(text: Any, limit: int) -> bytes:
    """The text with its middle left out where it is longer: the start says what, the end says where."""
    data = _encoded(text)
    if len(data) <= limit:
        return data
    side = max(limit - NOTE, 0) // 2
    # Half a character at either cut is left out as well.
    head, tail = (part.decode("utf-8", "ignore").encode() for part in (data[:side], data[len(data) - side:]))
    return b"%s\n.. %d bytes left out ..\n%s" % (head, len(data) - len(head) - len(tail), tail)


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
