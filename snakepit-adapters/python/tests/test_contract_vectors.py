"""The SDK's codec against proto/vectors.json, which is made without it."""

import json
import random
import runpy
import types
import unittest

import sdk_path
from snakepit_worker import frame, handshake, request
from snakepit_worker.answer import error_frame, payload_frames
from snakepit_worker.incoming import Incoming
from snakepit_worker.payload import Payload
from snakepit_worker.voice import WireVoice

VECTORS = json.loads(sdk_path.VECTORS.read_text(encoding="utf-8"))


def request_fields(parsed):
    fields = {
        "time_left_ms": None if parsed.deadline is None else round(parsed.deadline * 1000), "command": parsed.name,
        "session": parsed.session_id, "content_type": parsed.content_type, "traceparent": parsed.traceparent,
        "metadata": [list(pair) for pair in parsed.metadata_pairs], "data_hex": parsed.data.hex(),
        "attachments_hex": [attachment.hex() for attachment in parsed.attachments],
    }
    if parsed.is_stream:
        fields["credit"] = {"chunks": parsed.granted_chunks, "bytes": parsed.granted_bytes}
    return fields


def hello_fields(body):
    handshake.Hello(body)
    return {"json": json.loads(body)}


def empty_fields(body):
    request.parse_empty(body, "message")
    return {}


DECODERS = {
    frame.HELLO: lambda _, body: hello_fields(body),
    frame.EXECUTE: lambda number, body: request_fields(request.parse_execute(number, body, 0.0)),
    frame.EXECUTE_STREAM: lambda number, body: request_fields(request.parse_execute_stream(number, body, 0.0)),
    frame.CANCEL: lambda _, body: empty_fields(body),
    frame.CREDIT_KIND: lambda _, body: dict(zip(("chunks", "bytes"), request.parse_credit(body))),
    frame.END_SESSION: lambda _, body: {"session": request.parse_session(body)},
    frame.PING: lambda _, body: empty_fields(body),
    frame.DRAIN: lambda _, body: empty_fields(body),
}


def decoded(messages):
    return [
        {"kind": kind, "request_id": number, "decoded": DECODERS[kind](number, body)} for kind, number, body in messages
    ]


def expected(messages):
    return [{key: message[key] for key in ("kind", "request_id", "decoded")} for message in messages]


def payload_of(fields):
    data, attachments = bytes.fromhex(fields["data_hex"]), [bytes.fromhex(each) for each in fields["attachments_hex"]]
    return Payload(data, fields["content_type"], attachments)


