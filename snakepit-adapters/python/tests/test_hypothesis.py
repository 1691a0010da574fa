"""Properties of what reads the host's bytes, searched by hypothesis: frames, bodies, the handshake, the messages of gRPC.

    SNAKEPIT_EXAMPLES=20000 python3 -m unittest test_hypothesis        looks longer than the examples of every day
"""

import json
import os
import struct
import unittest
from unittest import mock

import sdk_path
from fake_host import CANCEL, CHUNK, CREDIT, END_SESSION, EXECUTE, EXECUTE_STREAM, HELLO, MORE, PART, PING, Message, frame, request_body
from snakepit_worker import handshake, large_body
from snakepit_worker.answer import payload_frames
from snakepit_worker.frame import BODY_MARGIN, LARGE, PIECE, Breach
from snakepit_worker.grpc_message import Malformed, fields, frames_message, frames_of, varint
from snakepit_worker.incoming import Incoming
from snakepit_worker.payload import Payload
from snakepit_worker.request import parse_credit, parse_empty, parse_execute, parse_execute_stream, parse_session

if not sdk_path.has("hypothesis", "the search for counterexamples"):
    raise unittest.SkipTest("hypothesis is not installed")

from hypothesis import HealthCheck, given, settings, strategies as st  # noqa: E402

settings.register_profile(
    "here", max_examples=int(os.environ.get("SNAKEPIT_EXAMPLES", "150")), deadline=None, database=None,
    derandomize="SNAKEPIT_EXAMPLES" not in os.environ, suppress_health_check=list(HealthCheck),
)
settings.load_profile("here")

WORDS = {
    "length_too_short", "length_too_long", "reserved_bits", "unknown_kind", "more_not_allowed", "request_id", "part_without_start", "body_under_way",
    "body_too_long", "body_lengths", "text", "json", "no common protocol",
}
PAYLOAD_LIMIT = 3000

