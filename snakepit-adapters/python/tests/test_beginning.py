"""Requests that a worker says in one breath that it begins with: which, how they are answered, and what is lost with them."""

import os
import tempfile
import textwrap
import unittest

import sdk_path  # noqa: F401
from fake_host import CANCEL, ERROR, EXECUTE, EXECUTE_STREAM, RESULT, STARTED, Host, frame, request_body
from snakepit_worker.invocation import Command
from snakepit_worker.request import Request
from snakepit_worker.beginning import MOMENT, MOST, UNKNOWN, begin_together, next_expectation

PATIENT = """
    import os, runpy
    from snakepit_worker import beginning
    beginning.MOMENT = 1e6  # Whatever is there begins together, so that no test depends on how quick the machine is.
    runpy.run_path(os.environ["SUBJECT"], run_name="__main__")
"""


def request(number, expected, *, is_stream=False):
    made = Request(number, is_stream, "command", b"")
    if expected is not None:
        made.command = Command("command", lambda: None)
        made.command.expected = expected
    return made


class Choice(unittest.TestCase):
    def chosen(self, *requests):
        first, *waiting = [one if isinstance(one, Request) else request(number, one) for number, one in enumerate(requests)]
        return [one.id for one in begin_together(first, waiting)]

    def test_what_is_expected_to_be_done_in_a_moment_begins_together(self):
        self.assertEqual(self.chosen(MOMENT / 4, MOMENT / 4, MOMENT / 4, MOMENT / 3, MOMENT / 100), [0, 1, 2])

    def test_a_command_that_has_not_run_begins_alone(self):
        self.assertEqual(Command("new", lambda: None).expected, UNKNOWN)
        self.assertEqual(self.chosen(UNKNOWN, 0.0), [0])
        self.assertEqual(self.chosen(0.0, UNKNOWN, 0.0), [0])

    def test_what_is_refused_takes_no_time(self):
        self.assertEqual(self.chosen(None, None, MOMENT / 2, None), [0, 1, 2, 3])

    def test_a_stream_begins_alone_and_nothing_overtakes_it(self):
        self.assertEqual(self.chosen(0.0, 0.0, request(2, 0.0, is_stream=True), 0.0), [0, 1])

    def test_what_a_command_takes_is_learned_and_a_pause_is_soon_forgotten(self):
        expected = UNKNOWN
        for _ in range(40):
            expected = next_expectation(expected, 1e-6)
        self.assertLess(MOST * expected, MOMENT)
        expected = next_expectation(expected, 10.0)
        self.assertLessEqual(expected, MOMENT, "one pause alone does not make a command long")
        self.assertGreater(2 * expected, MOMENT, "and yet it is not called short at once")
        for _ in range(40):
            expected = next_expectation(expected, 10.0)
        self.assertGreater(expected, MOMENT)


class OnTheWire(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.release_path = os.path.join(folder.name, "release")
        self.program = os.path.join(folder.name, "patient.py")
        with open(self.program, "w") as file:
            file.write(textwrap.dedent(PATIENT))

    def start(self):
        return Host.start(self, self.program, hello={"features": ["started"]}, environment={"SUBJECT": str(sdk_path.SUBJECT)})

    def order(self, host, count):
        return [(message.kind, message.request_id) for message in (host.next() for _ in range(count))]

    def hold(self, host, *behind):
        """A command that runs until `release`, and others that begin with it."""
        host.send(frame(EXECUTE, 1, request_body("wait_for_file", [self.release_path])), *behind)
        self.assertEqual(host.lines_of_stdout(1), ["holding"])
        self.assertEqual(self.order(host, 1 + len(behind)), [(STARTED, number + 1) for number in range(1 + len(behind))])

    def release(self):
        with open(self.release_path, "w"):
            pass

    def test_all_that_begin_together_are_said_before_the_first_runs_and_no_more_than_that(self):
        host = self.start()
        count = MOST + 4
        host.send(b"".join(frame(EXECUTE, number, request_body("add", [number, 1])) for number in range(1, count + 1)))
        first, second = range(1, MOST + 1), range(MOST + 1, count + 1)
        expected = [(kind, number) for group in (first, second) for kind in (STARTED, RESULT) for number in group]
        self.assertEqual(self.order(host, 2 * count), expected)

    def test_one_that_was_said_to_begin_and_has_not_is_cancelled_at_once(self):
        host = self.start()
        self.hold(host, frame(EXECUTE, 2, request_body("say", [["ran"]])), frame(EXECUTE, 3, request_body("add", [3, 4])))
        host.send(frame(CANCEL, 2))
        self.assertEqual(host.error(2)["kind"], "cancelled")
        host.ping(7)
        self.assertEqual(host.count_of(RESULT, 1), 0, "neither answer waited for the command that runs")
        self.release()
        self.assertEqual([host.result(number).value for number in (1, 3)], ["released", 7])
        host.call("say", [["later"]])
        self.assertEqual(host.lines_of_stdout(1), ["later"], "what was cancelled has not run")

    def test_one_that_was_said_to_begin_and_has_not_is_refused_by_a_worker_that_is_told_to_stop(self):
        host = self.start()
        self.hold(host, frame(EXECUTE, 2, request_body("add", [1, 2])))
        host.signal()
        self.release()
        self.assertEqual(host.result(1).value, "released")
        error = host.error(2)
        self.assertEqual((error["kind"], error["retryable"]), ("draining", True))
        self.assertEqual(host.wait_for_exit(), 0)

    def test_a_death_takes_along_what_was_said_to_begin_and_nothing_behind_it(self):
        host = self.start()
        host.expected_exit = 3
        host.send(
            frame(EXECUTE, 1, request_body("die", [3])), frame(EXECUTE, 2, request_body("add", [1, 2])),
            frame(EXECUTE_STREAM, 3, b"\0" * 8 + request_body("count", [1])), frame(EXECUTE, 4, request_body("add", [1, 2])),
        )
        self.assertEqual(self.order(host, 2), [(STARTED, 1), (STARTED, 2)])
        self.assertEqual(host.wait_for_exit(), 3)
        self.assertEqual([host.count_of(kind, number) for kind in (STARTED, RESULT, ERROR) for number in range(1, 5)], [0] * 12)

    def test_a_command_that_takes_long_begins_alone_each_time(self):
        host = Host.start(self, hello={"features": ["started"]})
        host.send(b"".join(frame(EXECUTE, number, request_body("sleep", [0.002])) for number in (1, 2, 3)))
        self.assertEqual(self.order(host, 6), [(kind, number) for number in (1, 2, 3) for kind in (STARTED, RESULT)])


if __name__ == "__main__":
    unittest.main()
