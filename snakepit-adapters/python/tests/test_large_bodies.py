"""Bodies over one frame, both ways, and the payload limit."""

import os
import unittest

from fake_host import EXECUTE, RESULT, Host, cut, frame, program, request_body

THREADS = """
    from snakepit_worker import Payload, Worker
    worker = Worker(threads=2)

    @worker.command
    def give_text(size: int) -> str:
        return "x" * size

    @worker.command
    def add(a: int, b: int) -> int:
        return a + b

    @worker.command
    def mirror(data: bytes, ctx) -> Payload:
        return Payload(data, attachments=ctx.attachments)

    worker.run()
"""


class LargeBodies(unittest.TestCase):
    def test_large_bytes_go_both_ways(self):
        host = Host.start(self)
        data = os.urandom(5_000_000)
        answer = host.result(host.begin("echo", data=data, content_type="application/octet-stream"))
        self.assertTrue(answer.payload[1] == data)
        self.assertGreaterEqual(answer.frames, 20)

    def test_sizes_around_the_cut_arrive_whole(self):
        host = Host.start(self)
        for size in (262_110, 262_134, 262_135, 262_136, 262_137, 262_144, 524_288, 524_290):
            answer = host.result(host.begin("give_text", [size]))
            self.assertEqual(len(answer.value), size)
            self.assertEqual(answer.frames, -(-(size + 2 + 8) // 262_144), size)

    def test_large_frames_that_are_not_cut_are_taken_too(self):
        host = Host.start(self)
        body = request_body("echo", data=b"y" * 1_000_000, content_type="application/octet-stream")
        host.send(frame(EXECUTE, 1, body))
        self.assertEqual(len(host.result(1).payload[1]), 1_000_000)

    def test_small_requests_pass_between_the_parts_of_a_large_one(self):
        host = Host.start(self)
        pieces = cut(EXECUTE, 100, request_body("echo", data=b"z" * 800_000, content_type="application/octet-stream"))
        self.assertEqual(len(pieces), 4)
        for number, piece in enumerate(pieces[:-1], start=1):
            host.send(piece, frame(EXECUTE, number, request_body("add", [number, 1])))
            self.assertEqual(host.result(number).value, number + 1)
        host.send(pieces[-1])
        self.assertEqual(len(host.result(100).payload[1]), 800_000)

    def test_a_pong_passes_between_the_parts_of_a_large_answer(self):
        host = Host.start(self)
        number = host.begin("give_text", [30_000_000])
        # Read a little, so that the worker is in the middle of its answer; the rest waits in its hands.
        host._read(30)
        host.ping(7)
        self.assertEqual(host.count_of(RESULT, number), 0, "the Pong must not have waited for the whole answer")
        self.assertEqual(len(host.result(number).value), 30_000_000)

    def test_a_small_answer_passes_between_the_parts_of_a_large_one(self):
        host = Host.start(self, program(self, THREADS))
        large = host.begin("give_text", [30_000_000])
        # Read a little, so that the worker is in the middle of its answer.
        host._read(30)
        self.assertEqual(host.call("add", [1, 2]), 3)
        self.assertEqual(host.count_of(RESULT, large), 0, "the small answer must not have waited for the whole large one")
        self.assertEqual(len(host.result(large).value), 30_000_000)

    def test_a_request_that_does_not_keep_to_what_it_said_ends_the_worker(self):
        host = Host.start(self)
        body = request_body("echo", data=b"z" * 800_000, content_type="application/octet-stream")
        host.expected_exit = 70
        host.send(*cut(EXECUTE, 1, body + b"more"))
        self.assertEqual(host.wait_for_exit(), 70)
        self.assertIn("body_lengths", host.stderr())

    def test_large_attachments_go_both_ways_whole(self):
        host = Host.start(self, program(self, THREADS))
        attachments = [os.urandom(size) for size in (300_000, 0, 1, 700_000)]
        answer = host.result(host.begin("mirror", data=b"d" * 100_000, content_type="application/octet-stream", attachments=attachments))
        self.assertTrue(answer.payload[1:] == (b"d" * 100_000, attachments))

    def test_an_answer_over_the_limit_is_an_error(self):
        host = Host.start(self, hello={"payload_limit": 1000})
        error = host.error(host.begin("give_text", [1000]))
        self.assertEqual(error["kind"], "payload_too_large")
        self.assertEqual(error["details"], {"size": 1002, "payload_limit": 1000})
        self.assertEqual(len(host.call("give_text", [998])), 998)

    def test_an_item_over_the_limit_ends_the_stream(self):
        host = Host.start(self, hello={"payload_limit": 1000})
        values, last = host.chunks_until_end(host.begin_stream("yield_sizes", [[10, 2000, 10]]))
        self.assertEqual((len(values), last.json["kind"]), (1, "payload_too_large"))

    def test_a_request_over_the_limit_is_an_error(self):
        host = Host.start(self, hello={"payload_limit": 1000})
        self.assertEqual(host.error(host.begin("echo", data=b"x" * 1001))["kind"], "payload_too_large")
        self.assertEqual(host.error(host.begin("add", [1], attachments=[b"x" * 999]))["kind"], "payload_too_large")
        self.assertEqual(host.call("add", [1, 2]), 3)


if __name__ == "__main__":
    unittest.main()
