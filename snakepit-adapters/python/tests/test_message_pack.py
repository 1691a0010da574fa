"""Arguments and answers in MessagePack: as in JSON, where `msgpack` is installed; where it is not, the caller is told."""

import datetime
import unittest

import sdk_path
from fake_host import CHUNK, END, Host, program
from snakepit_worker import message_pack

MSGPACK = "application/msgpack"
HAS_MSGPACK = sdk_path.has("msgpack", "MessagePack")

WORKER = """
    import datetime, sys
    {before}
    from snakepit_worker import Worker
    worker = Worker()

    @worker.command
    def add(a: int, b: int = 2) -> int:
        return a + b

    @worker.command
    def echo(value):
        return value

    @worker.command
    def since():
        return {{"when": datetime.date(2026, 1, 2), "raw": bytearray(b"\\xff")}}

    @worker.command
    def bare():
        return b"\\xff"

    @worker.command
    def strange():
        return object()

    @worker.command
    def count(n):
        for i in range(n):
            yield {{"i": i}}

    worker.run()
"""


def start(test, before=""):
    return Host.start(test, program(test, WORKER.format(before=before)))


@unittest.skipUnless(HAS_MSGPACK, "msgpack is not installed")
class Packed(unittest.TestCase):
    def setUp(self):
        import msgpack

        self.pack, self.unpack = msgpack.packb, msgpack.unpackb
        self.host = start(self)

    def answer(self, command, args):
        data = b"" if args is None else self.pack(args)
        content_type, data, attachments = self.host.result(self.host.begin(command, data=data, content_type=MSGPACK)).payload
        self.assertEqual(attachments, [])
        return content_type, data

    def call(self, command, args=None):
        content_type, data = self.answer(command, args)
        self.assertEqual(content_type, MSGPACK)
        return self.unpack(data)

    def refusal(self, command, data):
        return self.host.error(self.host.begin(command, data=data, content_type=MSGPACK))

    def test_arguments_come_by_name_and_by_position_and_the_answer_is_packed_too(self):
        self.assertEqual(self.call("add", {"a": 1, "b": 5}), 6)
        self.assertEqual(self.call("add", [4]), 6)
        self.assertEqual(self.call("echo", {"value": {"raw": b"\x00\xff", "text": "ä", "nothing": None}}), {"raw": b"\x00\xff", "text": "ä", "nothing": None})

    def test_values_without_a_word_of_their_own_have_the_form_that_they_have_in_json(self):
        self.assertEqual(self.call("since"), {"when": datetime.date(2026, 1, 2).isoformat(), "raw": b"\xff"})

    def test_bytes_travel_as_they_are(self):
        self.assertEqual(self.answer("bare", None), ("application/octet-stream", b"\xff"))

    def test_each_item_of_a_stream_is_packed(self):
        number = self.host.begin_stream("count", data=self.pack({"n": 3}), content_type=MSGPACK)
        chunks = [self.host.expect(CHUNK, number).payload for _ in range(3)]
        self.assertEqual([(content_type, self.unpack(data)) for content_type, data, _ in chunks], [(MSGPACK, {"i": i}) for i in range(3)])
        self.assertEqual(self.host.answer(number).kind, END)

    def test_what_does_not_fit_is_refused_before_the_command_runs(self):
        for data, words in (
            (b"\xc1", "not MessagePack"),
            (self.pack({"a": 1})[:-1], "not MessagePack"),
            (self.pack({"a": 1}) + b"\x01", "not MessagePack"),
            (b"\x91" * 100_000 + b"\x01", "not MessagePack"),
            (self.pack({b"a": 1}), "something other than text"),
            (self.pack("text"), "not a string"),
            (self.pack(b"raw"), "not bytes"),
            (self.pack({"a": "x"}), "'a'"),
        ):
            error = self.refusal("add", data)
            self.assertEqual(error["kind"], "invalid_argument", error)
            self.assertIn(words, error["message"])
        self.assertEqual(self.call("add", {"a": 1}), 3)

    def test_a_result_without_a_form_is_an_error_of_its_request(self):
        error = self.refusal("strange", b"")
        self.assertEqual((error["kind"], error["type"]), ("error", "UnserialisableResult"))

    def test_a_caller_who_writes_json_is_answered_in_json(self):
        self.assertEqual(self.host.call("add", {"a": 1}), 3)


@unittest.skipUnless(HAS_MSGPACK, "msgpack is not installed")
class Packers(unittest.TestCase):
    def test_a_value_that_packs_another_in_the_middle_comes_out_whole_and_so_does_the_other(self):
        import msgpack

        inner = []

        class Named:
            def __fspath__(self):
                inner.append(message_pack.dumps({"in": [1]}))
                return "named"

        for _ in range(2):
            packed = message_pack.dumps(["before", Named(), "behind"])
            self.assertEqual(msgpack.unpackb(packed), ["before", "named", "behind"])
            self.assertEqual(msgpack.unpackb(inner.pop()), {"in": [1]})

    def test_one_that_failed_or_has_grown_large_is_not_used_again(self):
        message_pack.dumps(1)
        packers = message_pack._Found.packers
        count = len(packers)
        with self.assertRaises(TypeError):
            message_pack.dumps([1, object()])
        self.assertEqual(len(packers), count - 1)
        self.assertEqual(message_pack.dumps([1]), b"\x91\x01")
        count = len(packers)
        message_pack.dumps(bytes(message_pack.LARGE))
        self.assertEqual(len(packers), count - 1)


class NotInstalled(unittest.TestCase):
    def test_a_worker_without_it_says_so(self):
        host = start(self, before="sys.modules['msgpack'] = None")
        error = host.error(host.begin("add", data=b"\x91\x01", content_type=MSGPACK))
        self.assertEqual(error["kind"], "invalid_argument")
        self.assertIn("install msgpack", error["message"])
        self.assertEqual(host.call("add", {"a": 1}), 3)


if __name__ == "__main__":
    unittest.main()
