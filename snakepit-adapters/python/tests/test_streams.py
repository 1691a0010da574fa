"""Streams over real pipes: order, credit, slow readers, errors, cancel."""

import os
import tempfile
import time
import unittest

from fake_host import CANCEL, CHUNK, END, ERROR, HANG, Host, frame


def waits_of(pid):
    """The function of the kernel that a process's main thread waits in."""
    with open(f"/proc/{pid}/wchan") as wchan:
        return wchan.read()


class Streams(unittest.TestCase):
    def setUp(self):
        self.host = Host.start(self)

    def test_items_come_in_order_and_then_the_end(self):
        values, last = self.host.chunks_until_end(self.host.begin_stream("count", {"n": 1000}))
        self.assertEqual(values, [{"i": i} for i in range(1000)])
        self.assertEqual(last.kind, END)

    def test_an_empty_stream_is_just_an_end(self):
        values, last = self.host.chunks_until_end(self.host.begin_stream("count", [0], chunks=0, size=0))
        self.assertEqual((values, last.kind), ([], END))

    def test_a_function_marked_as_a_stream_may_return_any_iterable(self):
        values, last = self.host.chunks_until_end(self.host.begin_stream("listed", [["a", "b"]]))
        self.assertEqual((values, last.kind), (["a", "b"], END))
        values, last = self.host.chunks_until_end(self.host.begin_stream("listed", [None]))
        self.assertEqual((values, last.json["type"]), ([], "TypeError"))

    def test_no_more_chunks_are_sent_than_there_is_credit_for(self):
        number = self.host.begin_stream("count", [10], chunks=3)
        for i in range(3):
            self.assertEqual(self.host.expect(CHUNK, number).value, {"i": i})
        self.host.ping(1)
        self.assertEqual(self.host.count_of(CHUNK, number), 0)
        self.host.give_credit(number, 2)
        for i in range(3, 5):
            self.assertEqual(self.host.expect(CHUNK, number).value, {"i": i})
        self.host.ping(2)
        self.assertEqual(self.host.count_of(CHUNK, number), 0)
        self.host.give_credit(number, 100)
        values, last = self.host.chunks_until_end(number)
        self.assertEqual(([value["i"] for value in values], last.kind), ([5, 6, 7, 8, 9], END))

    def test_the_end_needs_no_credit(self):
        values, last = self.host.chunks_until_end(self.host.begin_stream("count", [3], chunks=3))
        self.assertEqual((len(values), last.kind), (3, END))

    def test_bytes_are_counted_and_may_be_overdrawn_by_one_chunk(self):
        number = self.host.begin_stream("yield_sizes", [[1000, 1000, 10, 10]], chunks=100, size=1)
        self.assertEqual(len(self.host.expect(CHUNK, number).value), 1000)
        self.host.ping(1)
        self.assertEqual(self.host.count_of(CHUNK, number), 0)
        # The first took 1010 bytes of 1: 1009 only settle the debt, one more opens the way for the next.
        self.host.give_credit(number, 0, 1009)
        self.host.ping(2)
        self.assertEqual(self.host.count_of(CHUNK, number), 0)
        self.host.give_credit(number, 0, 1)
        self.assertEqual(len(self.host.expect(CHUNK, number).value), 1000)
        self.host.give_credit(number, 0, 1 << 20)
        values, last = self.host.chunks_until_end(number)
        self.assertEqual(([len(value) for value in values], last.kind), ([10, 10], END))

    def test_a_stream_without_credit_computes_one_item_ahead_and_no_more(self):
        number = self.host.begin_stream("count_with_clean_up", [10, os.devnull], chunks=1)
        self.host.expect(CHUNK, number)
        self.assertEqual(self.host.lines_of_stdout(2), ["made 0", "made 1"])
        self.host.ping(1)
        self.host.give_credit(number, 1)
        self.host.expect(CHUNK, number)
        self.assertEqual(self.host.lines_of_stdout(1), ["made 2"])
        self.host.send(frame(CANCEL, number))
        self.host.error(number)

    @unittest.skipUnless(os.access("/proc/self/wchan", os.R_OK), "there is no such file here")
    def test_a_stream_that_waits_for_credit_reads_nothing_before_there_is_something(self):
        # A read that waits takes what comes between a kill and its end, and a request that nobody began with counted as read.
        number = self.host.begin_stream("count", {"n": 3}, chunks=1)
        self.host.expect(CHUNK, number)
        deadline = time.monotonic() + HANG
        while not (waits_in := waits_of(self.host.process.pid)).startswith(("poll", "do_poll", "do_sys_poll")):
            if time.monotonic() > deadline:
                self.assertEqual(waits_in, "0", "it waits elsewhere")
                self.skipTest("the system does not say what a process waits in")
            time.sleep(0.01)

    def test_a_reader_that_does_not_read_stops_the_worker_and_nothing_is_lost(self):
        number = self.host.begin_stream("yield_sizes", [[100_000] * 50])
        # The pipe is full long before; the worker waits in its write until somebody reads.
        values, last = self.host.chunks_until_end(number)
        self.assertEqual(([len(value) for value in values], last.kind), ([100_000] * 50, END))

    def test_an_exception_after_some_items_ends_the_stream(self):
        values, last = self.host.chunks_until_end(self.host.begin_stream("fail_after", [2]))
        self.assertEqual((values, last.kind), ([0, 1], ERROR))
        self.assertEqual((last.json["type"], last.json["message"]), ("ValueError", "no more"))

    def test_an_unserialisable_item_ends_the_stream(self):
        values, last = self.host.chunks_until_end(self.host.begin_stream("yield_unserialisable"))
        self.assertEqual((values, last.json["type"]), ([1], "UnserialisableResult"))

    def test_a_large_item_is_cut_and_counts_as_one_chunk(self):
        number = self.host.begin_stream("yield_sizes", [[1_000_000, 5]], chunks=1)
        message = self.host.expect(CHUNK, number)
        self.assertEqual((len(message.value), message.frames), (1_000_000, 4))
        self.host.give_credit(number, 1)
        values, last = self.host.chunks_until_end(number)
        self.assertEqual((values, last.kind), (["x" * 5], END))

    def test_requests_that_come_during_a_stream_wait_for_its_end(self):
        stream = self.host.begin_stream("count", [3], chunks=1)
        waiting = self.host.begin("add", [1, 2])
        self.host.ping(1)
        self.host.give_credit(stream, 10)
        self.assertEqual(len(self.host.chunks_until_end(stream)[0]), 3)
        self.assertEqual(self.host.result(waiting).value, 3)

    def test_credit_for_a_stream_that_is_over_is_ignored(self):
        number = self.host.begin_stream("count", [1])
        self.host.chunks_until_end(number)
        self.host.give_credit(number, 5)
        self.host.give_credit(12345, 5)
        self.assertEqual(self.host.call("add", [1, 2]), 3)

    def test_credit_before_a_waiting_stream_begins_is_kept(self):
        busy = self.host.begin("sleep", [0.1])
        stream = self.host.begin_stream("count", [3], chunks=0)
        self.host.give_credit(stream, 3)
        self.assertEqual(self.host.result(busy).value, "slept")
        self.assertEqual(len(self.host.chunks_until_end(stream)[0]), 3)


