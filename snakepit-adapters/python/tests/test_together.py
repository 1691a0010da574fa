"""Several requests at once: on threads, and as tasks of one loop. The same tests for both."""

import os
import random
import unittest

from fake_host import CANCEL, CHUNK, DRAIN, END, ERROR, EXECUTE, LOG, RESULT, Host, cut, frame, program, request_body
from snakepit_worker import Worker
from test_broken_host import BrokenHost

THREADS = """
    import logging, sys, threading, time
    from snakepit_worker import Worker
    worker = Worker(threads=4)
    places = {}

    @worker.command
    def meet(place, number):
        '''Returns when so many are here at once.'''
        places.setdefault(place, threading.Barrier(number)).wait(30)
        return place

    @worker.command
    def until_cancelled(ctx):
        # In one piece: `print` writes the end of the line apart, and another thread may come between.
        sys.stdout.write("holding\\n")
        while not ctx.cancelled:
            time.sleep(0.001)
        return "noticed"

    @worker.command
    def count(n, name=""):
        for i in range(n):
            yield [name, i]

    @worker.command
    def log(text, ctx):
        logging.warning(text)
        time.sleep(0.01)
        logging.warning(text)
        return ctx.request_id

    @worker.command
    def fail(message):
        raise ValueError(message)

    @worker.command
    def large(size):
        return "x" * size

    @worker.command
    def sleep(seconds):
        time.sleep(seconds)
        return "slept"

    @worker.command
    def remember(key, value, ctx):
        ctx.session[key] = value
        return len(ctx.session)

    @worker.setup
    def begin():
        print("set up")

    @worker.teardown
    def finish():
        print("torn down")

    worker.run()
"""

TASKS = """
    import asyncio, logging
    from snakepit_worker import Worker
    worker = Worker(tasks=4)
    places = {}

    @worker.command
    async def meet(place, number):
        '''Returns when so many are here at once.'''
        here, all_here = places.setdefault(place, ([], asyncio.Event()))
        here.append(1)
        if len(here) == number:
            all_here.set()
        await asyncio.wait_for(all_here.wait(), 30)
        return place

    @worker.command
    async def until_cancelled():
        print("holding", flush=True)
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            return "noticed"

    @worker.command
    async def count(n, name=""):
        for i in range(n):
            yield [name, i]

    @worker.command
    async def log(text, ctx):
        logging.warning(text)
        await asyncio.sleep(0.01)
        logging.warning(text)
        return ctx.request_id

    @worker.command
    async def fail(message):
        raise ValueError(message)

    @worker.command
    def large(size):
        return "x" * size

    @worker.command
    async def sleep(seconds):
        await asyncio.sleep(seconds)
        return "slept"

    @worker.command
    async def remember(key, value, ctx):
        ctx.session[key] = value
        return len(ctx.session)

    @worker.setup
    async def begin():
        global loop
        loop = asyncio.get_running_loop()
        print("set up")

    @worker.teardown
    async def finish():
        assert asyncio.get_running_loop() is loop
        print("torn down")

    worker.run()
"""


