"""The gRPC wire: its messages by hand, what a worker says without grpcio, and, where grpcio is there, who is served."""

import base64
import importlib.util
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

import sdk_path
from fake_host import HANG, HELLO, READY, frame, program, request_body, EXECUTE, RESULT

from snakepit_worker.call_message import PAYLOAD_HEAD, TRAILERS_LIMIT, payload_message, request_body as body_of, status_of, trailers_limit
from snakepit_worker.failure import error_body
from snakepit_worker.grpc_message import Malformed, bytes_field, fields, frames_message, frames_of, varint
from snakepit_worker.payload import payload_of
from snakepit_worker.request import parse_execute

WORKER = """
    import logging, os
    from snakepit_worker import Worker
    worker = Worker()

    @worker.command
    def lose_stderr():
        os.close(2)
        logging.warning("heard by nobody")

    @worker.command
    def add(a, b):
        return a + b

    @worker.command
    def fail(length):
        raise ValueError("ü" * length)

    worker.run()
"""

HAS_GRPC = importlib.util.find_spec("grpc") is not None


class Messages(unittest.TestCase):
    def test_frames_come_back_as_they_went(self):
        for size in (0, 1, 127, 128, 16_383, 16_384, 600_000):
            frames = os.urandom(size)
            self.assertEqual(frames_of(frames_message(frames)), frames)

    def test_they_are_what_others_make_of_them(self):
        self.assertEqual(frames_message(b"abc"), b"\x0a\x03abc")
        self.assertEqual(frames_message(bytes(300))[:3], b"\x0a\xac\x02")

    def test_fields_that_are_not_known_are_passed_over(self):
        unknown = b"\x10\x96\x01" + b"\x1d\x00\x00\x00\x00" + b"\x21" + bytes(8) + b"\x2a\x01x"
        self.assertEqual(frames_of(unknown + frames_message(b"abc")), b"abc")
        self.assertEqual([number for number, _ in fields(unknown)], [2, 3, 4, 5])

    def test_the_largest_number_has_its_end(self):
        self.assertEqual(list(fields(b"\x08" + varint(2**64 - 1))), [(1, 2**64 - 1)])

    def test_rubbish_is_refused_or_read_and_nothing_else(self):
        chance = random.Random(1)
        refused = 0
        for _ in range(20_000):
            try:
                frames_of(chance.randbytes(chance.randrange(0, 20)))
            except Malformed:
                refused += 1
        self.assertGreater(refused, 1000)


def message(*pairs):
    return b"".join(bytes_field(number, value) for number, value in pairs)


