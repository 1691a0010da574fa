"""Async commands: what only tasks of a loop can do."""

import unittest

from fake_host import CANCEL, CHUNK, END, EXECUTE, RESULT, Host, frame, program, request_body


class Tasks(unittest.TestCase):
    """One async command is enough for a loop; without `tasks` it runs one request at a time."""

    def setUp(self):
        self.host = Host.start(self, program(self, """
            import asyncio, contextlib
            from snakepit_worker import Worker, command, setup
            worker = Worker()

            @worker.service
            class Clock:
                @setup
                async def start(self):
                    self.ticks = 0
                    self.ticking = asyncio.get_running_loop().create_task(self.tick())

                async def tick(self):
                    while True:
                        await asyncio.sleep(0.001)
                        self.ticks += 1

                @command
                def ticks_so_far(self):
                    return self.ticks

            @worker.command
            async def sleep_through(seconds):
                try:
                    await asyncio.sleep(seconds)
                finally:
                    print("woken", flush=True)

            @worker.command
            async def told():
                print("telling", flush=True)
                await asyncio.Event().wait()

            @worker.command
            async def slow_stream():
                try:
                    yield 1
                    await asyncio.Event().wait()
                finally:
                    print("closed", flush=True)

            @worker.command(stream=True)
            async def listed(items):
                await asyncio.sleep(0)
                return items

            @worker.command
            async def fail_after(n):
                for i in range(n):
                    yield i
                raise ValueError("no more")

            @worker.command
            async def cancels_itself():
                raise asyncio.CancelledError()

            @worker.command
            async def leaves():
                raise SystemExit(3)

            @worker.command
            async def task_result():
                return object()

            @worker.command
            def plain(a):
                return a

            worker.run()
        """))

    def test_it_runs_one_at_a_time(self):
        self.assertEqual(self.host.ready["capacity"], 1)
        busy = self.host.begin("told")
        waiting = self.host.begin("plain", [1])
        self.assertEqual(self.host.lines_of_stdout(1), ["telling"])
        self.host.ping(1)
        self.assertEqual(self.host.count_of(RESULT, waiting), 0)
        self.host.send(frame(CANCEL, busy))
        self.assertEqual(self.host.error(busy)["kind"], "cancelled")
        self.assertEqual(self.host.result(waiting).value, 1)

    def test_a_cancel_reaches_the_await_and_its_clean_up(self):
        number = self.host.begin("sleep_through", [1000])
        self.host.ping(1)
        self.host.send(frame(CANCEL, number))
        self.assertEqual(self.host.error(number)["kind"], "cancelled")
        self.assertEqual(self.host.call("plain", ["on"]), "on")

    def test_a_cancel_right_behind_its_request_is_answered_too(self):
        for number in range(100, 400):
            self.host.send(frame(EXECUTE, number, request_body("sleep_through", [1000])), frame(CANCEL, number))
            self.assertEqual(self.host.error(number)["kind"], "cancelled")

    def test_a_stream_that_waits_is_closed(self):
        number = self.host.begin_stream("slow_stream")
        self.host.expect(CHUNK, number)
        self.host.send(frame(CANCEL, number))
        self.assertEqual(self.host.error(number)["kind"], "cancelled")
        self.assertEqual(self.host.lines_of_stdout(1), ["closed"])

    def test_a_stream_that_is_never_read_is_closed_as_well(self):
        number = self.host.begin_stream("slow_stream", chunks=0)
        self.host.ping(1)
        self.host.send(frame(CANCEL, number))
        self.assertEqual(self.host.error(number)["kind"], "cancelled")

    def test_an_async_function_may_return_what_is_iterated_over(self):
        values, last = self.host.chunks_until_end(self.host.begin_stream("listed", [[1, 2]]))
        self.assertEqual((values, last.kind), ([1, 2], END))
        values, last = self.host.chunks_until_end(self.host.begin_stream("listed", [None]))
        self.assertEqual((values, last.json["type"]), ([], "TypeError"))

    def test_failures_are_answers(self):
        values, last = self.host.chunks_until_end(self.host.begin_stream("fail_after", [2]))
        self.assertEqual((values, last.json["message"]), ([0, 1], "no more"))
        self.assertEqual(self.host.error(self.host.begin("cancels_itself"))["type"], "asyncio.exceptions.CancelledError")
        self.assertEqual(self.host.error(self.host.begin("leaves"))["type"], "SystemExit")
        self.assertEqual(self.host.error(self.host.begin("task_result"))["type"], "UnserialisableResult")
        self.assertEqual(self.host.call("plain", [3]), 3)

    def test_what_set_up_started_goes_on_between_requests(self):
        before = self.host.call("ticks_so_far")
        for _ in range(10_000):
            if self.host.call("ticks_so_far") > before + 2:
                break
        else:
            self.fail("the clock stands still")


if __name__ == "__main__":
    unittest.main()