class Together:
    source = ""

    def setUp(self):
        self.host = Host.start(self, program(self, self.source))
        self.assertEqual(self.host.lines_of_stdout(1), ["set up"])

    def hold(self, number):
        """Takes so many places."""
        held = [self.host.begin("until_cancelled") for _ in range(number)]
        self.assertEqual(self.host.lines_of_stdout(number), ["holding"] * number)
        return held

    def release(self, held):
        for number in held:
            self.host.send(frame(CANCEL, number))
            self.assertEqual(self.host.result(number).value, "noticed")

    def test_as_many_run_at_once_as_ready_says(self):
        self.assertEqual(self.host.ready["capacity"], 4)
        numbers = [self.host.begin("meet", ["here", 4]) for _ in range(4)]
        self.assertEqual([self.host.result(number).value for number in numbers], ["here"] * 4)

    def test_no_more_run_at_once_and_the_rest_wait_in_order(self):
        held = self.hold(4)
        waiting = [self.host.begin("sleep", [0]) for _ in range(3)]
        self.host.ping(1)
        self.assertEqual([self.host.count_of(RESULT, number) for number in waiting], [0, 0, 0])
        self.release(held[:1])
        self.assertEqual([self.host.result(number).value for number in waiting], ["slept"] * 3)
        self.release(held[1:])

    def test_a_quick_one_overtakes_a_slow_one(self):
        held = self.hold(1)
        self.assertEqual(self.host.call("sleep", [0]), "slept")
        self.release(held)

    def test_one_that_waits_is_cancelled_without_running(self):
        held = self.hold(4)
        waiting = self.host.begin("fail", ["ran"])
        self.host.send(frame(CANCEL, waiting))
        self.assertEqual(self.host.error(waiting)["kind"], "cancelled")
        self.release(held)

    def test_streams_run_side_by_side_each_on_its_own_credit(self):
        first = self.host.begin_stream("count", [3, "first"], chunks=0)
        second = self.host.begin_stream("count", [3, "second"], chunks=1)
        self.assertEqual(self.host.expect(CHUNK, second).value, ["second", 0])
        self.host.ping(1)
        self.assertEqual((self.host.count_of(CHUNK, first), self.host.count_of(CHUNK, second)), (0, 0))
        self.host.give_credit(first, 10)
        values, last = self.host.chunks_until_end(first)
        self.assertEqual((values, last.kind), ([["first", i] for i in range(3)], END))
        self.host.give_credit(second, 10)
        values, last = self.host.chunks_until_end(second)
        self.assertEqual((values, last.kind), ([["second", 1], ["second", 2]], END))

    def test_credit_before_a_waiting_stream_begins_is_kept(self):
        held = self.hold(4)
        stream = self.host.begin_stream("count", [3], chunks=0)
        self.host.give_credit(stream, 3)
        self.release(held)
        self.assertEqual(len(self.host.chunks_until_end(stream)[0]), 3)

    def test_streams_are_cancelled_with_and_without_credit(self):
        for chunks in (1, 1 << 30):
            number = self.host.begin_stream("count", [10**9], chunks=chunks)
            self.host.expect(CHUNK, number)
            self.host.send(frame(CANCEL, number))
            self.assertEqual(self.host.error(number)["kind"], "cancelled")

    def test_an_error_costs_nobody_else_anything(self):
        held = self.hold(2)
        error = self.host.error(self.host.begin("fail", ["no"]))
        self.assertEqual((error["type"], error["message"], error["traceback"].count("  File ")), ("ValueError", "no", 1))
        self.assertEqual(self.host.error(self.host.begin("fall", ["no"]))["kind"], "unknown_command")
        self.assertEqual(self.host.error(self.host.begin("sleep", {"second": 1}))["kind"], "invalid_argument")
        self.assertEqual(self.host.error(self.host.begin_stream("sleep", [0]))["kind"], "streaming_not_supported")
        self.release(held)

    def test_log_records_know_their_own_request(self):
        numbers = [self.host.begin("log", [f"text {i}"]) for i in range(4)]
        told = {self.host.result(number).value: number for number in numbers}
        self.assertEqual(told, {number: number for number in numbers})
        said = [self.host.expect(LOG) for _ in range(8)]
        self.assertEqual(
            sorted((each.request_id, each.json["message"]) for each in said),
            sorted((number, f"text {i}") for i, number in enumerate(numbers) for _ in range(2)),
        )

    def test_large_answers_of_several_pass_between_each_other(self):
        numbers = {self.host.begin("large", [size]): size for size in (900_000, 1_500_000, 10, 700_000)}
        for number, size in numbers.items():
            self.assertEqual(len(self.host.result(number).value), size)

    def test_requests_of_a_session_share_what_it_keeps(self):
        for i in range(5):
            self.assertEqual(self.host.call("remember", [f"k{i}", i], session="s"), i + 1)

    def test_a_number_may_be_used_again_once_it_is_answered(self):
        for _ in range(300):
            self.host.send(frame(EXECUTE, 7, request_body("sleep", [0])))
            self.assertEqual(self.host.result(7).value, "slept")

    def test_the_same_number_twice_is_a_breach(self):
        self.hold(1)
        BrokenHost.refused(self, "duplicate_request", frame(EXECUTE, 1, request_body("sleep", [0])), host=self.host)

    def test_drain_finishes_all_that_came_before_and_refuses_the_rest(self):
        held = self.hold(4)
        before = self.host.begin("sleep", [0])
        self.host.send(frame(DRAIN))
        after = self.host.begin("sleep", [0])
        self.assertEqual(self.host.error(after)["kind"], "draining")
        self.release(held)
        self.assertEqual(self.host.result(before).value, "slept")
        self.gone()

    def test_sigterm_finishes_what_runs_and_refuses_the_rest(self):
        held = self.hold(4)
        waiting = self.host.begin("sleep", [0])
        self.host.ping(1)
        self.host.signal()
        self.assertEqual(self.host.error(waiting)["kind"], "draining")
        self.assertEqual(self.host.error(self.host.begin("sleep", [0]))["kind"], "draining")
        self.release(held)
        self.gone()

    def test_sigterm_and_drain_end_an_idle_worker(self):
        self.host.call("sleep", [0])
        self.host.signal()
        self.gone()
        self.setUp()
        self.host.send(frame(DRAIN))
        self.gone()

    def test_drain_waits_for_the_parts_of_a_request_to_refuse_it(self):
        first, *rest = cut(EXECUTE, 50, request_body("large", data=b"x" * 1000), piece=400)
        self.host.send(first, frame(DRAIN))
        self.host.ping(1)
        self.host.send(*rest)
        self.assertEqual(self.host.error(50)["kind"], "draining")
        self.gone()

    def test_the_end_of_the_host_ends_the_worker_whatever_it_does(self):
        self.host.hang_up()
        self.assertEqual(self.host.wait_for_exit(), 0)
        self.setUp()
        self.hold(3)
        self.host.begin_stream("count", [5], chunks=0)
        self.host.begin("sleep", [1000])
        self.host.hang_up()
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_a_host_that_does_not_listen_any_more_is_gone(self):
        os.close(self.host.read_fd)
        self.host.begin("sleep", [0])
        self.assertEqual(self.host.wait_for_exit(), 0)
        self.host.read_fd = os.open(os.devnull, os.O_RDONLY)

    def test_every_request_of_a_random_mix_has_exactly_one_answer(self):
        chance = random.Random(11)
        expected = {}
        for _ in range(400):
            kind = chance.randrange(6)
            if kind == 0:
                expected[self.host.begin("sleep", [chance.choice((0, 0.001, 0.01))])] = (RESULT, ERROR)
            elif kind == 1:
                expected[self.host.begin("fail", ["x"])] = (ERROR,)
            elif kind == 2:
                expected[self.host.begin("large", [chance.choice((1, 300_000))])] = (RESULT, ERROR)
            elif kind == 3:
                expected[self.host.begin_stream("count", [chance.randrange(20)], chunks=100)] = (END, ERROR)
            elif kind == 4:
                expected[self.host.begin("unknown")] = (ERROR,)
            if expected and kind == 5:
                self.host.send(frame(CANCEL, chance.choice(list(expected))))
        for number, kinds in expected.items():
            self.assertIn(self.host.answer(number).kind, kinds)
        self.host.ping(99)
        self.assertEqual([message for message in self.host.messages if message.kind != CHUNK], [])

    def gone(self):
        self.assertEqual(self.host.wait_for_exit(), 0)
        self.assertEqual(self.host.process.stdout.read().splitlines()[-1:], [b"torn down"])


class OnThreads(Together, unittest.TestCase):
    source = THREADS

    def test_what_is_async_is_refused_at_once(self):
        worker = Worker(threads=2)
        with self.assertRaisesRegex(TypeError, "command 'later' is async.*2 threads"):
            @worker.command
            async def later():
                pass
        with self.assertRaisesRegex(TypeError, "a hook is async"):
            @worker.setup
            async def prepare():
                pass
        for options in ({"threads": 0}, {"tasks": 0}, {"threads": 2, "tasks": 2}):
            with self.assertRaises(ValueError):
                Worker(**options)


class AsTasks(Together, unittest.TestCase):
    source = TASKS


if __name__ == "__main__":
    unittest.main()