TEXT = st.text(max_size=20)
# Left alone, hypothesis makes little data long: here most of it is longer than the pieces that it comes in.
DATA = st.builds(lambda pattern, size: (pattern * (size // len(pattern) + 1))[:size], st.binary(min_size=1, max_size=9), st.integers(0, 300))
REQUEST = st.fixed_dictionaries({
    "command": TEXT, "data": DATA, "session": TEXT, "content_type": st.sampled_from(("", "application/json", "application/octet-stream", "x/y")),
    "time_left_ms": st.integers(0, 0xFFFFFFFF), "traceparent": TEXT, "metadata": st.lists(st.tuples(TEXT, TEXT), max_size=3),
    "attachments": st.lists(DATA, max_size=3) | st.lists(st.binary(max_size=3), min_size=14, max_size=18),
})


class Said:
    """A message of the host's, and what a worker is to make of it."""

    def __init__(self, kind, number, pieces, expected):
        self.kind, self.number, self.pieces, self.expected = kind, number, pieces, expected


def in_parts(kind, number, body, first, size):
    """The frames of a body whose first has so many bytes, and each of the others so many."""
    parts = [body[:first]] + [body[at:at + size] for at in range(first, len(body), size)]
    last = len(parts) - 1
    return [frame(kind if index == 0 else PART, number, part, MORE if index < last else 0) for index, part in enumerate(parts)]


@st.composite
def messages(draw):
    """What a host may say: each message whole, or in the pieces of a cut body."""
    said = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        kind = draw(st.sampled_from((EXECUTE, EXECUTE_STREAM, EXECUTE, EXECUTE_STREAM, CANCEL, CREDIT, PING, END_SESSION)))
        if kind in (EXECUTE, EXECUTE_STREAM):
            asked = draw(REQUEST)
            credit = struct.pack(">II", draw(st.integers(0, 2**32 - 1)), 7) if kind == EXECUTE_STREAM else b""
            body = credit + request_body(asked.pop("command"), **asked)
            head = len(body) - len(asked["data"]) - sum(map(len, asked["attachments"]))
            pieces = in_parts(kind, number, body, draw(st.sampled_from((head - 1, head, head + 1, head + 9, 13, len(body)))), draw(st.integers(1, 90)))
            parse = parse_execute_stream if kind == EXECUTE_STREAM else parse_execute
            said.append(Said(kind, number, pieces, vars(parse(number, body, 0.0))))
            continue
        body = {CREDIT: struct.pack(">II", 1, 2), END_SESSION: draw(TEXT).encode()}.get(kind, b"")
        said.append(Said(kind, number, [frame(kind, number, body)], body))
    return said


@st.composite
def interleaved(draw):
    """The same on the wire: the pieces of one body pass between those of others. The order in which they are complete."""
    left, data, order = [(said, list(said.pieces)) for said in draw(messages())], [], []
    while left:
        said, pieces = left[draw(st.integers(0, len(left) - 1))]
        data.append(pieces.pop(0))
        if not pieces:
            left = [each for each in left if each[0] is not said]
            order.append((said.kind, said.number, said.expected))
    return b"".join(data), order


def value_of(kind, number, body):
    """What the worker makes of a message."""
    if kind & LARGE:
        return vars(body.request(number, 0.0))
    if kind == EXECUTE:
        return vars(parse_execute(number, body, 0.0))
    if kind == EXECUTE_STREAM:
        return vars(parse_execute_stream(number, body, 0.0))
    if kind == CREDIT:
        parse_credit(body)
    elif kind == END_SESSION:
        parse_session(body)
    elif kind == HELLO:
        return vars(handshake.Hello(body))
    else:
        parse_empty(body, "message")
    return body


def read(data, sizes, worth, through_pipe):
    """The messages in `data`, and the word of the breach that ended them. `sizes`: how much comes at once, in turn."""
    incoming, found, at, turn = Incoming(PAYLOAD_LIMIT), [], 0, 0
    source, sink = os.pipe()
    try:
        with mock.patch.object(large_body, "WORTH", worth):
            while at < len(data):
                size = sizes[turn % len(sizes)]
                turn += 1
                piece = data[at:at + size]
                at += size
                if through_pipe:
                    os.write(sink, piece)
                    # A piece may hold more than one read to its place takes.
                    left = len(piece)
                    while left:
                        waiting = incoming.filling
                        before = 0 if waiting is None else waiting.size
                        taken = os.read(source, left) if waiting is None else incoming.fill(source)
                        left -= len(taken) + (0 if waiting is None else waiting.size - before)
                        found += [(kind & ~LARGE, number, value_of(kind, number, body)) for kind, number, body in incoming.feed(taken)]
                else:
                    found += [(kind & ~LARGE, number, value_of(kind, number, body)) for kind, number, body in incoming.feed(piece)]
                held = sum(cut_body.size for cut_body in incoming._cut.values())
                assert all(cut_body.size <= PAYLOAD_LIMIT + BODY_MARGIN for cut_body in incoming._cut.values()), held
    except Breach as breach:
        return found, breach.word
    except handshake.NoCommonProtocol:
        return found, "no common protocol"
    finally:
        os.close(source)
        os.close(sink)
    return found, None


SIZES = st.lists(st.sampled_from((1, 2, 15, 16, 17, 40, 300, 5000)), min_size=1, max_size=6)
WORTH = st.sampled_from((0, 65536))


class Frames(unittest.TestCase):
    @given(interleaved(), SIZES, WORTH, st.booleans())
    def test_what_a_host_says_is_read_as_it_was_said(self, said, sizes, worth, through_pipe):
        data, order = said
        found = read(data, sizes, worth, through_pipe)
        # Not assertEqual: to describe how two long values differ takes minutes.
        self.assertTrue(found == (order, None), f"{str(found)[:3000]}\n{str(order)[:3000]}")

    @given(st.binary(max_size=300), SIZES)
    def test_any_bytes_end_in_messages_or_in_a_word_of_the_contract(self, data, sizes):
        for worth in (0, 65536):
            found, word = read(data, sizes, worth, False)
            self.assertIn(word, WORDS | {None})

    @given(interleaved(), st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=4), st.integers(0, 4)), min_size=1, max_size=3), SIZES)
    def test_damage_is_judged_alike_whether_a_body_has_a_place_or_not(self, said, damage, sizes):
        data = bytearray(said[0])
        for at, instead, count in damage:
            at %= len(data) + 1
            data[at:at + count] = instead
        verdicts = [read(bytes(data), sizes, worth, through_pipe) for worth in (0, 65536) for through_pipe in (False, True)]
        for found, word in verdicts:
            self.assertIn(word, WORDS | {None})
        self.assertTrue([verdicts[0]] * 4 == verdicts, "\n".join(str(verdict)[:2000] for verdict in verdicts))

    @given(st.binary(max_size=200), st.booleans())
    def test_any_body_is_a_request_or_a_breach(self, body, is_stream):
        try:
            value_of(EXECUTE_STREAM if is_stream else EXECUTE, 1, body)
        except Breach as breach:
            self.assertIn(breach.word, WORDS)

    @given(REQUEST, st.integers(1, 400))
    def test_a_body_that_ends_early_or_late_is_a_breach(self, asked, change):
        body = request_body(asked.pop("command"), **asked)
        for other in (body[:-change], body + bytes(change)):
            with self.assertRaises(Breach):
                parse_execute(1, other, 0.0)

    @given(st.sampled_from((EXECUTE, EXECUTE_STREAM)), REQUEST, st.integers(1, 50), st.booleans())
    def test_a_cut_body_of_another_length_than_it_says_is_a_breach(self, kind, asked, change, longer):
        body = (b"\0" * 8 if kind == EXECUTE_STREAM else b"") + request_body(asked.pop("command"), **asked)
        head = len(body) - len(asked["data"]) - sum(map(len, asked["attachments"]))
        body = body + bytes(change) if longer else body[:-min(change, len(body) - 1)]
        for worth in (0, 65536):
            found, word = read(b"".join(in_parts(kind, 1, body, head, 60)), [1000], worth, False)
            self.assertEqual((found, word), ([], "body_lengths"))

    @given(st.sampled_from((EXECUTE, EXECUTE_STREAM)), REQUEST, st.integers(1, 0xFFFF))
    def test_a_cut_body_whose_reserved_field_is_used_is_a_breach(self, kind, asked, reserved):
        start = 8 if kind == EXECUTE_STREAM else 0
        body = bytearray(bytes(start) + request_body(asked.pop("command"), **asked))
        struct.pack_into(">H", body, start + 18, reserved)
        head = len(body) - len(asked["data"]) - sum(map(len, asked["attachments"]))
        for worth in (0, 65536):
            self.assertEqual(read(b"".join(in_parts(kind, 1, bytes(body), head, 60)), [1000], worth, False)[1], "reserved_bits")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2**70, 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6,
)


