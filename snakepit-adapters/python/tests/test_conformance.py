"""The four commands that every worker can be checked by, on each way of serving."""

import sys
import time
import unittest

from fake_host import CANCEL, END, ERROR, RESULT, Host, frame, program
from test_by_hand import run

BARE = "from snakepit_worker import Worker; Worker({}).run()"


class Conformance(unittest.TestCase):
    def hosts(self):
        """A worker of each kind."""
        yield "the module", Host.start(self, [sys.executable, "-m", "snakepit_worker"], arguments=["--conformance"])
        for options in ("", "threads=3", "tasks=3"):
            yield options, Host.start(self, program(self, BARE.format(options)), arguments=["--conformance"])

    def test_echo_gives_back_every_byte(self):
        for name, host in self.hosts():
            for fields in (
                {}, {"data": b'{"a": [1, null]}'}, {"data": b"[1, 2]"}, {"data": b" null "}, {"data": bytes(range(256)), "content_type": "application/octet-stream"},
                {"data": b"", "content_type": "image/x", "attachments": [b"a", b"", b"c" * 300_000]}, {"data": b"[1]", "attachments": [b"x"]},
                {"data": b"x" * 600_000, "content_type": "text/plain; charset=utf-8"}, {"data": b"{}", "content_type": "application/ld+json"},
            ):
                with self.subTest(name, **{key: str(value)[:40] for key, value in fields.items()}):
                    content_type, data, attachments = host.result(host.begin("snakepit.test.echo", **fields)).payload
                    self.assertEqual((content_type, data, attachments), (fields.get("content_type", ""), fields.get("data", b""), fields.get("attachments", [])))

    def test_count_counts(self):
        for name, host in self.hosts():
            with self.subTest(name):
                values, last = host.chunks_until_end(host.begin_stream("snakepit.test.count", {"n": 3}))
                self.assertEqual((values, last.kind), ([{"i": 0}, {"i": 1}, {"i": 2}], END))

    def test_sleep_sleeps_and_can_be_cancelled(self):
        for name, host in self.hosts():
            with self.subTest(name):
                began = time.monotonic()
                self.assertEqual(host.call("snakepit.test.sleep", {"ms": 20}), 20)
                self.assertGreaterEqual(time.monotonic() - began, 0.02)
                number = host.begin("snakepit.test.sleep", [1_000_000])
                host.ping(1)
                host.send(frame(CANCEL, number))
                self.assertEqual(host.error(number)["kind"], "cancelled")

    def test_fail_fails(self):
        for name, host in self.hosts():
            with self.subTest(name):
                error = host.error(host.begin("snakepit.test.fail", {"message": "größe"}))
                self.assertEqual((error["kind"], error["message"]), ("error", "größe"))

    def test_without_the_argument_there_are_none(self):
        host = Host.start(self)
        self.assertFalse([each for each in host.ready["commands"] if each["name"].startswith("snakepit.")])
        self.assertEqual(host.error(host.begin("snakepit.test.echo"))["kind"], "unknown_command")

    def test_they_stand_beside_the_workers_own_also_by_hand(self):
        host = Host.start(self, arguments=["--conformance"])
        self.assertEqual(host.call("add", [1, 2]), 3)
        self.assertEqual(host.answer(host.begin("snakepit.test.echo")).kind, RESULT)
        self.assertEqual(host.answer(host.begin("snakepit.test.fail", ["x"])).kind, ERROR)
        self.assertIn("snakepit.test.count(n: int) -> Iterator[Dict[str, int]]   a stream", run("--conformance")[1])
        self.assertEqual(run("--conformance", "--call", "snakepit.test.sleep", "[1]")[:2], (0, "1\n"))


if __name__ == "__main__":
    unittest.main()
