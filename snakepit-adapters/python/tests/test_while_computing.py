"""The host is answered while a command computes: Ping, Cancel, waiting requests, and the way back to quick reading."""

import os
import select
import tempfile
import unittest

from fake_host import CANCEL, ERROR, EXECUTE, PING, PONG, RESULT, Host, cut, frame, request_body


class WhileComputing(unittest.TestCase):
    def setUp(self):
        self.host = Host.start(self)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.release_path = os.path.join(self.folder.name, "release")

    def hold(self):
        """Keeps the worker busy until `release`."""
        number = self.host.begin("wait_for_file", [self.release_path])
        self.assertEqual(self.host.lines_of_stdout(1), ["holding"])
        return number

    def release(self):
        with open(self.release_path, "w"):
            pass

    def test_a_ping_is_answered_while_a_command_waits(self):
        busy = self.hold()
        for number in range(20):
            self.host.ping(number)
        self.assertEqual(self.host.count_of(RESULT, busy), 0)
        self.release()
        self.assertEqual(self.host.result(busy).value, "released")

    def test_a_ping_is_answered_while_a_command_computes(self):
        busy = self.host.begin("spin", [1.0])
        self.host.ping(1)
        self.assertEqual(self.host.count_of(RESULT, busy), 0, "the Pong must not have waited for the result")
        self.assertEqual(self.host.result(busy).value, "spun")

    def test_requests_that_wait_run_afterwards_in_order(self):
        busy = self.hold()
        numbers = [self.host.begin("add", [i, i]) for i in range(50)]
        self.host.ping(1)
        self.release()
        self.host.result(busy)
        self.assertEqual([self.host.result(number).value for number in numbers], [2 * i for i in range(50)])

    def test_a_waiting_request_is_cancelled_without_running(self):
        busy = self.hold()
        waiting = self.host.begin("say", [["ran"]])
        self.host.send(frame(CANCEL, waiting))
        self.assertEqual(self.host.error(waiting)["kind"], "cancelled")
        self.assertEqual(self.host.count_of(RESULT, busy), 0, "the answer must not wait for the busy command")
        self.release()
        self.host.result(busy)
        self.host.call("say", [["later"]])
        self.assertIn("later", self.host.lines_of_stdout(1))

    def test_a_running_function_sees_the_cancel_and_its_answer_is_sent(self):
        number = self.host.begin("wait_for_cancel")
        self.assertEqual(self.host.lines_of_stdout(1), ["waiting"])
        self.host.send(frame(CANCEL, number))
        self.assertEqual(self.host.result(number).value, "noticed")

    def test_a_cancel_for_what_is_unknown_or_answered_is_ignored(self):
        number = self.host.begin("add", [1, 2])
        self.host.result(number)
        self.host.send(frame(CANCEL, number), frame(CANCEL, 999))
        self.assertEqual(self.host.call("add", [1, 2]), 3)
        self.assertEqual(self.host.count_of(ERROR, number) + self.host.count_of(ERROR, 999), 0)

    def test_a_cancel_in_the_same_write_as_its_request_is_heard_first(self):
        self.host.send(frame(EXECUTE, 1, request_body("add", [1, 2])), frame(EXECUTE, 2, request_body("say", [["ran"]])), frame(CANCEL, 2))
        self.assertEqual(self.host.result(1).value, 3)
        self.assertEqual(self.host.error(2)["kind"], "cancelled")

    def test_a_cancel_between_the_parts_of_a_request_takes_effect_at_its_end(self):
        first, *rest = cut(EXECUTE, 9, request_body("give_text", data=b"x" * 1000), piece=300)
        self.host.send(first, frame(CANCEL, 9))
        self.host.ping(1)
        self.assertEqual(self.host.count_of(ERROR, 9), 0)
        self.host.send(*rest)
        self.assertEqual(self.host.error(9)["kind"], "cancelled")

    def test_an_answer_that_is_ready_does_not_wait_behind_a_long_command(self):
        self.host.send(frame(EXECUTE, 1, request_body("add", [1, 2])), frame(EXECUTE, 2, request_body("wait_for_file", [self.release_path])))
        self.assertEqual(self.host.result(1).value, 3)
        self.assertEqual(self.host.count_of(RESULT, 2), 0)
        self.release()
        self.host.result(2)

    def test_a_worker_that_cannot_write_reads_on(self):
        large = self.host.begin("give_text", [3_000_000])
        # Far more than a pipe holds, and nothing of the answer is read meanwhile.
        self.host.send(*(frame(PING, number) for number in range(8000)))
        self.host.send(frame(CANCEL, large))
        self.assertEqual(len(self.host.result(large).value), 3_000_000)
        for number in range(8000):
            self.host.expect(PONG, number)

    def test_a_host_that_asks_and_never_reads_is_not_listened_to_for_ever(self):
        self.host.begin("give_text", [3_000_000])
        pings = frame(PING, 1) * 4096
        sent = 0
        while select.select([], [self.host.write_fd], [], 2.0)[1]:
            sent += os.write(self.host.write_fd, pings[:select.PIPE_BUF])
            self.assertLess(sent, 100_000_000, "the worker would keep the answers until its memory ends")

    def test_the_reading_goes_back_and_forth_a_hundred_times(self):
        for turn in range(100):
            busy = self.host.begin("sleep", [0.012])
            self.host.ping(turn)
            quick = self.host.begin("add", [turn, 1])
            self.assertEqual(self.host.result(busy).value, "slept")
            self.assertEqual(self.host.result(quick).value, turn + 1)


if __name__ == "__main__":
    unittest.main()