class Vectors(unittest.TestCase):
    def test_the_committed_file_is_what_the_script_makes(self):
        script = runpy.run_path(str(sdk_path.MAKE_VECTORS))
        self.assertEqual(sdk_path.VECTORS.read_text(encoding="utf-8"), script["text"](), "run proto/make_vectors.py")

    def test_every_kind_of_the_contract_has_a_vector(self):
        with_vectors = {vector["kind"] for vector in VECTORS["frames"]} | {frame.PART}
        kinds = {
            value for name, value in vars(frame).items()
            if name in ("HELLO", "READY", "STARTED", "RESULT", "ERROR", "CHUNK", "END", "PONG", "LOG", "EVENT", "RECYCLE")
        } | frame.FROM_HOST
        self.assertEqual(kinds - with_vectors, set())

    def test_frames_of_the_host_are_read(self):
        read = 0
        for vector in VECTORS["frames"]:
            if vector["kind"] in frame.FROM_HOST:
                with self.subTest(vector["name"]):
                    self.assertEqual(decoded(Incoming().feed(bytes.fromhex(vector["frame_hex"]))), expected([vector]))
                    read += 1
        self.assertGreater(read, 15)

    def test_an_optional_frame_of_unknown_kind_is_skipped(self):
        skipped = [vector for vector in VECTORS["frames"] if vector["decoded"].get("skipped")]
        self.assertTrue(skipped)
        for vector in skipped:
            self.assertEqual(Incoming().feed(bytes.fromhex(vector["frame_hex"])), [])

    def test_payloads_of_the_worker_are_written(self):
        written = 0
        for vector in VECTORS["frames"]:
            if vector["kind"] in (frame.RESULT, frame.CHUNK):
                with self.subTest(vector["name"]):
                    made = payload_frames(vector["kind"], vector["request_id"], payload_of(vector["decoded"]))
                    self.assertEqual(b"".join(made).hex(), vector["frame_hex"])
                    written += 1
        self.assertGreater(written, 5)

    def test_the_size_that_credit_counts_is_that_of_the_body(self):
        for vector in VECTORS["frames"]:
            if vector["kind"] == frame.CHUNK:
                payload = payload_of(vector["decoded"])
                self.assertEqual(payload.body_size, sum(map(len, payload.pieces())))
                self.assertEqual(payload.body_size, len(vector["frame_hex"]) // 2 - 16)

    def test_other_frames_of_the_worker_are_written(self):
        for vector in VECTORS["frames"]:
            kind, number = vector["kind"], vector["request_id"]
            with self.subTest(vector["name"]):
                if kind in (frame.STARTED, frame.END, frame.PONG):
                    self.assertEqual(frame.encode(kind, number).hex(), vector["frame_hex"])
                elif kind in (frame.EVENT, frame.RECYCLE):
                    said = []
                    voice = WireVoice(types.SimpleNamespace(put=said.append, flush=lambda: None))
                    told = vector["decoded"]["json"]
                    if kind == frame.RECYCLE:
                        voice.recycle(told["reason"])
                    elif not vector["flags"]:
                        voice.progress(number, **told["progress"])
                    self.assertEqual([each.hex() for each in said], [] if vector["flags"] else [vector["frame_hex"]])
                elif kind == frame.ERROR:
                    text = json.dumps(vector["decoded"]["json"], separators=(",", ":"), ensure_ascii=False)
                    self.assertEqual(b"".join(error_frame(number, text.encode())).hex(), vector["frame_hex"])

    def test_a_long_body_is_cut_as_it_is_read(self):
        for size in (262_143, 262_144, 262_145, 524_288, 1_000_000):
            pieces = [b"".join(piece) for piece in frame.encode_cut(frame.EXECUTE, 9, bytes(size))]
            self.assertEqual(len(pieces), -(-size // 262_144))
            messages = [message for piece in pieces for message in Incoming().feed(piece)] if len(pieces) == 1 else None
            incoming = Incoming()
            messages = messages or [message for piece in pieces for message in incoming.feed(piece)]
            self.assertEqual(messages, [(frame.EXECUTE, 9, bytes(size))])


class Sequences(unittest.TestCase):
    def of_the_host(self):
        found = [sequence for sequence in VECTORS["sequences"] if sequence["from"] == "host"]
        self.assertGreater(len(found), 5)
        return found

    def test_cut_bodies_are_put_together(self):
        for sequence in self.of_the_host():
            with self.subTest(sequence["name"]):
                incoming, messages = Incoming(), []
                for piece in sequence["frames_hex"]:
                    messages += incoming.feed(bytes.fromhex(piece))
                self.assertEqual(decoded(messages), expected(sequence["messages"]))
                self.assertFalse(incoming.has_cut_bodies())

    def test_the_same_messages_are_found_byte_by_byte(self):
        for sequence in self.of_the_host():
            with self.subTest(sequence["name"]):
                incoming, messages = Incoming(), []
                for byte in bytes.fromhex("".join(sequence["frames_hex"])):
                    messages += incoming.feed(bytes((byte,)))
                self.assertEqual(decoded(messages), expected(sequence["messages"]))

    def test_the_same_messages_are_found_however_the_bytes_are_split(self):
        data = bytes.fromhex("".join(piece for sequence in self.of_the_host() for piece in sequence["frames_hex"]))
        wanted = [message for sequence in self.of_the_host() for message in sequence["messages"]]
        for seed in range(200):
            chance, incoming, messages, at = random.Random(seed), Incoming(), [], 0
            while at < len(data):
                size = chance.choice((1, 3, 15, 16, 17, 100, 5000))
                messages += incoming.feed(data[at:at + size])
                at += size
            self.assertEqual(decoded(messages), expected(wanted), f"seed {seed}")


class Breaches(unittest.TestCase):
    def breach_of(self, data, size):
        incoming = Incoming()
        try:
            for start in range(0, len(data), size):
                decoded(incoming.feed(data[start:start + size]))
        except frame.Breach as breach:
            return breach.word
        return "torn_frame" if incoming.is_inside_a_frame() else None

    def test_broken_input_is_refused_with_its_word(self):
        refused = 0
        for vector in VECTORS["bad"]:
            if vector["from"] in ("host", "both"):
                data = bytes.fromhex(vector["bytes_hex"])
                for size in (len(data), 1, 7):
                    with self.subTest(vector["name"], size=size):
                        self.assertEqual(self.breach_of(data, size), vector["error"])
                refused += 1
        self.assertGreater(refused, 40)

    def test_rubbish_ends_in_a_breach_or_in_silence_and_in_nothing_else(self):
        for seed in range(2000):
            chance = random.Random(seed)
            data = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
            self.breach_of(data, 50)

    def test_a_damaged_frame_ends_in_a_breach_or_in_a_message_and_in_nothing_else(self):
        frames = [bytes.fromhex(vector["frame_hex"]) for vector in VECTORS["frames"] if vector["kind"] in frame.FROM_HOST]
        for seed in range(5000):
            chance = random.Random(seed)
            data = bytearray(chance.choice(frames))
            for _ in range(chance.randrange(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                self.breach_of(bytes(data), len(data))
            except handshake.NoCommonProtocol:
                pass

    def test_a_cut_body_over_the_limit_is_refused_before_it_is_complete(self):
        incoming = Incoming(payload_limit=1000)
        pieces = map(b"".join, frame.encode_cut(frame.EXECUTE, 1, bytes(2_000_000)))
        with self.assertRaises(frame.Breach) as caught:
            for piece in pieces:
                self.assertEqual(incoming.feed(piece), [])
        self.assertEqual(caught.exception.word, "body_too_long")


if __name__ == "__main__":
    unittest.main()
