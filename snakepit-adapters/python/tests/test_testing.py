"""The caller without a host: what it gives is what a host would, and what it raises as well."""

import asyncio
import unittest

import sdk_path  # noqa: F401
from snakepit_worker import CommandError, Payload, Worker
from snakepit_worker.testing import Caller, CommandFailed


def made_worker(**options):
    worker, said = Worker(**options), []
    worker.setup(lambda: said.append("set up"))
    worker.teardown(lambda: said.append("torn down"))

    @worker.command
    def add(a: int, b: int = 2):
        return a + b

    @worker.command
    def echo(value, ctx):
        return Payload(value, ctx.content_type, ctx.attachments) if isinstance(value, bytes) else value

    @worker.command
    def count(n):
        try:
            for i in range(n):
                yield (i, "x")
        finally:
            said.append("closed")

    @worker.command
    def about(ctx):
        ctx.progress(1, 2, "half")
        ctx.recycle("old")
        return [ctx.session_id, ctx.metadata, ctx.traceparent, ctx.cancelled, ctx.remaining() is None or 0 < ctx.remaining() <= 5]

    @worker.command
    def remember(key, value, ctx):
        ctx.session[key] = value
        return ctx.session

    @worker.command
    def fail(kind):
        if kind == "own":
            raise CommandError("none left", kind="out_of_stock", retryable=True, details={"left": 0})
        if kind == "value":
            raise ValueError("no")
        return object()

    return worker, said


class Calls(unittest.TestCase):
    def setUp(self):
        self.worker, self.said = made_worker()
        self.caller = Caller(self.worker)
        self.caller.open()
        self.addCleanup(self.caller.close)

    def failed(self, function):
        with self.assertRaises(CommandFailed) as caught:
            function()
        return caught.exception

    def test_arguments_go_by_name_or_by_position(self):
        self.assertEqual([self.caller.call("add", a=1), self.caller.call("add", 1, 5)], [3, 6])
        with self.assertRaisesRegex(TypeError, "not both"):
            self.caller.call("add", 1, b=2)

    def test_values_come_as_a_caller_gets_them(self):
        self.assertEqual(self.caller.call("echo", value=(1, {2})), [1, [2]])
        self.assertEqual(self.caller.call("echo", b"raw"), b"raw")
        sent = self.caller.given(attachments=[b"a"], content_type="image/x").call("echo", b"raw")
        self.assertEqual((sent.data, sent.content_type, sent.attachments), (b"raw", "image/x", (b"a",)))

    def test_a_stream_gives_item_by_item(self):
        items = self.caller.stream("count", n=10**9)
        self.assertEqual([next(items), next(items)], [[0, "x"], [1, "x"]])
        items.close()
        self.assertEqual(self.said, ["set up", "closed"])
        self.assertEqual(list(self.caller.stream("count", 0)), [])

    def test_what_is_given_is_sent_along(self):
        given = self.caller.given(session="s", metadata={"k": "v"}, traceparent="00", cancelled=True, timeout=5)
        self.assertEqual(given.call("about"), ["s", {"k": "v"}, "00", True, True])
        self.assertEqual(self.caller.call("about"), [None, {}, None, False, True])
        self.assertEqual(self.caller.progress, [{"done": 1, "total": 2, "message": "half"}] * 2)
        self.assertEqual(self.caller.recycle_reasons, ["old", "old"])

    def test_a_session_is_kept_until_it_ends(self):
        given = self.caller.given(session="s")
        given.call("remember", "a", 1)
        self.assertEqual(given.call("remember", "b", 2), {"a": 1, "b": 2})
        self.caller.end_session("s")
        self.assertEqual(given.call("remember", "c", 3), {"c": 3})
        self.assertEqual(self.failed(lambda: self.caller.call("remember", "d", 4)).kind, "invalid_argument")

    def test_failures_have_what_an_error_has(self):
        failed = self.failed(lambda: self.caller.call("fail", "own"))
        self.assertEqual((failed.kind, failed.retryable, failed.details, str(failed)), ("out_of_stock", True, {"left": 0}, "out_of_stock: none left"))
        failed = self.failed(lambda: self.caller.call("fail", "value"))
        self.assertEqual((failed.kind, failed.type, failed.message), ("error", "ValueError", "no"))
        self.assertIsInstance(failed.__cause__, ValueError)
        self.assertIn('raise ValueError("no")', failed.traceback)
        for function, kind, type_name in (
            (lambda: self.caller.call("fail", "unsendable"), "error", "UnserialisableResult"), (lambda: self.caller.call("fall"), "unknown_command", None),
            (lambda: self.caller.call("add", a="x"), "invalid_argument", "InvalidArgument"), (lambda: self.caller.call("count", 1), "streaming_not_supported", None),
            (lambda: list(self.caller.stream("add", 1)), "streaming_not_supported", None), (lambda: self.caller.given(timeout=0).call("add", 1), "deadline_exceeded", None),
            (lambda: list(self.caller.given(cancelled=True).stream("count", 3)), "cancelled", None),
        ):
            failed = self.failed(function)
            self.assertEqual((failed.kind, failed.type), (kind, type_name))
        self.assertEqual(self.failed(lambda: Caller(self.worker, payload_limit=3).call("echo", "xxx")).kind, "payload_too_large")


class Lives(unittest.TestCase):
    def test_a_with_statement_is_the_life_of_the_worker(self):
        worker, said = made_worker()
        with self.assertRaises(ZeroDivisionError), Caller(worker):
            self.assertEqual(said, ["set up"])
            1 / 0
        self.assertEqual(said, ["set up", "torn down"])

    def test_async_commands_and_hooks_run_on_one_loop(self):
        worker, loops = Worker(tasks=3), []

        @worker.setup
        async def begin():
            loops.append(asyncio.get_running_loop())
            asyncio.get_running_loop().create_task(asyncio.sleep(1000))

        @worker.teardown
        async def finish():
            loops.append(asyncio.get_running_loop())

        @worker.command
        async def add(a, b):
            await asyncio.sleep(0)
            loops.append(asyncio.get_running_loop())
            return a + b

        @worker.command
        async def count(n):
            try:
                for i in range(n):
                    await asyncio.sleep(0)
                    yield i
            finally:
                loops.append("closed")

        @worker.command
        async def fail():
            await asyncio.sleep(0)
            raise ValueError("on purpose")

        @worker.command
        def plain():
            return "plain"

        with Caller(worker) as caller:
            self.assertEqual([caller.call("add", 1, 2), caller.call("plain"), list(caller.stream("count", 3))], [3, "plain", [0, 1, 2]])
            with self.assertRaises(CommandFailed) as failed:
                caller.call("fail")
            self.assertEqual(failed.exception.traceback.count("  File "), 1, failed.exception.traceback)
            items = caller.stream("count", 10)
            next(items)
            items.close()
        self.assertEqual(loops, [loops[0], loops[0], "closed", "closed", loops[0]])
        self.assertTrue(loops[0].is_closed())


if __name__ == "__main__":
    unittest.main()