class Handshake(unittest.TestCase):
    @given(st.dictionaries(st.sampled_from(("protocol", "features", "payload_limit", "pool", "slot", "later")), JSON | st.just([1])))
    def test_a_hello_of_any_json_is_taken_or_refused_by_a_word(self, hello):
        found, word = read(frame(HELLO, 0, json.dumps(hello).encode()), [1000], 0, False)
        self.assertIn(word, {None, "json", "no common protocol"})
        if word is None:
            self.assertIn(1, hello["protocol"])

    @given(st.binary(max_size=80))
    def test_a_hello_of_any_bytes_is_refused_unless_it_is_one(self, body):
        word = read(frame(HELLO, 0, body), [1000], 0, False)[1]
        self.assertIn(word, {None, "json", "no common protocol"})
        # Hypothesis also tries the bytes that it finds written down in this folder, and a whole Hello is among them.
        if word is None:
            self.assertIn(1, json.loads(body)["protocol"])

    @given(st.sets(st.text(max_size=10)), st.integers(1, 2**63))
    def test_a_worker_says_of_itself_what_the_host_has_offered(self, features, limit):
        hello = handshake.Hello(json.dumps({"protocol": [7, 1], "features": sorted(features), "payload_limit": limit}).encode())
        ready = json.loads(handshake.ready_body(hello, "agent", 3, []))
        self.assertEqual((ready["protocol"], ready["capacity"]), (1, 3))
        self.assertLessEqual(set(ready["features"]), features)
        self.assertEqual(hello.payload_limit, limit)


class Answers(unittest.TestCase):
    @given(
        st.binary(max_size=100), st.integers(0, 3 * PIECE), st.text(max_size=20), st.lists(st.binary(max_size=50), max_size=4), st.integers(0, 2 * PIECE),
    )
    def test_a_payload_is_written_as_the_contract_reads_it(self, start, size, content_type, attachments, more):
        data = start + bytes(size)
        attachments = [*attachments, bytes(more)]
        made = payload_frames(CHUNK, 7, Payload(data, content_type, attachments))
        frames = [b"".join(each) if isinstance(each, tuple) else each for each in made]
        flags = [each[5] for each in frames]
        self.assertEqual(flags, [MORE] * (len(frames) - 1) + [0])
        self.assertTrue(all(len(each) <= 16 + PIECE for each in frames))
        answer = Message(CHUNK, 7, b"".join(each[16:] for each in frames), len(frames))
        expected = "" if content_type == "application/json" else content_type
        self.assertTrue(answer.payload == (expected, data, attachments))


class GrpcMessages(unittest.TestCase):
    @given(st.binary(max_size=500))
    def test_frames_come_back_as_they_went(self, frames):
        self.assertEqual(frames_of(frames_message(frames)), frames)

    @given(st.binary(max_size=100))
    def test_any_bytes_are_a_message_or_malformed(self, message):
        try:
            self.assertIsInstance(frames_of(message), bytes)
        except Malformed:
            pass

    @given(st.lists(st.tuples(st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1) | st.binary(max_size=20)), max_size=6))
    def test_fields_are_read_as_they_were_written(self, wanted):
        message = b""
        for number, value in wanted:
            if isinstance(value, int):
                message += varint(number << 3) + varint(value)
            else:
                message += varint(number << 3 | 2) + varint(len(value)) + value
        self.assertEqual(list(fields(message)), wanted)
        frames = [value for number, value in wanted if number == 1 and isinstance(value, bytes)]
        self.assertEqual(frames_of(message), frames[-1] if frames else b"")


if __name__ == "__main__":
    unittest.main()