class CancelledStreams(unittest.TestCase):
    def setUp(self):
        self.host = Host.start(self)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.mark = os.path.join(self.folder.name, "cleaned")

    def cancelled(self, number):
        error = self.host.error(number)
        self.assertEqual(error["kind"], "cancelled")
        self.assertEqual(self.host.call("add", [1, 2]), 3)
        for kind in (CHUNK, END, ERROR):
            self.assertEqual(self.host.count_of(kind, number), 0 if kind != CHUNK else self.host.count_of(CHUNK, number))

    def test_one_that_waits_for_credit_is_closed(self):
        number = self.host.begin_stream("count_with_clean_up", [10, self.mark], chunks=1)
        self.host.expect(CHUNK, number)
        self.host.send(frame(CANCEL, number))
        self.cancelled(number)
        with open(self.mark) as file:
            self.assertEqual(file.read(), "cleaned up")

    def test_one_that_runs_without_end_is_closed(self):
        number = self.host.begin_stream("count", [10**9])
        self.host.expect(CHUNK, number)
        self.host.send(frame(CANCEL, number))
        self.cancelled(number)

    def test_one_that_sleeps_between_items_is_closed(self):
        number = self.host.begin_stream("count", [10**9, 0.02])
        self.host.expect(CHUNK, number)
        self.host.send(frame(CANCEL, number))
        self.cancelled(number)

    def test_one_that_refuses_to_close_is_answered_all_the_same(self):
        number = self.host.begin_stream("stubborn", [10], chunks=1)
        self.host.expect(CHUNK, number)
        self.host.send(frame(CANCEL, number))
        self.cancelled(number)

    def test_one_that_has_not_begun_never_runs(self):
        busy = self.host.begin("sleep", [0.1])
        number = self.host.begin_stream("count_with_clean_up", [10, self.mark])
        self.host.send(frame(CANCEL, number))
        self.cancelled(number)
        self.assertEqual(self.host.result(busy).value, "slept")
        self.assertFalse(os.path.exists(self.mark))


if __name__ == "__main__":
    unittest.main()
