"""The reader of frames against random input: whatever comes, however it is split, it ends in messages or in a breach of the contract."""

import json
import random
import struct
import unittest

import sdk_path  # noqa: F401
from fake_host import CANCEL, CREDIT, DRAIN, END_SESSION, EXECUTE, EXECUTE_STREAM, HELLO, MORE, OPTIONAL, PART, PING, cut, frame, request_body
from snakepit_worker import handshake, request
from snakepit_worker.frame import BODY_MARGIN, LONGEST, Breach
from snakepit_worker.incoming import Incoming

WORDS = {
    "length_too_short", "length_too_long", "reserved_bits", "unknown_kind", "more_not_allowed", "request_id", "part_without_start", "body_under_way",
    "body_too_long", "body_lengths", "text", "json",
}
PAYLOAD_LIMIT = 5000
ROUNDS = 3000


def parse(kind, number, body):
    """What the worker makes of a message, so that bodies are put to the test as well."""
    if kind == EXECUTE:
        return vars(request.parse_execute(number, body, 0.0))
    if kind == EXECUTE_STREAM:
        return vars(request.parse_execute_stream(number, body, 0.0))
    if kind == CREDIT:
        return request.parse_credit(body)
    if kind == END_SESSION:
        return request.parse_session(body)
    if kind == HELLO:
        return vars(handshake.Hello(body))
    return request.parse_empty(body, "message")


def outcome(data, sizes):
    """The messages found, and the word of the breach that ended it. The reader never holds more than what came, or than its limit."""
    incoming, found, at = Incoming(PAYLOAD_LIMIT), [], 0
    try:
        while at < len(data):
            size = next(sizes)
            # A breach loses the messages that came before it in the same read, so each is told with its read.
            for kind, number, body in incoming.feed(data[at:at + size]):
                found.append((kind, number, parse(kind, number, body)))
            at += size
            held = incoming._have if incoming._pieces else 0
            assert held <= LONGEST + 4 + 65536, f"{held} bytes are held"
            assert all(cut_body.size <= PAYLOAD_LIMIT + BODY_MARGIN for cut_body in incoming._cut.values())
    except Breach as breach:
        assert breach.word in WORDS, breach.word
        return found, breach.word
    except handshake.NoCommonProtocol:
        return found, "no common protocol"
    return found, None


def good_frames(chance):
    """A few frames as a host would send them."""
    number = chance.randrange(1, 5)
    text = "".join(chance.choice("abß\U0001f40d") for _ in range(chance.randrange(6)))
    body = request_body(
        text, data=chance.randbytes(chance.randrange(40)), session=text * chance.randrange(2), content_type="x/y" * chance.randrange(2),
        metadata=[(text, "v")] * chance.randrange(3), attachments=[b"a"] * chance.randrange(3), time_left_ms=chance.getrandbits(32),
    )
    kind = chance.randrange(8)
    if kind == 0:
        return cut(EXECUTE, number, body, piece=chance.choice((1, 7, 30)))
    if kind == 1:
        return cut(EXECUTE_STREAM, number, struct.pack(">II", 1, 1) + body, piece=chance.choice((1, 7, 30)))
    return [{
        2: frame(EXECUTE, number, body), 3: frame(CANCEL, number), 4: frame(CREDIT, number, struct.pack(">II", 1, 2)), 5: frame(PING, chance.getrandbits(64)),
        6: frame(0x60 + chance.randrange(16), 1, b"later", OPTIONAL), 7: frame(DRAIN) + frame(END_SESSION, 0, text.encode()),
    }[kind]]


def broken(chance, data):
    """The same bytes with something wrong in them."""
    data = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data))
        how = chance.randrange(5)
        if how == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            data[at:at + chance.randrange(1, 9)] = b""
        elif how == 2:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif how == 3:
            data[at:at] = frame(chance.choice((EXECUTE, PART, PING, 0x41)), chance.randrange(3), chance.randbytes(chance.randrange(30)), chance.choice((0, MORE, OPTIONAL, 4)))
        else:
            data[at:at + 4] = struct.pack(">I", chance.choice((0, 11, 12, 13, 1 << 20, (1 << 20) + 1, 0xFFFFFFFF)))
        if not data:
            data = bytearray(b"\x00")
    return bytes(data)


def in_pieces(chance, most):
    while True:
        yield chance.randrange(1, most)


class RandomBytes(unittest.TestCase):
    def check(self, data, seed):
        """Split finely, the same input is the same messages, and the same breach unless that of a body comes before that of a frame."""
        whole, word = outcome(data, iter([len(data) or 1]))
        fine, fine_word = outcome(data, in_pieces(random.Random(seed), 9))
        if word is None:
            self.assertEqual((fine_word, fine), (None, whole), f"seed {seed}")
        else:
            self.assertIn(fine_word, (word, "body_lengths", "text", "json", "reserved_bits", "no common protocol"), f"seed {seed}")
        return word

    def test_noise_ends_in_a_breach(self):
        for seed in range(ROUNDS):
            self.check(random.Random(seed).randbytes(random.Random(seed).randrange(200)), seed)

    def test_good_frames_are_all_read(self):
        for seed in range(ROUNDS // 3):
            chance = random.Random(seed)
            # Each cut body is brought to its end before the next begins: their numbers are few, and may be the same.
            data = b"".join(piece for _ in range(chance.randrange(1, 12)) for piece in good_frames(chance))
            self.assertIsNone(self.check(data, seed), f"seed {seed}")

    def test_broken_frames_end_in_a_word_of_the_contract(self):
        found = {}
        for seed in range(ROUNDS):
            chance = random.Random(seed)
            data = b"".join(piece for _ in range(chance.randrange(1, 8)) for piece in good_frames(chance))
            found.setdefault(self.check(broken(chance, data), seed), seed)
        # Enough of them, or the dice are loaded.
        self.assertGreaterEqual(len(WORDS & found.keys()), 8, found)

    def test_a_hello_of_any_json_is_taken_or_refused(self):
        values = (None, True, 0, 1, -1, 1.5, "x", [], [1], ["1"], {}, {"a": 1}, 2**80)
        for seed in range(ROUNDS):
            chance = random.Random(seed)
            fields = {key: chance.choice(values) for key in ("protocol", "features", "payload_limit", "pool", "slot", "new") if chance.random() < 0.7}
            self.check(frame(HELLO, 0, json.dumps(fields).encode()), seed)


if __name__ == "__main__":
    unittest.main()
