#!/usr/bin/env python3
"""Makes `vectors.json`, the frames that the tests of every worker end and of the host read.

    python3 proto/make_vectors.py            writes proto/vectors.json
    python3 proto/make_vectors.py --check    exit code 1 if the committed file differs

It is written from README.md alone and uses no code of any worker end: a codec that is checked by itself is not checked.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple

Entry = Dict[str, Any]
Pairs = Sequence[Tuple[str, str]]

OPTIONAL, MORE = 1, 2
KINDS = {
    "Hello": 0x01, "Execute": 0x02, "ExecuteStream": 0x03, "Cancel": 0x04, "Credit": 0x05, "EndSession": 0x06,
    "Ping": 0x07, "Drain": 0x08, "Part": 0x21, "Ready": 0x41, "Started": 0x42, "Result": 0x43, "Error": 0x44,
    "Chunk": 0x45, "End": 0x46, "Pong": 0x47, "Log": 0x48, "Event": 0x49, "Recycle": 0x4A,
}
JSON_TYPE, BYTES_TYPE = "application/json", "application/octet-stream"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def frame(kind: int, request_id: int, body: bytes = b"", flags: int = 0, reserved: int = 0) -> bytes:
    rest = bytes([kind, flags]) + u16(reserved) + request_id.to_bytes(8, "big") + body
    return u32(len(rest)) + rest


def pairs(metadata: Pairs) -> bytes:
    made = b""
    for key, value in metadata:
        key_bytes, value_bytes = key.encode(), value.encode()
        made += u16(len(key_bytes)) + u16(len(value_bytes)) + key_bytes + value_bytes
    return made


def request_body(
    command: str, data: bytes = b"", *, time_left_ms: Optional[int] = None, session: str = "", content_type: str = "",
    traceparent: str = "", metadata: Pairs = (), attachments: Sequence[bytes] = (),
) -> bytes:
    texts = [text.encode() for text in (command, session, content_type, traceparent)]
    pairs_bytes = pairs(metadata)
    made = u32(0xFFFFFFFF if time_left_ms is None else time_left_ms)
    for text in texts:
        made += u16(len(text))
    made += u32(len(pairs_bytes)) + u16(len(attachments)) + u16(0) + u32(len(data))
    for attachment in attachments:
        made += u32(len(attachment))
    return made + b"".join(texts) + pairs_bytes + data + b"".join(attachments)


def payload_body(data: bytes, *, content_type: str = "", attachments: Sequence[bytes] = ()) -> bytes:
    made = u16(len(content_type.encode())) + u16(len(attachments)) + u32(len(data))
    for attachment in attachments:
        made += u32(len(attachment))
    return made + content_type.encode() + data + b"".join(attachments)


def request_fields(
    command: str, data: bytes = b"", *, time_left_ms: Optional[int] = None, session: str = "", content_type: str = "",
    traceparent: str = "", metadata: Pairs = (), attachments: Sequence[bytes] = (),
) -> Entry:
    return {
        "time_left_ms": time_left_ms, "command": command, "session": session or None,
        "content_type": content_type or JSON_TYPE, "traceparent": traceparent or None,
        "metadata": [list(pair) for pair in metadata], "data_hex": data.hex(),
        "attachments_hex": [attachment.hex() for attachment in attachments],
    }


def payload_fields(data: bytes, *, content_type: str = "", attachments: Sequence[bytes] = ()) -> Entry:
    return {
        "content_type": content_type or JSON_TYPE, "data_hex": data.hex(),
        "attachments_hex": [attachment.hex() for attachment in attachments],
    }


def entry(name: str, kind: str, request_id: int, body: bytes, decoded: Entry, flags: int = 0) -> Entry:
    return {
        "name": name, "frame_hex": frame(KINDS[kind], request_id, body, flags).hex(), "kind": KINDS[kind],
        "kind_name": kind, "flags": flags, "request_id": request_id, "decoded": decoded,
    }


def json_entry(name: str, kind: str, request_id: int, value: Any, flags: int = 0) -> Entry:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return entry(name, kind, request_id, body, {"json": value}, flags)


FULL_REQUEST: Dict[str, Any] = {
    "time_left_ms": 1500, "session": "user_123", "traceparent": TRACEPARENT, "content_type": BYTES_TYPE,
    "metadata": [("tenant", "zürich"), ("empty", ""), ("tenant", "twice")],
    "attachments": [b"\x00\x01\x02", b"", b"\xff" * 5],
}


def frames() -> List[Entry]:
    """One entry for each kind at least; every field of a body is used by some entry and empty in another."""
    made: List[Entry] = []

    def request(name: str, request_id: int, command: str, data: bytes = b"", **fields: Any) -> None:
        body, decoded = request_body(command, data, **fields), request_fields(command, data, **fields)
        made.append(entry(name, "Execute", request_id, body, decoded))

    def stream(name: str, request_id: int, chunks: int, size: int, command: str, data: bytes = b"", **fields: Any) -> None:
        body = u32(chunks) + u32(size) + request_body(command, data, **fields)
        decoded = {"credit": {"chunks": chunks, "bytes": size}, **request_fields(command, data, **fields)}
        made.append(entry(name, "ExecuteStream", request_id, body, decoded))

    def answer(name: str, kind: str, request_id: int, data: bytes, **fields: Any) -> None:
        made.append(entry(name, kind, request_id, payload_body(data, **fields), payload_fields(data, **fields)))

    def bare(name: str, kind: str, request_id: int, body: bytes = b"", **decoded: Any) -> None:
        made.append(entry(name, kind, request_id, body, decoded))

    made.append(json_entry("hello", "Hello", 0, {
        "protocol": [1], "features": [], "pool": "default", "slot": 0, "incarnation": 1, "payload_limit": 67108864}))
    made.append(json_entry("hello_with_unknown_keys_and_versions", "Hello", 0, {
        "protocol": [2, 1], "features": ["started", "from-the-future"], "pool": "größe", "slot": 31,
        "incarnation": 18446744073709551615, "payload_limit": 1024, "unknown": {"a": [1, None, True]}}))
    request("execute_without_anything", 1, "add")
    request("execute_with_json_arguments", 2, "add", b'{"a":1,"b":2}', time_left_ms=30000)
    request("execute_with_every_field", 3, "process_task", b"\x00raw\xff", **FULL_REQUEST)
    request("execute_with_session_only", 4, "recall", session="s")
    request("execute_with_metadata_only", 5, "add", metadata=[("k", "v")])
    request("execute_with_attachments_only", 6, "add", attachments=[b"a", b"bc"])
    request("execute_with_no_time_left", 7, "add", time_left_ms=0)
    request("execute_with_the_longest_time", 8, "add", time_left_ms=0xFFFFFFFE)
    request("execute_with_the_largest_request_id", 18446744073709551615, "größe", b"[1,2]", content_type=JSON_TYPE)
    stream("execute_stream", 9, 16, 1048576, "count", b'{"n":3}', time_left_ms=5000)
    stream("execute_stream_without_credit", 10, 0, 0, "count")
    stream("execute_stream_with_every_field", 11, 1, 4294967295, "train", b"{}", **FULL_REQUEST)
    bare("cancel", "Cancel", 2)
    bare("credit", "Credit", 9, u32(4) + u32(65536), chunks=4, bytes=65536)
    bare("credit_of_nothing", "Credit", 9, u32(0) + u32(0), chunks=0, bytes=0)
    bare("end_session", "EndSession", 0, "user_123/zürich".encode(), session="user_123/zürich")
    bare("ping", "Ping", 77)
    bare("ping_zero", "Ping", 0)
    bare("drain", "Drain", 0)
    made.append(json_entry("ready", "Ready", 0, {
        "protocol": 1, "features": [], "capacity": 1, "agent": "snakepit-worker-python/0.1.0",
        "commands": [{"name": "add", "stream": False}, {"name": "count", "stream": True}]}))
    made.append(json_entry("ready_without_commands", "Ready", 0, {"protocol": 1, "features": ["started"], "capacity": 8}))
    bare("started", "Started", 2)
    answer("result_json", "Result", 2, b"3")
    answer("result_empty", "Result", 2, b"", content_type=BYTES_TYPE)
    answer("result_bytes_with_attachments", "Result", 3, b"\x00\x01\xfe\xff", content_type=BYTES_TYPE, attachments=[b"x", b"", b"yz"])
    answer("result_attachments_without_data", "Result", 4, b"", attachments=[b"only"])
    made.append(json_entry("error_with_kind_only", "Error", 5, {"kind": "cancelled"}))
    made.append(json_entry("error_with_every_field", "Error", 6, {
        "kind": "error", "type": "ValueError", "message": "größe must be positive", "traceback": "Traceback ..\n  line 1\n",
        "retryable": True, "details": {"field": "size", "got": -1},
        "cause": {"kind": "error", "type": "KeyError", "message": "'size'", "traceback": None, "retryable": False, "details": None, "cause": None}}))
    made.append(json_entry("error_with_a_kind_of_its_own", "Error", 7, {"kind": "model_not_loaded", "message": "still warming", "retryable": True}))
    answer("chunk_json", "Chunk", 9, b'{"i":0}')
    answer("chunk_bytes", "Chunk", 9, bytes(range(256)), content_type=BYTES_TYPE)
    bare("end", "End", 9)
    bare("pong", "Pong", 77)
    made.append(json_entry("log_of_the_worker", "Log", 0, {"level": "info", "logger": "root", "message": "model loaded"}))
    made.append(json_entry("log_of_a_request", "Log", 3, {"level": "error", "logger": "app.db", "message": "two\nlines, größe"}))
    made.append(json_entry("event_progress", "Event", 3, {"progress": {"done": 2, "total": 5, "message": "größe"}}))
    made.append(json_entry("event", "Event", 3, {"from_the_future": 0.5}, OPTIONAL))
    made.append(json_entry("recycle", "Recycle", 0, {"reason": "memory"}))
    made.append({"name": "unknown_kind_that_is_optional_is_skipped", "frame_hex": frame(0x7F, 3, b"anything", OPTIONAL).hex(),
                 "kind": 0x7F, "kind_name": None, "flags": OPTIONAL, "request_id": 3, "decoded": {"skipped": True}})
    return made


def cut(kind: str, request_id: int, body: bytes, sizes: Sequence[int]) -> List[bytes]:
    """The frames of one body, cut after `sizes` bytes each; what is left over is the last part."""
    pieces, start = [], 0
    for size in sizes:
        pieces.append(body[start:start + size])
        start += size
    pieces.append(body[start:])
    made = []
    for index, piece in enumerate(pieces):
        is_last = index == len(pieces) - 1
        made.append(frame(KINDS[kind if index == 0 else "Part"], request_id, piece, 0 if is_last else MORE))
    return made


def sequences() -> List[Entry]:
    """Frames in the order they travel, and the messages that a receiver makes of them, in the order they are complete."""
    long_data = bytes(index % 251 for index in range(1000))
    request = entry("", "Execute", 20, request_body("store", long_data, content_type=BYTES_TYPE),
                    request_fields("store", long_data, content_type=BYTES_TYPE))
    small = entry("", "Execute", 21, request_body("add", b"[1,2]"), request_fields("add", b"[1,2]"))
    other = entry("", "Execute", 22, request_body("store", long_data[:50], content_type=BYTES_TYPE),
                  request_fields("store", long_data[:50], content_type=BYTES_TYPE))
    stream = entry("", "ExecuteStream", 23, u32(2) + u32(100) + request_body("count", b"[5]"),
                   {"credit": {"chunks": 2, "bytes": 100}, **request_fields("count", b"[5]")})
    ping, cancel = entry("", "Ping", 5, b"", {}), entry("", "Cancel", 20, b"", {})
    result = entry("", "Result", 20, payload_body(long_data, content_type=BYTES_TYPE), payload_fields(long_data, content_type=BYTES_TYPE))
    chunk = entry("", "Chunk", 23, payload_body(long_data[:9]), payload_fields(long_data[:9]))
    pong, end = entry("", "Pong", 5, b"", {}), entry("", "End", 23, b"", {})

    def body_of(message: Entry) -> bytes:
        return bytes.fromhex(message["frame_hex"])[16:]

    def whole(message: Entry) -> bytes:
        return bytes.fromhex(message["frame_hex"])

    def parts(message: Entry, *sizes: int) -> List[bytes]:
        return cut(message["kind_name"], message["request_id"], body_of(message), sizes)

    def sequence(name: str, sender: str, travelling: Sequence[bytes], messages: Sequence[Entry]) -> Entry:
        kept = ("kind", "kind_name", "request_id", "decoded")
        return {"name": name, "from": sender, "frames_hex": [item.hex() for item in travelling],
                "messages": [{key: message[key] for key in kept} for message in messages]}

    first, second = parts(request, 400, 400), parts(other, 30)
    return [
        sequence("a_body_in_two", "host", parts(request, 500), [request]),
        sequence("a_body_in_five", "host", parts(request, 1, 23, 300, 300), [request]),
        sequence("a_cut_inside_the_fixed_header", "host", parts(request, 7), [request]),
        sequence("an_empty_first_frame_and_an_empty_last_part", "host", parts(request, 0, len(body_of(request))), [request]),
        sequence("a_stream_request_in_two", "host", parts(stream, 4), [stream]),
        sequence("small_frames_pass_between_the_parts", "host", [first[0], whole(small), first[1], whole(ping), first[2]], [small, ping, request]),
        sequence("two_bodies_interleaved", "host", [first[0], second[0], first[1], second[1], first[2]], [other, request]),
        sequence("a_cancel_passes_between_the_parts", "host", [first[0], whole(cancel), first[1], first[2]], [cancel, request]),
        sequence("an_optional_unknown_frame_passes_between_the_parts", "host", [first[0], frame(0x7E, 20, b"?", OPTIONAL), first[1], first[2]], [request]),
        sequence("a_result_in_three", "worker", parts(result, 262, 262), [result]),
        sequence("a_pong_passes_between_the_parts_of_a_result", "worker", [parts(result, 9)[0], whole(pong), parts(result, 9)[1]], [pong, result]),
        sequence("a_cut_chunk_then_the_end", "worker", [*parts(chunk, 3), whole(end)], [chunk, end]),
    ]


def bad() -> List[Entry]:
    """Broken input. `from` says whose frames they would be: a worker's tests read `host`, a host's read `worker`, both read `both`."""
    good_request = request_body("add", b"{}")
    good_payload = payload_body(b"{}")
    made: List[Entry] = []

    def case(name: str, sender: str, error: str, *travelling: bytes) -> None:
        made.append({"name": name, "from": sender, "bytes_hex": b"".join(travelling).hex(), "error": error})

    def patched(body: bytes, offset: int, field: bytes) -> bytes:
        return body[:offset] + field + body[offset + len(field):]

    head = bytes([KINDS["Ping"], 0, 0, 0]) + bytes(8)
    case("a_length_of_zero", "both", "length_too_short", u32(0) + head)
    case("a_length_of_eleven", "both", "length_too_short", u32(11) + head)
    case("a_length_of_eleven_is_seen_before_the_frame_is_complete", "both", "length_too_short", u32(11))
    case("a_length_one_above_the_limit", "both", "length_too_long", u32(1048577))
    case("a_length_of_four_gigabytes", "both", "length_too_long", u32(0xFFFFFFFF) + head)
    case("text_instead_of_frames", "both", "length_too_long", b"Hello, world\n")
    case("an_unknown_kind", "both", "unknown_kind", frame(0x7F, 1))
    case("kind_zero", "both", "unknown_kind", frame(0x00, 0))
    case("a_reserved_kind", "both", "unknown_kind", frame(0x31, 1))
    case("a_kind_that_only_a_worker_may_send", "host", "unknown_kind", frame(KINDS["Result"], 1, good_payload))
    case("a_kind_that_only_a_host_may_send", "worker", "unknown_kind", frame(KINDS["Execute"], 1, good_request))
    case("a_reserved_flag", "host", "reserved_bits", frame(KINDS["Ping"], 1, flags=4))
    case("a_reserved_flag_of_a_worker", "worker", "reserved_bits", frame(KINDS["Pong"], 1, flags=0x80))
    case("a_reserved_flag_on_an_optional_unknown_kind", "both", "reserved_bits", frame(0x7F, 1, flags=OPTIONAL | 8))
    case("the_reserved_field_of_the_frame", "host", "reserved_bits", frame(KINDS["Ping"], 1, reserved=1))
    case("the_reserved_field_of_a_worker_frame", "worker", "reserved_bits", frame(KINDS["Pong"], 1, reserved=256))
    case("the_reserved_field_of_a_request", "host", "reserved_bits", frame(KINDS["Execute"], 1, patched(good_request, 18, u16(1))))
    case("a_request_without_an_id", "host", "request_id", frame(KINDS["Execute"], 0, good_request))
    case("a_stream_request_without_an_id", "host", "request_id", frame(KINDS["ExecuteStream"], 0, u32(1) + u32(1) + good_request))
    case("a_cancel_without_an_id", "host", "request_id", frame(KINDS["Cancel"], 0))
    case("a_result_without_an_id", "worker", "request_id", frame(KINDS["Result"], 0, good_payload))
    case("an_end_without_an_id", "worker", "request_id", frame(KINDS["End"], 0))
    case("an_execute_without_a_body", "host", "body_lengths", frame(KINDS["Execute"], 1))
    case("an_execute_one_byte_short_of_its_fixed_header", "host", "body_lengths", frame(KINDS["Execute"], 1, good_request[:23]))
    case("an_execute_one_byte_short", "host", "body_lengths", frame(KINDS["Execute"], 1, good_request[:-1]))
    case("an_execute_one_byte_long", "host", "body_lengths", frame(KINDS["Execute"], 1, good_request + b"!"))
    case("a_data_length_of_four_gigabytes", "host", "body_lengths", frame(KINDS["Execute"], 1, patched(good_request, 20, u32(0xFFFFFFFF))))
    case("more_attachments_than_lengths", "host", "body_lengths", frame(KINDS["Execute"], 1, patched(good_request, 16, u16(65535))))
    case("an_attachment_that_is_missing", "host", "body_lengths", frame(KINDS["Execute"], 1, request_body("add", b"{}", attachments=[b"abc"])[:-1]))
    case("metadata_that_ends_inside_a_pair", "host", "body_lengths", frame(KINDS["Execute"], 1,
         patched(request_body("add", metadata=[("key", "value")]), 27, u16(4))))
    case("metadata_too_short_for_its_lengths", "host", "body_lengths", frame(KINDS["Execute"], 1, patched(patched(good_request, 12, u32(2)), 20, u32(0))))
    case("a_stream_request_without_credit_fields", "host", "body_lengths", frame(KINDS["ExecuteStream"], 1, u32(1)))
    case("a_cancel_with_a_body", "host", "body_lengths", frame(KINDS["Cancel"], 1, b"x"))
    case("a_ping_with_a_body", "host", "body_lengths", frame(KINDS["Ping"], 1, b"x"))
    case("a_credit_of_seven_bytes", "host", "body_lengths", frame(KINDS["Credit"], 1, bytes(7)))
    case("a_payload_one_byte_short", "worker", "body_lengths", frame(KINDS["Result"], 1, good_payload[:-1]))
    case("a_payload_one_byte_long", "worker", "body_lengths", frame(KINDS["Chunk"], 1, good_payload + b"!"))
    case("a_payload_without_its_fixed_header", "worker", "body_lengths", frame(KINDS["Result"], 1, bytes(7)))
    case("a_payload_with_more_attachments_than_lengths", "worker", "body_lengths", frame(KINDS["Result"], 1, patched(good_payload, 2, u16(9))))
    case("an_end_with_a_body", "worker", "body_lengths", frame(KINDS["End"], 1, b"x"))
    case("a_pong_with_a_body", "worker", "body_lengths", frame(KINDS["Pong"], 1, b"x"))
    case("a_command_that_is_not_utf8", "host", "text", frame(KINDS["Execute"], 1, request_body("add").replace(b"add", b"a\xffd")))
    case("a_session_that_is_not_utf8", "host", "text", frame(KINDS["EndSession"], 0, b"\xc3"))
    case("a_metadata_value_that_is_not_utf8", "host", "text", frame(KINDS["Execute"], 1,
         request_body("add", metadata=[("k", "v?")]).replace(b"v?", b"v\x80")))
    case("a_content_type_that_is_not_utf8", "worker", "text", frame(KINDS["Result"], 1, payload_body(b"", content_type="a?").replace(b"a?", b"a\xff")))
    case("a_hello_that_is_not_json", "host", "json", frame(KINDS["Hello"], 0, b"{"))
    case("a_hello_that_is_not_an_object", "host", "json", frame(KINDS["Hello"], 0, b"[1]"))
    case("a_hello_without_a_body", "host", "json", frame(KINDS["Hello"], 0))
    case("a_ready_that_is_not_json", "worker", "json", frame(KINDS["Ready"], 0, b"ready"))
    case("an_error_that_is_not_an_object", "worker", "json", frame(KINDS["Error"], 1, b'"boom"'))
    case("a_log_that_is_not_utf8", "worker", "json", frame(KINDS["Log"], 0, b'{"message":"\xff"}'))
    case("a_ping_with_more", "host", "more_not_allowed", frame(KINDS["Ping"], 1, flags=MORE))
    case("a_hello_with_more", "host", "more_not_allowed", frame(KINDS["Hello"], 0, b"{", flags=MORE))
    case("a_log_with_more", "worker", "more_not_allowed", frame(KINDS["Log"], 1, b"{", flags=MORE))
    case("an_optional_unknown_kind_with_more", "both", "more_not_allowed", frame(0x7F, 1, b"", flags=OPTIONAL | MORE))
    case("a_part_without_a_start", "both", "part_without_start", frame(KINDS["Part"], 1, b"x"))
    case("a_part_with_another_id", "host", "part_without_start",
         frame(KINDS["Execute"], 1, good_request[:5], MORE), frame(KINDS["Part"], 2, good_request[5:]))
    case("a_part_after_the_last", "host", "part_without_start",
         frame(KINDS["Execute"], 1, good_request[:5], MORE), frame(KINDS["Part"], 1, good_request[5:]), frame(KINDS["Part"], 1, b"x"))
    case("a_second_body_before_the_first_is_complete", "host", "body_under_way",
         frame(KINDS["Execute"], 1, good_request[:5], MORE), frame(KINDS["Execute"], 1, good_request[:5], MORE))
    case("a_whole_body_while_a_cut_one_is_under_way", "worker", "body_under_way",
         frame(KINDS["Chunk"], 1, good_payload[:5], MORE), frame(KINDS["Chunk"], 1, good_payload))
    case("a_cut_body_that_does_not_add_up", "host", "body_lengths",
         frame(KINDS["Execute"], 1, good_request[:5], MORE), frame(KINDS["Part"], 1, good_request[5:] + b"!"))
    case("the_input_ends_inside_a_length", "both", "torn_frame", b"\x00\x00")
    case("the_input_ends_inside_a_frame", "host", "torn_frame", frame(KINDS["Execute"], 1, good_request)[:-1])
    case("the_input_ends_inside_a_frame_of_a_worker", "worker", "torn_frame", frame(KINDS["Pong"], 1), frame(KINDS["Result"], 1, good_payload)[:20])
    return made


def text() -> str:
    """The whole file: one entry a line, so that a change shows as the lines it touches."""
    sections = {"frames": frames(), "sequences": sequences(), "bad": bad()}
    lines = ["{", '"about":"Made by proto/make_vectors.py; proto/README.md, section 12, says how to read it.",', '"protocol":1,']
    for index, (name, entries) in enumerate(sections.items()):
        lines.append(f'"{name}":[')
        rows = [json.dumps(item, separators=(",", ":"), ensure_ascii=False) for item in entries]
        lines.append(",\n".join(rows))
        lines.append("]," if index < len(sections) - 1 else "]")
    lines.append("}")
    return "\n".join(lines) + "\n"


def main() -> int:
    path = pathlib.Path(__file__).with_name("vectors.json")
    if "--check" not in sys.argv[1:]:
        path.write_text(text(), encoding="utf-8")
        return 0
    if path.read_text(encoding="utf-8") == text():
        return 0
    print(f"{path} is not what make_vectors.py makes: run it and look at the difference", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
