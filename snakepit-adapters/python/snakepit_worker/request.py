"""One request as the host sent it (proto/README.md, section 4), and what is known of it until it is answered."""

from __future__ import annotations

import struct

from .frame import CREDIT, NO_TIME_LIMIT, Breach
from .voice import Voice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

    from .invocation import Command

FIXED = struct.Struct(">IHHHHIHHI")
"""time left, lengths of command, session, content type, traceparent, metadata; attachments, reserved, length of the data"""

FIXED_SIZE = FIXED.size

PLAIN = struct.Struct(">I16sI")
"""The same, with all lengths but that of the data in one piece."""

HEADS_KEPT, LONGEST_KEPT = 256, 256
PAIR = struct.Struct(">HH")
JSON_TYPE = "application/json"
BYTES_TYPE = "application/octet-stream"
MSGPACK_TYPE = "application/msgpack"
SILENT = Voice()
KNOWN_TYPES = {b"": JSON_TYPE, JSON_TYPE.encode(): JSON_TYPE, BYTES_TYPE.encode(): BYTES_TYPE, MSGPACK_TYPE.encode(): MSGPACK_TYPE}


class Request:
    """The fields of a request body, with the marks that reading and running threads leave on it.

    `granted_chunks` and `granted_bytes` are written only by the holder of the reading role, `sent_chunks` and `sent_bytes`
    only by the main thread: credit is their difference, and no addition of one thread can overwrite one of the other.
    `is_told`: the host has heard that it begins. `was_withdrawn`: it was cancelled before it began, and answered.
    """

    # Defaults on the class: most requests have none of these, and setting them one by one would cost more than parsing.
    session_id: Optional[str] = None
    content_type: str = JSON_TYPE
    traceparent: Optional[str] = None
    metadata_pairs: Sequence[Tuple[str, str]] = ()
    attachments: Tuple[bytes, ...] = ()
    deadline: Optional[float] = None
    cancelled = False
    is_told = False
    was_withdrawn = False
    command: Optional[Command] = None
    session: Optional[Dict[str, Any]] = None
    voice: Voice = SILENT
    granted_chunks = 0
    granted_bytes = 0
    sent_chunks = 0
    sent_bytes = 0

    def __init__(self, request_id: int, is_stream: bool, name: str, data: bytes) -> None:
        self.id = request_id
        self.is_stream = is_stream
        self.name = name
        self.data = data

    def has_credit(self) -> bool:
        """Whether a chunk may be sent now; bytes may fall below zero by one chunk, so that a large one gets through."""
        return self.granted_chunks > self.sent_chunks and self.granted_bytes > self.sent_bytes


class Heads:
    """Reads Execute bodies, and remembers what stands before their data: most requests ask for what others have asked for.

    Only short heads are kept, without session, trace and metadata, which differ from request to request.
    """

    def __init__(self) -> None:
        self._by_lengths: Dict[bytes, Tuple[int, Dict[bytes, Tuple[str, str]]]] = {}
        self._kept = 0

    def parse(self, request_id: int, body: bytes, now: float) -> Request:
        """As `parse_execute`."""
        if len(body) >= FIXED_SIZE:
            time_left, lengths, size = PLAIN.unpack_from(body)
            known = self._by_lengths.get(lengths)
            if known is not None:
                end, heads = known
                head = heads.get(body[FIXED_SIZE:end])
                if head is not None and end + size == len(body):
                    name, content_type = head
                    request = Request(request_id, False, name, body[end:])
                    request.content_type = content_type
                    if time_left != NO_TIME_LIMIT:
                        request.deadline = now + time_left / 1000
                    return request
        request = parse_execute(request_id, body, now)
        if self._kept < HEADS_KEPT and request.session_id is None and request.traceparent is None:
            self._keep(request, body)
        return request

    def _keep(self, request: Request, body: bytes) -> None:
        end = len(body) - len(request.data)
        if end <= LONGEST_KEPT and not (request.metadata_pairs or request.attachments):
            _, heads = self._by_lengths.setdefault(body[4:20], (end, {}))
            heads[body[FIXED.size:end]] = request.name, request.content_type
            self._kept += 1


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
    lengths: Tuple[int, ...] = ()
    if attachments:
        if at + 4 * attachments > size:
            raise _lengths(request_id, size, at + 4 * attachments)
        lengths = struct.unpack_from(f">{attachments}I", body, at)
        at += 4 * attachments
    # Where each field ends; they follow one another.
    command += at
    session += command
    content_type += session
    traceparent += content_type
    metadata += traceparent
    data += metadata
    announced = data + sum(lengths) if lengths else data
    if announced != size:
        raise _lengths(request_id, size, announced)
    request = Request(request_id, is_stream, text_of(body[at:command], "command"), body[metadata:data])
    if session != command:
        request.session_id = text_of(body[command:session], "session id")
    if content_type != session:
        raw = body[session:content_type]
        request.content_type = KNOWN_TYPES.get(raw) or text_of(raw, "content type")
    if traceparent != content_type:
        request.traceparent = text_of(body[content_type:traceparent], "traceparent")
    if metadata != traceparent:
        request.metadata_pairs = _parse_metadata(body[traceparent:metadata])
    if lengths:
        request.attachments = tuple(_pieces(body, data, lengths))
    if time_left != NO_TIME_LIMIT:
        request.deadline = now + time_left / 1000
    return request


def _pieces(body: bytes, at: int, lengths: Tuple[int, ...]) -> Iterator[bytes]:
    for length in lengths:
        yield body[at:at + length]
        at += length


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
