"""One request as the host sent it (proto/README.md, section 4), and what is known of it until it is answered."""

from __future__ import annotations

import struct

from .frame import CREDIT, NO_TIME_LIMIT, Breach

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Tuple

    from .command import Command

FIXED = struct.Struct(">IHHHHIHHI")
"""time left, lengths of command, session, content type, traceparent, metadata; attachments, reserved, length of the data"""

PAIR = struct.Struct(">HH")
JSON_TYPE = "application/json"


class Request:
    """The fields of a request body, with the marks that reading and running threads leave on it.

    `granted_chunks` and `granted_bytes` are written only by the holder of the reading role, `sent_chunks` and `sent_bytes`
    only by the main thread: credit is their difference, and no addition of one thread can overwrite one of the other.
    """

    __slots__ = (
        "id", "is_stream", "name", "session_id", "content_type", "traceparent", "metadata_pairs", "data", "attachments",
        "deadline", "cancelled", "command", "session", "granted_chunks", "granted_bytes", "sent_chunks", "sent_bytes",
    )

    def __init__(self, request_id: int, is_stream: bool, name: str, data: bytes) -> None:
        self.id = request_id
        self.is_stream = is_stream
        self.name = name
        self.data = data
        self.session_id: Optional[str] = None
        self.content_type = JSON_TYPE
        self.traceparent: Optional[str] = None
        self.metadata_pairs: List[Tuple[str, str]] = []
        self.attachments: Tuple[bytes, ...] = ()
        self.deadline: Optional[float] = None
        self.cancelled = False
        self.command: Optional[Command] = None
        self.session: Optional[Dict[str, Any]] = None
        self.granted_chunks = 0
        self.granted_bytes = 0
        self.sent_chunks = 0
        self.sent_bytes = 0

    def has_credit(self) -> bool:
        """Whether a chunk may be sent now; bytes may fall below zero by one chunk, so that a large one gets through."""
        return self.granted_chunks > self.sent_chunks and self.granted_bytes > self.sent_bytes


def parse_execute(request_id: int, body: bytes, now: float) -> Request:
    """The request of an Execute body. Raises `Breach` where the lengths do not add up."""
    return _parse(request_id, False, body, 0, now)


def parse_execute_stream(request_id: int, body: bytes, now: float) -> Request:
    """The request of an ExecuteStream body, with its first credit."""
    if len(body) < 8:
        raise Breach("body_lengths", f"an ExecuteStream body of {len(body)} bytes has no room for its credit")
    request = _parse(request_id, True, body, 8, now)
    request.granted_chunks, request.granted_bytes = CREDIT.unpack_from(body)
    return request


def parse_credit(body: bytes) -> Tuple[int, int]:
    """Chunks and bytes of a Credit body."""
    if len(body) != 8:
        raise Breach("body_lengths", f"a Credit body of {len(body)} bytes, not 8")
    chunks, size = CREDIT.unpack(body)
    return chunks, size


def parse_session(body: bytes) -> str:
    """The session id of an EndSession body."""
    return text_of(body, "session id")


def parse_empty(body: bytes, what: str) -> None:
    """Holds a message that has no body to that."""
    if body:
        raise Breach("body_lengths", f"a {what} with a body of {len(body)} bytes")


def text_of(raw: bytes, what: str) -> str:
    """UTF-8, or a breach that names the field."""
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError as error:
        raise Breach("text", f"the {what} is not UTF-8: {error}") from None


def _parse(request_id: int, is_stream: bool, body: bytes, start: int, now: float) -> Request:
    size, at = len(body), start + FIXED.size
    if size < at:
        raise Breach("body_lengths", f"a request body of {size - start} bytes; the fixed part alone has {FIXED.size}")
    time_left, command, session, content_type, traceparent, metadata, attachments, reserved, data = FIXED.unpack_from(body, start)
    if reserved:
        raise Breach("reserved_bits", f"the reserved field of request {request_id} is {reserved}")
    if session or content_type or traceparent or metadata or attachments:
        request = _parse_long(request_id, is_stream, body, at, (command, session, content_type, traceparent, metadata, data), attachments)
    else:
        # The common request has a command and data only.
        middle = at + command
        if middle + data != size:
            raise _lengths(request_id, size, middle + data)
        request = Request(request_id, is_stream, text_of(body[at:middle], "command"), body[middle:])
    if time_left != NO_TIME_LIMIT:
        request.deadline = now + time_left / 1000
    return request


def _parse_long(request_id: int, is_stream: bool, body: bytes, at: int, lengths: Tuple[int, ...], attachments: int) -> Request:
    size = len(body)
    if at + 4 * attachments > size:
        raise _lengths(request_id, size, at + 4 * attachments)
    attachment_lengths = struct.unpack_from(f">{attachments}I", body, at)
    at += 4 * attachments
    announced = at + sum(lengths) + sum(attachment_lengths)
    if announced != size:
        raise _lengths(request_id, size, announced)
    fields = []
    for length in (*lengths, *attachment_lengths):
        fields.append(body[at:at + length])
        at += length
    command, session, content_type, traceparent, metadata, data = fields[:6]
    request = Request(request_id, is_stream, text_of(command, "command"), data)
    request.session_id = text_of(session, "session id") or None
    request.content_type = text_of(content_type, "content type") or JSON_TYPE
    request.traceparent = text_of(traceparent, "traceparent") or None
    request.metadata_pairs = _parse_metadata(metadata)
    request.attachments = tuple(fields[6:])
    return request


def _parse_metadata(raw: bytes) -> List[Tuple[str, str]]:
    # Read on arrival, not when a command asks: a breach must show where it happened, not in the user's code.
    pairs, at, size = [], 0, len(raw)
    while at < size:
        middle = at + PAIR.size
        if middle > size:
            raise Breach("body_lengths", "the metadata ends inside the lengths of a pair")
        key, value = PAIR.unpack_from(raw, at)
        at = middle + key + value
        if at > size:
            raise Breach("body_lengths", "the metadata ends inside a pair")
        pairs.append((text_of(raw[middle:middle + key], "metadata key"), text_of(raw[middle + key:at], "metadata value")))
    return pairs


def _lengths(request_id: int, size: int, announced: int) -> Breach:
    return Breach("body_lengths", f"the lengths in the body of request {request_id} add up to {announced} of {size} bytes")