class CallMessages(unittest.TestCase):
    def test_a_call_asks_what_a_frame_asks(self):
        payload = message((1, b"x/y"), (2, b"data"), (3, b"one"), (3, b""))
        pairs = [message((1, b"k"), (2, b"v")), message((1, b"k"), (2, b"")), b""]
        asked = b"\x08\x07" + message((2, b"add"), (3, b"s"), (4, payload), *((5, pair) for pair in pairs))
        number, body = body_of(asked, "trace", 1500)
        request = parse_execute(9, body, 100.0)
        self.assertEqual((number, request.name, request.session_id, request.content_type), (7, "add", "s", "x/y"))
        self.assertEqual((request.data, request.attachments, request.traceparent), (b"data", (b"one", b""), "trace"))
        self.assertEqual((request.metadata_pairs, request.deadline), ([("k", "v"), ("k", ""), ("", "")], 101.5))

    def test_an_answer_says_what_its_frame_says(self):
        body = b"".join(payload_of({"a": 1}).pieces())
        self.assertEqual(payload_message(body), message((1, message((2, b'{"a":1}')))))
        rich = PAYLOAD_HEAD.pack(3, 2, 4) + struct.pack(">II", 3, 0) + b"x/y" + b"data" + b"one"
        self.assertEqual(payload_message(rich), message((1, message((1, b"x/y"), (2, b"data"), (3, b"one"), (3, b"")))))

    def test_a_status_has_the_code_of_its_kind_and_the_error_beside(self):
        table = {"invalid_argument": 3, "unknown_command": 12, "cancelled": 1, "payload_too_large": 11, "of_its_own": 2}
        for kind, expected in table.items():
            code, text, details = status_of(error_body(kind, "why", details={"n": 1}))
            self.assertEqual((code, text), (expected, "why"))
            detail = dict(fields(dict(fields(details))[3]))
            error = dict(fields(detail[2]))
            self.assertEqual((error[1], error[3], json.loads(error[6])), (kind.encode(), b"why", {"n": 1}))
        self.assertEqual(status_of(error_body("error", "why", retryable=True))[0], 14)

    def said(self, body, limit=TRAILERS_LIMIT):
        """What a status tells, its chain of causes as a list of fields, and its size as a client counts it."""
        code, text, details = status_of(body, limit)
        encoded = "".join(letter if " " <= letter <= "~" and letter != "%" else "%00" * len(letter.encode()) for letter in text)
        headers = {"grpc-status": str(code), "grpc-message": encoded, "grpc-status-details-bin": base64.b64encode(details).decode()}
        chain = [dict(fields(dict(fields(dict(fields(details))[3]))[2]))]
        while 7 in chain[-1]:
            chain.append(dict(fields(chain[-1][7])))
        return text, chain, sum(len(name) + len(value) + 32 for name, value in headers.items())

    def test_a_status_is_whole_or_says_what_is_left_out(self):
        for length in (0, 100, 1_000, 3_000, 8_000):
            for letter in ("a", " ", "ü", "\U0001f40d", "\n"):
                message = letter * (length // len(letter.encode()))
                text, chain, size = self.said(error_body("error", message))
                self.assertLessEqual(size, TRAILERS_LIMIT - 512)
                self.assertEqual(chain[0].get(3, b"").decode(), text)
                self.assertEqual(text == message, length <= 1_000, (length, letter))
                self.assertTrue(text == message or " bytes left out .." in text, text)
        traceback = json.dumps({"kind": "error", "message": "short", "traceback": "line\n" * 20_000}).encode()
        text, chain, size = self.said(traceback)
        self.assertEqual(text, "short")
        self.assertTrue((TRAILERS_LIMIT - 512) * 0.9 < size <= TRAILERS_LIMIT - 512, size)
        self.assertTrue(chain[0][4].startswith(b"line\n") and chain[0][4].endswith(b"line\n"), chain)

    def test_a_chain_of_causes_is_cut_at_its_end_and_details_are_left_out_whole(self):
        for count in (1, 2, 9, 33, 34, 60):
            error = None
            for _ in range(count):
                error = {"kind": "error", "message": "ü" * 5_000, "details": {"rows": [1] * 20_000}, "cause": error}
            _, chain, size = self.said(json.dumps(error).encode())
            self.assertLessEqual(size, TRAILERS_LIMIT - 512)
            self.assertIn(b"left out", chain[0][6])
            last = chain[-1][3].decode()
            left_out = int(last[1:].split()[0]) if last.endswith("more left out)") else 0
            kept = len(chain) - (left_out > 0)
            self.assertEqual(kept + left_out, count)
            self.assertGreaterEqual(kept, min(count, 3))

    def test_who_says_that_it_takes_more_is_told_more(self):
        for said, expected in (("16777216", 16 << 20), ("99999999999", 16 << 20), ("20000", 20_000), ("1", 8_192), (None, 8_192),
                               ("", 8_192), ("-5", 8_192), ("much", 8_192), (b"\xff", 8_192)):
            self.assertEqual(trailers_limit(said), expected)
        message = "x" * 100_000
        self.assertEqual(self.said(json.dumps({"message": message}).encode(), 16 << 20)[0], message)

    def test_what_a_frame_cannot_say_is_refused(self):
        for asked in (message((2, b"x" * 70_000)), message((2, b"\xff")), message((3, b"\xff")), b"\x10\x01",
                      message((5, message((1, b"\xff")))), message((4, message((1, b"\xff"))))):
            with self.assertRaises(Malformed):
                body_of(asked, "", 0)

    def test_random_bytes_are_a_request_or_malformed_and_never_a_breach(self):
        chance = random.Random(2)
        whole = b"\x08\x07" + message((2, b"add"), (3, b"s"), (4, message((2, b"data"), (3, b"x"))), (5, message((1, b"k"))))
        understood = 0
        for _ in range(20_000):
            torn = bytearray(whole)
            for _ in range(chance.randrange(1, 4)):
                torn[chance.randrange(len(torn))] = chance.randrange(256)
            try:
                body = body_of(bytes(torn[:chance.randrange(len(torn) + 1)]), "", 0)[1]
            except Malformed:
                continue
            parse_execute(1, body, 0.0)
            understood += 1
        self.assertGreater(understood, 1000)


class Passing(unittest.TestCase):
    def test_what_finds_no_room_is_given_back_and_passed_on_in_order(self):
        from snakepit_worker.grpc_server import HostStream

        stream = HostStream()
        pieces = [bytes((number,)) * 200_000 for number in range(8)]

        def receive():
            # As the server does: the next message is received when the rest of the last one has been passed on.
            for piece in pieces:
                yield stream.receive(frames_message(piece))

        reader = threading.Thread(target=stream.bring, args=(receive(),))
        reader.start()
        heard = b""
        while chunk := os.read(stream.read_fd, 65_536):
            heard += chunk
        reader.join(HANG)
        self.assertEqual(heard, b"".join(pieces))


class WithoutGrpcio(unittest.TestCase):
    def test_a_worker_says_what_to_install_and_leaves_for_good(self):
        code = "import sys; sys.modules['grpc'] = None; import runpy; runpy.run_path(sys.argv[1])"
        ended = subprocess.run(
            [sys.executable, "-c", code, program(self, WORKER)], env={**os.environ, "SNAKEPIT_WIRE": "grpc", "PYTHONPATH": str(sdk_path.SDK)},
            stderr=subprocess.PIPE, timeout=HANG,
        )
        self.assertEqual(ended.returncode, 78)
        self.assertIn(b"pip install 'snakepit-worker[grpc]'", ended.stderr)


@unittest.skipUnless(HAS_GRPC, "grpcio is not installed")
class Served(unittest.TestCase):
    TOKEN = "0123456789abcdef"

    def start(self):
        import grpc

        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        address = f"unix:{folder.name}/s"
        variables = {"SNAKEPIT_WIRE": "grpc", "SNAKEPIT_GRPC_ADDRESS": address, "SNAKEPIT_GRPC_TOKEN": self.TOKEN}
        process = subprocess.Popen([sys.executable, program(self, WORKER)], env={**os.environ, "PYTHONPATH": str(sdk_path.SDK), **variables})
        self.addCleanup(process.wait, HANG)
        self.addCleanup(process.kill)
        channel = grpc.insecure_channel(address)
        self.addCleanup(channel.close)
        grpc.channel_ready_future(channel).result(HANG)
        return process, channel

    def metadata(self, token=TOKEN):
        return (("authorization", f"Bearer {token}"),)

    def test_only_calls_with_the_token_are_served(self):
        import grpc

        _, channel = self.start()
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        for metadata in ((), self.metadata(""), self.metadata("0" * 16)):
            with self.assertRaises(grpc.RpcError) as refused:
                check(b"", metadata=metadata, timeout=HANG)
            self.assertEqual(refused.exception.code(), grpc.StatusCode.UNAUTHENTICATED)
        self.assertEqual(check(b"", metadata=self.metadata(), timeout=HANG), b"\x08\x01")

    def test_the_stream_carries_frames_and_its_end_is_the_host_s(self):
        process, channel = self.start()
        connect = channel.stream_stream("/snakepit.worker.v1.Worker/Connect", request_serializer=frames_message, response_deserializer=frames_of)

        def say():
            yield frame(HELLO, 0, b'{"protocol": [1]}')[:7]
            yield frame(HELLO, 0, b'{"protocol": [1]}')[7:] + frame(EXECUTE, 5, request_body("add", [1, 2]))
            answered.wait()

        answered = threading.Event()
        heard = b""
        for frames in connect(say(), metadata=self.metadata(), timeout=HANG):
            heard += frames
            if b"\x43\x00\x00\x00" in heard:
                answered.set()
        self.assertEqual(heard[4], READY)
        self.assertTrue(heard.endswith(frame(RESULT, 5, bytes(7) + b"\x013")))
        self.assertEqual(process.wait(HANG), 0)

    def test_a_worker_without_a_stderr_goes_on_answering(self):
        """The thread that hears the answers of calls was lost with a line of the log, and every caller waited for ever."""
        _, channel = self.start()
        execute = channel.unary_unary("/snakepit.worker.v1.Worker/Execute")
        for command, arguments, answer in (("lose_stderr", b"[]", b"null"), ("add", b"[1, 2]", b"3")):
            asked = message((2, command.encode()), (4, message((2, arguments))))
            told = execute(asked, metadata=self.metadata(), timeout=HANG)
            self.assertEqual(told, message((1, message((2, answer)))))

    def test_any_client_hears_of_an_error_with_much_to_say(self):
        import grpc

        _, channel = self.start()
        execute = channel.unary_unary("/snakepit.worker.v1.Worker/Execute")
        for length in (10, 3_000, 100_000):
            asked = message((2, b"fail"), (4, message((2, b"[%d]" % length))))
            with self.assertRaises(grpc.RpcError) as failed:
                execute(asked, metadata=self.metadata(), timeout=HANG)
            self.assertEqual(failed.exception.code(), grpc.StatusCode.UNKNOWN, failed.exception)
            self.assertTrue(failed.exception.details().startswith("ü" * 10))
            self.assertIn("grpc-status-details-bin", dict(failed.exception.trailing_metadata()))


if __name__ == "__main__":
    unittest.main()
