"""A host that breaks the contract: the worker says how, leaves with 70, and nothing hangs."""

import json
import os
import unittest

import sdk_path
from fake_host import EXECUTE, HELLO, PART, Host, cut, frame, request_body

VECTORS = json.loads(sdk_path.VECTORS.read_text(encoding="utf-8"))


class BrokenHost(unittest.TestCase):
    def refused(self, word, *frames, host=None):
        host = host or Host.start(self)
        host.expected_exit = 70
        host.send(*frames)
        self.assertEqual(host.wait_for_exit(), 70)
        self.assertIn(f"the host broke the contract: {word}", host.stderr())

    def test_rubbish(self):
        self.refused("length_too_long", b"\xde\xad\xbe\xef" * 100)

    def test_one_breach_of_each_word_in_the_vectors(self):
        words = {}
        for vector in VECTORS["bad"]:
            # A torn frame is no breach to a worker: its input ends, and so does it.
            if vector["from"] in ("host", "both") and vector["error"] != "torn_frame" and "hello" not in vector["name"]:
                words.setdefault(vector["error"], vector)
        self.assertGreater(len(words), 8)
        for word, vector in words.items():
            with self.subTest(vector["name"]):
                self.refused(word, bytes.fromhex(vector["bytes_hex"]))

    def test_a_request_before_hello(self):
        host = Host.start(self, greet=False)
        self.refused("out_of_order", frame(EXECUTE, 1, request_body("add", [1])), host=host)

    def test_a_hello_that_is_no_json(self):
        for body in (b"", b"{", b"[]", b"{}", b'{"protocol":1}', b'{"protocol":[1],"payload_limit":"much"}'):
            with self.subTest(body):
                self.refused("json", frame(HELLO, 0, body), host=Host.start(self, greet=False))

    def test_a_second_hello(self):
        self.refused("out_of_order", frame(HELLO, 0, b'{"protocol":[1]}'))

    def test_the_same_request_twice(self):
        host = Host.start(self)
        host.begin("sleep", [0.3])
        self.refused("duplicate_request", frame(EXECUTE, 1, request_body("add", [1])), host=host)

    def test_more_requests_than_the_limit(self):
        host = Host.start(self)
        host.begin("spin", [1000])
        flood = b"".join(frame(EXECUTE, number, request_body("add", [1])) for number in range(2, 4200))
        self.refused("too_many_requests", flood, host=host)

    def test_a_body_over_the_limit(self):
        host = Host.start(self, hello={"payload_limit": 1000})
        pieces = cut(EXECUTE, 1, request_body("echo", data=bytes(1_100_000)))
        self.refused("body_too_long", *pieces, host=host)

    def test_a_breach_while_a_command_computes(self):
        host = Host.start(self)
        host.begin("spin", [1000])
        host.ping(1)
        self.refused("part_without_start", frame(PART, 5, b"x"), host=host)

    def test_a_port_without_pipes(self):
        import subprocess
        import sys

        ended = subprocess.run(
            [sys.executable, str(sdk_path.SUBJECT)], env={**os.environ, "SNAKEPIT_WIRE": "port", "PYTHONPATH": str(sdk_path.SDK)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
        )
        self.assertEqual(ended.returncode, 78)
        self.assertIn(b"fd 3 cannot be used", ended.stderr)


if __name__ == "__main__":
    unittest.main()
