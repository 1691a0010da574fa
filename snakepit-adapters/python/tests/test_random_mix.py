"""Everything at once, by chance but repeatable: each request has exactly one answer, and the right one.

    SNAKEPIT_SEEDS=200 python3 -m unittest test_random_mix        looks longer than the few seeds of every day
"""

import os
import random
import struct
import time
import unittest

from fake_host import CANCEL, CHUNK, CREDIT, END, END_SESSION, ERROR, EXECUTE, EXECUTE_STREAM, HANG, PING, PONG, RESULT, Host, cut, frame, request_body


SEEDS = int(os.environ.get("SNAKEPIT_SEEDS", "4"))
REQUESTS = 150


class Mix:
    """One worker, requests of every kind in any order, and what is known of their answers."""

    def __init__(self, host, seed):
        self.host, self.chance = host, random.Random(seed)
        self.open, self.cancelled, self.pings = {}, set(), 0
        self.next_id = 0

    def begin(self):
        chance = self.chance
        self.next_id += 1
        number = self.next_id
        kind = chance.choice(("add", "add", "add", "sleep", "spin", "fail", "large", "log", "session", "stream", "stream", "unknown"))
        if kind == "stream":
            length, credit = chance.randrange(20), chance.randrange(3)
            body = struct.pack(">II", credit, 1 << 20) + request_body("count", [length, chance.choice((0, 0, 0.002))])
            self.open[number] = [kind, length, 0]
            self.host.send(frame(EXECUTE_STREAM, number, body))
            return
        command, args, expected = {
            "add": ("add", [number, 1], number + 1),
            "sleep": ("sleep", [chance.random() * 0.012], "slept"),
            "spin": ("spin", [chance.random() * 0.012], "spun"),
            "fail": ("fail", ["on purpose"], None),
            "large": ("echo", ["x" * 400_000], "x" * 400_000),
            "log": ("log", [[["mix", 20, "hello"]]], number),
            "session": ("remember", ["k", number], {"k": number}),
            "unknown": ("unknown", [], None),
        }[kind]
        self.open[number] = [kind, expected, 0]
        session = f"s{number}" if kind == "session" else ""
        self.host.send(*cut(EXECUTE, number, request_body(command, args, session=session), piece=chance.choice((262_144, 100_000))))

    def disturb(self):
        chance = self.chance
        what = chance.randrange(4)
        if what == 0:
            self.pings += 1
            self.host.send(frame(PING, 1_000_000 + self.pings))
        elif what == 1 and self.open:
            number = chance.choice(list(self.open))
            self.cancelled.add(number)
            self.host.send(frame(CANCEL, number))
        elif what == 2 and self.open:
            self.host.send(frame(CREDIT, chance.choice(list(self.open)), struct.pack(">II", 3, 1000)))
        else:
            self.host.send(frame(END_SESSION, 0, f"s{chance.randrange(1, self.next_id + 2)}".encode()))

    def take(self, test):
        """Judges what has come; gives streams what they need to end."""
        host = self.host
        host._read(0.0005)
        messages, host.messages = host.messages, []
        for message in messages:
            number = message.request_id
            if message.kind == PONG:
                self.pings -= 1
            elif message.kind in (CHUNK, RESULT, ERROR, END):
                test.assertIn(number, self.open, f"an answer too many: {message!r}")
                self.judge(test, number, message)

    def judge(self, test, number, message):
        kind, expected, chunks = self.open[number]
        if message.kind == CHUNK:
            test.assertEqual((kind, message.value), ("stream", {"i": chunks}))
            self.open[number][2] += 1
            self.host.send(frame(CREDIT, number, struct.pack(">II", 1, 100)))
            return
        del self.open[number]
        if message.kind == ERROR and message.json["kind"] == "cancelled":
            test.assertIn(number, self.cancelled)
        elif message.kind == ERROR:
            test.assertEqual(message.json["kind"], {"fail": "error", "unknown": "unknown_command"}.get(kind), repr(message))
        elif message.kind == END:
            test.assertEqual((kind, chunks), ("stream", expected))
        else:
            test.assertEqual(message.value, expected)


class RandomMix(unittest.TestCase):
    def test_every_request_has_exactly_one_answer_and_the_right_one(self):
        for seed in range(SEEDS):
            with self.subTest(seed=seed):
                host = Host.start(self)
                mix = Mix(host, seed)
                while mix.next_id < REQUESTS:
                    if len(mix.open) < mix.chance.choice((1, 1, 8, 64)):
                        mix.begin()
                    if mix.chance.random() < 0.3:
                        mix.disturb()
                    if mix.chance.random() < 0.7:
                        mix.take(self)
                for number in list(mix.open):
                    host.send(frame(CREDIT, number, struct.pack(">II", 100, 100_000)))
                until = time.monotonic() + HANG
                while (mix.open or mix.pings) and time.monotonic() < until:
                    mix.take(self)
                self.assertEqual((mix.open, mix.pings), ({}, 0), "answers are missing")
                host.hang_up()
                self.assertEqual(host.wait_for_exit(), 0)


if __name__ == "__main__":
    unittest.main()
