"""The worker in Perl, written from the contract alone: held against it by a host that knows nothing else either."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest

import sdk_path
from fake_host import (
    CANCEL, CHUNK, CREDIT, DRAIN, END, END_SESSION, ERROR, EXECUTE, EXECUTE_STREAM, OPTIONAL, PING, PONG, RESULT, STARTED, Host, cut, frame, request_body,
)

WORKER = sdk_path.ROOT / "examples" / "workers" / "worker.pl"
VECTORS = json.loads(sdk_path.VECTORS.read_text(encoding="utf-8"))
PERL = shutil.which("perl")
CAN_RUN = PERL is not None and subprocess.run([PERL, "-MJSON::PP", "-MEncode", "-MTime::HiRes", "-e", "1"], stderr=subprocess.DEVNULL).returncode == 0
if not CAN_RUN:
    print("SKIPPED the worker in Perl: perl with its core modules is not installed", file=sys.stderr)


class PerlWorker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not CAN_RUN:
            raise unittest.SkipTest("perl with its core modules is not installed")

    def start(self, **options):
        host = Host.start(self, [PERL, str(WORKER)], **options)
        # It stands still in a write, as the contract allows.
        host.reads_while_it_sends = True
        return host

    def error_kind(self, host, number):
        return host.error(number)["kind"]


class Conversation(PerlWorker):
    def test_it_says_what_it_can(self):
        ready = self.start().ready
        self.assertEqual((ready["protocol"], ready["capacity"], ready["features"]), (1, 8, []))
        self.assertEqual([each["name"] for each in ready["commands"]], ["add", "count", "echo", "fail", "remember", "sleep"])
        self.assertEqual([each["name"] for each in ready["commands"] if each["stream"]], ["count"])

    def test_unknown_versions_features_and_keys_do_no_harm(self):
        host = self.start(hello={"protocol": [9, 1], "features": ["from-the-future", "started"], "unknown": [None]})
        self.assertEqual(host.ready["features"], ["started"])
        number = host.begin("add", [1, 2])
        self.assertEqual([host.next().kind for _ in range(2)], [STARTED, RESULT])
        self.assertEqual(host.count_of(RESULT, number), 0)

    def test_no_common_version_ends_it_for_good(self):
        host = self.start(greet=False)
        host.expected_exit = 78
        host.send(frame(0x01, 0, b'{"protocol":[2,3]}'))
        self.assertEqual(host.wait_for_exit(), 78)
        self.assertIn("2 3", host.stderr())

    def test_frames_may_come_byte_by_byte(self):
        host = self.start(greet=False)
        frames = frame(0x01, 0, b'{"protocol":[1]}') + frame(EXECUTE, 5, request_body("echo", ["größe"])) + frame(PING, 6)
        for byte in frames:
            host.send(bytes((byte,)))
        host.expect(0x41)
        self.assertEqual(host.result(5).value, "größe")
        host.expect(PONG, 6)

    def test_arguments_by_name_and_position(self):
        host = self.start()
        self.assertEqual([host.call("add", {"a": 1, "b": 2}), host.call("add", [1.5, 2]), host.call("echo", [{"a": [None, True]}])], [3, 3.5, {"a": [None, True]}])
        for arguments in ([1], {"a": 1}, {"a": 1, "b": "x"}, {"a": 1, "b": [2]}, None):
            self.assertEqual(self.error_kind(host, host.begin("add", arguments)), "invalid_argument")
        for data in (b"{", b"3", b'"x"'):
            self.assertEqual(self.error_kind(host, host.begin("add", data=data)), "invalid_argument")

    def test_what_goes_wrong_is_an_answer(self):
        host = self.start(hello={"payload_limit": 1000})
        self.assertEqual(host.error(host.begin("fail", ["größe"]))["message"], "größe")
        self.assertEqual(self.error_kind(host, host.begin("fall")), "unknown_command")
        self.assertEqual(self.error_kind(host, host.begin("count", [1])), "streaming_not_supported")
        self.assertEqual(self.error_kind(host, host.begin_stream("add", [1, 2])), "streaming_not_supported")
        self.assertEqual(self.error_kind(host, host.begin("add", [1, 2], time_left_ms=0)), "deadline_exceeded")
        self.assertEqual(self.error_kind(host, host.begin("echo", data=b"x" * 1001, content_type="text/plain")), "payload_too_large")
        self.assertEqual(self.error_kind(host, host.begin("echo", ["\u00e9" * 330 + "\u2028" * 200], time_left_ms=60_000)), "payload_too_large")
        self.assertEqual(host.call("add", [1, 2]), 3)

    def test_long_bodies_are_cut_both_ways(self):
        host = self.start(arguments=["--conformance"])
        data = bytes(range(256)) * 4000
        number = host.begin("snakepit.test.echo", data=data, content_type="application/octet-stream", attachments=[b"", b"x" * 300_000])
        answer = host.result(number)
        self.assertEqual((answer.payload, answer.frames), (("application/octet-stream", data, [b"", b"x" * 300_000]), 6))

    def test_a_session_is_kept_until_it_ends(self):
        host = self.start()
        self.assertEqual(host.call("remember", ["k", 1], session="größe"), {"k": 1})
        self.assertEqual(host.call("remember", ["l", 2], session="größe"), {"k": 1, "l": 2})
        host.send(frame(END_SESSION, 0, "größe".encode()), frame(END_SESSION, 0, b"unknown"))
        self.assertEqual(host.call("remember", ["m", 3], session="größe"), {"m": 3})
        self.assertEqual(self.error_kind(host, host.begin("remember", ["k", 1])), "invalid_argument")

    def test_several_run_at_once_and_the_rest_wait(self):
        host = self.start()
        slow = [host.begin("sleep", [1_000_000]) for _ in range(8)]
        waiting = host.begin("add", [1, 2])
        host.ping(1)
        self.assertEqual(host.count_of(RESULT, waiting), 0)
        host.send(frame(CANCEL, slow[3]))
        self.assertEqual(self.error_kind(host, slow[3]), "cancelled")
        self.assertEqual(host.result(waiting).value, 3)

    def test_the_commands_to_be_checked_by(self):
        host = self.start(arguments=["--conformance"])
        began = time.monotonic()
        self.assertEqual(host.call("snakepit.test.sleep", {"ms": 30}), 30)
        self.assertGreaterEqual(time.monotonic() - began, 0.03)
        values, last = host.chunks_until_end(host.begin_stream("snakepit.test.count", {"n": 2}))
        self.assertEqual((values, last.kind), ([{"i": 0}, {"i": 1}], END))
        self.assertEqual(host.error(host.begin("snakepit.test.fail", {"message": "m"})), {"kind": "error", "type": "Example", "message": "m"})

    def test_stdin_and_stdout_will_do_as_well(self):
        host = self.start(wire="stdio")
        self.assertEqual(host.call("add", [1, 2]), 3)
        host.hang_up()
        self.assertEqual(host.wait_for_exit(), 0)

    def test_by_hand_and_on_an_unknown_wire(self):
        environment = {name: value for name, value in os.environ.items() if name != "SNAKEPIT_WIRE"}
        ended = subprocess.run([PERL, str(WORKER)], env=environment, stdout=subprocess.PIPE, timeout=60)
        self.assertEqual((ended.returncode, b"add count echo" in ended.stdout), (0, True))
        host = self.start(greet=False, wire="grpc")
        host.expected_exit = 78
        self.assertEqual(host.wait_for_exit(), 78)


class StreamsAndCancels(PerlWorker):
    def test_no_chunk_without_credit(self):
        host = self.start()
        number = host.begin_stream("count", [5], chunks=2)
        self.assertEqual([host.expect(CHUNK, number).value["i"] for _ in range(2)], [0, 1])
        host.ping(1)
        self.assertEqual(host.count_of(CHUNK, number), 0)
        host.give_credit(number, 3)
        values, last = host.chunks_until_end(number)
        self.assertEqual(([value["i"] for value in values], last.kind), ([2, 3, 4], END))
        host.give_credit(number, 1)
        host.give_credit(999, 1)
        self.assertEqual(host.chunks_until_end(host.begin_stream("count", [0], chunks=0, size=0))[1].kind, END)

    def test_bytes_count_and_may_be_overdrawn_by_one_chunk(self):
        host = self.start()
        number = host.begin_stream("count", [3], chunks=9, size=1)
        host.expect(CHUNK, number)
        host.ping(1)
        self.assertEqual(host.count_of(CHUNK, number), 0)
        # The chunk took 8 + 7 bytes of 1: 14 only settle the debt.
        host.give_credit(number, 0, 14)
        host.ping(2)
        self.assertEqual(host.count_of(CHUNK, number), 0)
        host.give_credit(number, 0, 1000)
        self.assertEqual(host.chunks_until_end(number)[1].kind, END)

    def test_what_runs_without_end_hears_the_host(self):
        host = self.start()
        number = host.begin_stream("count", [10**9])
        host.expect(CHUNK, number)
        host.ping(1)
        self.assertEqual(host.call("add", [1, 2]), 3)
        host.send(frame(CANCEL, number))
        self.assertEqual(self.error_kind(host, number), "cancelled")

    def test_a_cancel_finds_what_runs_what_waits_what_comes_in_parts_and_nothing(self):
        host = self.start()
        running = [host.begin("sleep", [1_000_000]) for _ in range(8)]
        waiting = host.begin("sleep", [1_000_000])
        first, *rest = cut(EXECUTE, 50, request_body("echo", data=b'["' + b"x" * 1000 + b'"]'), piece=300)
        host.send(first, frame(CANCEL, 50), frame(CANCEL, 777))
        host.ping(1)
        self.assertEqual(host.count_of(ERROR, 50), 0)
        host.send(*rest, *(frame(CANCEL, number) for number in (waiting, *running)))
        for number in (50, waiting, *running):
            self.assertEqual(self.error_kind(host, number), "cancelled")
        self.assertEqual(host.messages, [])

    def test_every_request_of_a_random_mix_has_exactly_one_answer(self):
        host, chance, numbers = self.start(), random.Random(5), []
        for _ in range(300):
            kind = chance.randrange(6)
            if kind == 0:
                numbers.append(host.begin("sleep", [chance.choice((0, 1, 5))]))
            elif kind == 1:
                numbers.append(host.begin("fail", ["x"]))
            elif kind == 2:
                numbers.append(host.begin("echo", ["x" * chance.choice((1, 1, 1, 1, 1, 270_000))]))
            elif kind == 3:
                numbers.append(host.begin_stream("count", [chance.randrange(30)], chunks=100))
            elif kind == 4:
                numbers.append(host.begin("unknown"))
            elif numbers:
                host.send(frame(CANCEL, chance.choice(numbers)))
        for number in numbers:
            host.answer(number)
        host.ping(99)
        self.assertEqual([message for message in host.messages if message.kind != CHUNK], [])


class Leaving(PerlWorker):
    def gone(self, host):
        self.assertEqual(host.wait_for_exit(), 0)

    def test_the_end_of_the_host_is_its_end(self):
        host = self.start()
        host.hang_up()
        self.gone(host)
        host = self.start()
        host.begin("sleep", [1_000_000])
        host.begin_stream("count", [10], chunks=0)
        host.send(frame(EXECUTE, 70, request_body("add", [1, 2]))[:-1])
        host.hang_up()
        self.gone(host)

    def test_a_host_that_does_not_listen_is_gone(self):
        host = self.start()
        host.reads_while_it_sends = False
        os.close(host.read_fd)
        host.begin("add", [1, 2])
        self.gone(host)
        host.read_fd = os.open(os.devnull, os.O_RDONLY)

    def test_drain_finishes_what_came_before(self):
        host = self.start()
        host.send(frame(DRAIN))
        self.gone(host)
        host = self.start()
        running = host.begin("sleep", [1_000_000])
        stream = host.begin_stream("count", [3], chunks=1)
        host.send(frame(DRAIN))
        self.assertEqual(host.error(host.begin("add", [1, 2])), {"kind": "draining", "retryable": True})
        host.send(frame(CANCEL, running))
        host.error(running)
        host.give_credit(stream, 9)
        self.assertEqual(len(host.chunks_until_end(stream)[0]), 3)
        self.gone(host)

    def test_sigterm_finishes_what_runs_and_refuses_what_waits(self):
        host = self.start()
        host.signal()
        self.gone(host)
        host = self.start()
        running = [host.begin("sleep", [1_000_000]) for _ in range(8)]
        waiting = host.begin("add", [1, 2])
        host.ping(1)
        host.signal(signal.SIGINT)
        host.signal()
        self.assertEqual(self.error_kind(host, waiting), "draining")
        for number in running:
            host.send(frame(CANCEL, number))
            host.error(number)
        self.gone(host)


class Vectors(PerlWorker):
    def test_broken_input_is_refused_with_its_word(self):
        tried = 0
        for vector in VECTORS["bad"]:
            if vector["from"] not in ("host", "both"):
                continue
            with self.subTest(vector["name"]):
                is_hello = vector["error"] == "json"
                host = self.start(greet=not is_hello)
                # To a worker a torn frame is the end of its input.
                host.expected_exit = 0 if vector["error"] == "torn_frame" else 70
                host.send(bytes.fromhex(vector["bytes_hex"]))
                if vector["error"] == "torn_frame":
                    host.hang_up()
                self.assertEqual(host.wait_for_exit(), host.expected_exit)
                self.assertIn("" if vector["error"] == "torn_frame" else f"the host broke the contract: {vector['error']}:", host.stderr())
                tried += 1
        self.assertGreater(tried, 30)

    def test_what_is_out_of_order_is_refused(self):
        for word, frames in (
            ("out_of_order", frame(0x01, 0, b'{"protocol":[1]}')), ("duplicate_request", frame(EXECUTE, 1, request_body("sleep", [1_000_000])) * 2),
            ("too_many_requests", b"".join(frame(EXECUTE, number, request_body("sleep", [1_000_000])) for number in range(1, 4200))),
            ("body_too_long", b"".join(cut(EXECUTE, 1, bytes(1_100_000)))),
        ):
            with self.subTest(word):
                host = self.start(hello={"payload_limit": 1000})
                host.expected_exit = 70
                try:
                    host.send(frames)
                except BrokenPipeError:
                    pass  # It left before it had heard all of it.
                self.assertEqual(host.wait_for_exit(), 70)
                self.assertIn(f"the host broke the contract: {word}:", host.stderr())
        host = self.start(greet=False)
        host.expected_exit = 70
        host.send(frame(PING, 1))
        self.assertEqual(host.wait_for_exit(), 70)

    def test_good_sequences_are_understood_however_they_are_split(self):
        for sequence in VECTORS["sequences"]:
            if sequence["from"] != "host":
                continue
            for size in (1, 7, 1 << 20):
                with self.subTest(sequence["name"], size=size):
                    host, data = self.start(), bytes.fromhex("".join(sequence["frames_hex"]))
                    for start in range(0, len(data), size):
                        host.send(data[start:start + size])
                    for message in sequence["messages"]:
                        if message["kind"] == EXECUTE_STREAM:
                            host.give_credit(message["request_id"], 100)
                        if message["kind"] in (EXECUTE, EXECUTE_STREAM):
                            host.answer(message["request_id"])
                        elif message["kind"] == PING:
                            host.expect(PONG, message["request_id"])
                    host.ping(12345)
                    self.assertEqual([each for each in host.messages if each.kind != CHUNK], [])

    def test_every_frame_of_a_host_is_understood(self):
        host, answered = self.start(hello={"payload_limit": 1024}), 0
        for vector in VECTORS["frames"]:
            if vector["kind"] in (EXECUTE, EXECUTE_STREAM, CANCEL, CREDIT, END_SESSION, PING):
                host.send(bytes.fromhex(vector["frame_hex"]))
            if vector["kind"] in (EXECUTE, EXECUTE_STREAM):
                fields = vector["decoded"]
                # One without credit waits for some, and for its Cancel.
                if fields.get("credit", {}).get("chunks") == 0:
                    host.send(frame(CANCEL, vector["request_id"]))
                host.answer(vector["request_id"])
                answered += 1
        host.send(frame(0x7F, 3, b"anything", OPTIONAL))
        host.ping(12345)
        self.assertGreater(answered, 10)


if __name__ == "__main__":
    unittest.main()
