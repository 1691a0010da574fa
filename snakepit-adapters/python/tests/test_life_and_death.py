"""How a worker leaves: asked, told, without a host, broken off, and what it must not leave behind."""

import os
import select
import signal
import tempfile
import time
import unittest

from fake_host import CHUNK, DRAIN, END, EXECUTE, HANG, PING, RESULT, Host, cut, frame, program, request_body


class Leaving(unittest.TestCase):
    def setUp(self):
        self.host = Host.start(self)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.release_path = os.path.join(self.folder.name, "release")

    def hold(self):
        number = self.host.begin("wait_for_file", [self.release_path])
        self.assertEqual(self.host.lines_of_stdout(1), ["holding"])
        return number

    def release(self):
        with open(self.release_path, "w"):
            pass

    def test_the_end_of_the_input_ends_an_idle_worker(self):
        self.host.hang_up()
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_the_end_of_the_input_ends_a_worker_that_waits_in_a_command(self):
        self.hold()
        self.host.hang_up()
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_the_end_of_the_input_ends_a_worker_that_computes(self):
        number = self.host.begin("spin", [1000])
        self.host.ping(1)
        self.host.hang_up()
        self.assertEqual(self.host.wait_for_exit(), 0)
        self.assertEqual(self.host.count_of(RESULT, number), 0)

    def test_the_end_of_the_input_inside_a_frame_is_an_end_like_any_other(self):
        self.host.send(frame(EXECUTE, 1, request_body("add", [1, 2]))[:-3])
        self.host.hang_up()
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_the_end_of_the_input_ends_a_stream_that_waits_for_credit(self):
        self.host.begin_stream("count", [10], chunks=0)
        self.host.ping(1)
        self.host.hang_up()
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_a_running_command_sees_that_the_host_is_gone(self):
        self.host.begin("wait_for_cancel")
        self.assertEqual(self.host.lines_of_stdout(1), ["waiting"])
        self.host.hang_up()
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_the_end_of_the_input_ends_a_worker_whose_output_nobody_reads(self):
        # The read end stays open, as where another process has inherited it: no broken pipe tells of the host's death.
        for _ in range(3):
            self.host.begin("give_text", [3_000_000])
        self.host.hang_up()
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_the_end_of_the_input_ends_a_worker_that_is_full_of_answers(self):
        self.host.begin("give_text", [3_000_000])
        pings = frame(PING, 1) * 256
        while select.select([], [self.host.write_fd], [], 2.0)[1]:
            os.write(self.host.write_fd, pings)
        self.host.hang_up()
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_a_host_that_does_not_listen_any_more_is_gone(self):
        os.close(self.host.read_fd)
        self.host.begin("add", [1, 2])
        self.assertEqual(self.host.wait_for_exit(), 0)
        self.host.read_fd = os.open(os.devnull, os.O_RDONLY)

    def test_sigterm_ends_an_idle_worker(self):
        self.host.call("add", [1, 2])
        self.host.signal()
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_sigterm_lets_the_running_command_finish(self):
        number = self.hold()
        self.host.signal()
        self.host.ping(1)
        self.release()
        self.assertEqual(self.host.result(number).value, "released")
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_sigterm_refuses_what_has_not_begun(self):
        number = self.hold()
        waiting = self.host.begin("say", [["ran"]])
        self.host.ping(1)
        self.host.signal()
        self.release()
        self.assertEqual(self.host.result(number).value, "released")
        error = self.host.error(waiting)
        self.assertEqual((error["kind"], error["retryable"]), ("draining", True))
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_sigterm_lets_a_stream_end(self):
        number = self.host.begin_stream("count", [3], chunks=1)
        self.host.expect(CHUNK, number)
        self.host.signal()
        self.host.give_credit(number, 5)
        self.assertEqual(len(self.host.chunks_until_end(number)[0]), 2)
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_a_second_sigterm_changes_nothing(self):
        number = self.hold()
        self.host.signal()
        self.host.signal()
        self.host.ping(1)
        self.release()
        self.assertEqual(self.host.result(number).value, "released")
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_drain_ends_an_idle_worker(self):
        self.host.send(frame(DRAIN))
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_drain_finishes_what_came_before_and_refuses_what_comes_after(self):
        number = self.hold()
        before = self.host.begin("add", [1, 2])
        self.host.send(frame(DRAIN))
        after = self.host.begin("add", [3, 4])
        error = self.host.error(after)
        self.assertEqual((error["kind"], error["retryable"]), ("draining", True))
        self.release()
        self.assertEqual(self.host.result(number).value, "released")
        self.assertEqual(self.host.result(before).value, 3)
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_drain_loses_nothing_that_came_just_before_it(self):
        for turn in range(20):
            host = Host.start(self)
            busy = host.begin("sleep", [0.01 + turn / 10_000])
            self.assertEqual(host.result(busy).value, "slept")
            host.send(frame(EXECUTE, 100, request_body("add", [turn, 1])) + frame(DRAIN))
            self.assertEqual(host.result(100).value, turn + 1)
            self.assertEqual(host.wait_for_exit(), 0)

    def test_signals_of_the_program_disturb_nothing(self):
        self.assertGreaterEqual(self.host.call("storm_of_alarms", [20, HANG / 2]), 20)
        self.host.ping(1)
        busy = self.host.begin("sleep", [0.02])
        self.host.ping(2)
        self.assertEqual(self.host.result(busy).value, "slept")

    def test_drain_waits_for_the_parts_of_a_request_to_refuse_it(self):
        first, *rest = cut(EXECUTE, 50, request_body("echo", data=b"x" * 1000), piece=400)
        self.host.send(first, frame(DRAIN))
        self.host.ping(1)
        self.host.send(*rest)
        self.assertEqual(self.host.error(50)["kind"], "draining")
        self.assertEqual(self.host.wait_for_exit(), 0)

    def test_sigint_is_ignored(self):
        number = self.hold()
        self.host.signal(signal.SIGINT)
        self.host.ping(1)
        self.release()
        self.assertEqual(self.host.result(number).value, "released")
        self.host.signal(signal.SIGINT)
        self.assertEqual(self.host.call("add", [1, 2]), 3)

    def test_a_command_that_ends_the_process_ends_it(self):
        self.host.expected_exit = 3
        self.host.begin("die", [3])
        self.assertEqual(self.host.wait_for_exit(), 3)

    def test_sigterm_on_an_idle_worker_again_and_again(self):
        for _ in range(10):
            host = Host.start(self)
            host.signal()
            self.assertEqual(host.wait_for_exit(), 0)


class Keeping(unittest.TestCase):
    """The pipes are the worker's alone."""

    def setUp(self):
        self.host = Host.start(self)

    def pipes(self):
        return {os.readlink(f"/proc/self/fd/{fd}") for fd in (self.host.read_fd, self.host.write_fd)}

    def test_a_program_that_a_command_starts_has_neither_pipes_nor_wire(self):
        fds, environment = self.host.call("fds_of_a_program")
        self.assertIn("1", fds)
        self.assertEqual(self.pipes() & set(fds.values()), set())
        self.assertNotIn("SNAKEPIT_WIRE", environment)

    def test_the_small_numbers_are_free_for_the_program(self):
        fds, pipes = self.host.call("open_fds"), self.pipes()
        self.assertEqual({int(fd) >= 64 for fd, target in fds.items() if target in pipes}, {True})

    def test_a_forked_child_ends_as_any_process_would(self):
        self.assertEqual(self.host.call("fork_and_wait"), 5)
        self.assertEqual(self.host.call("fork_and_wait", [int(signal.SIGTERM)]), -signal.SIGTERM)
        self.assertEqual(self.host.call("add", [1, 2]), 3)

    def test_a_forked_child_does_not_hide_the_death_of_the_worker(self):
        child = self.host.call("leave_a_child_behind")
        try:
            self.host.expected_exit = None
            self.host.process.kill()
            self.host.process.wait(HANG)
            until = time.monotonic() + HANG
            while not self.host.ended:
                self.assertLess(time.monotonic(), until, "the child holds the pipe open")
                self.host._read(0.1)
        finally:
            os.kill(child, signal.SIGKILL)


FORKS = """
    import asyncio, os, sys
    from snakepit_worker import Worker
    worker = Worker({how})

    @worker.command
    def fork(ending):
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if ending == "exit":
            sys.exit(3)
        if ending == "raise":
            raise ValueError("in the child")

    @worker.command
    def fork_in_stream():
        child = os.fork()
        yield os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else None

    @worker.command
    {define} say(text):
        print(text, flush=True)

    @worker.teardown
    def end():
        print("torn down", flush=True)

    worker.run()
    print("returned", flush=True)
"""


HOOKS_THAT_FORK = """
    import os, sys
    from snakepit_worker import Worker
    worker = Worker({how})
    seen = []

    def ended(child):
        seen.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    def in_child(ending):
        if ending == "exit":
            sys.exit(3)
        if ending == "raise":
            raise ValueError("in the child")

    def hook_of(ending):
        {define} hook():
            child = os.fork()
            ended(child) if child else in_child(ending)
        return hook

    @worker.teardown
    {define} end():
        print("torn down", seen, flush=True)

    for ending in ("return", "raise", "exit"):
        worker.setup(hook_of(ending))
        worker.teardown(hook_of({{"return": "exit", "exit": "return"}}.get(ending, ending)))

    @worker.command
    {define} codes():
        codes = seen[:]
        seen.clear()
        return codes

    worker.run()
    print("returned", flush=True)
"""


class ForkedChildrenThatComeBack(unittest.TestCase):
    """They ran what waited once more, tore down, and took the event loop with them."""

    def serve(self, how, define):
        source = FORKS.format(how=how, define=define)
        host = Host.start(self, program(self, source))
        for _ in range(5):
            for ending, code in (("return", 0), ("exit", 3), ("raise", 1)):
                numbers = [host.begin("fork", [ending]), host.begin("say", [ending])]
                self.assertEqual([host.result(number).value for number in numbers], [code, None])
        chunks, last = host.chunks_until_end(host.begin_stream("fork_in_stream"))
        self.assertEqual((chunks, last.kind), ([0], END))
        host.send(frame(DRAIN))
        self.assertEqual(host.lines_of_stdout(17), ["return", "exit", "raise"] * 5 + ["torn down", "returned"])
        self.assertEqual(host.wait_for_exit(), 0)
        self.assertIn("ValueError: in the child", host.stderr())

    def test_on_the_main_thread(self):
        self.serve("", "def")

    def test_on_threads(self):
        self.serve("threads=2", "def")

    def test_as_tasks(self):
        self.serve("tasks=1", "async def")

    def serve_with_hooks(self, how, define):
        """They died of a pipe that was closed to them, or stayed for as long as the worker, which it was deaf with a loop."""
        source = HOOKS_THAT_FORK.format(how=how, define=define)
        host = Host.start(self, program(self, source))
        self.assertEqual(host.call("codes"), [0, 1, 3])
        host.send(frame(DRAIN))
        self.assertEqual(host.lines_of_stdout(2), ["torn down [0, 1, 3]", "returned"])
        self.assertEqual(host.wait_for_exit(), 0)
        told = host.stderr()
        self.assertEqual((told.count("Traceback"), told.count("ValueError: in the child")), (2, 2), told)

    def test_of_hooks_on_the_main_thread(self):
        self.serve_with_hooks("", "def")

    def test_of_hooks_before_threads(self):
        self.serve_with_hooks("threads=2", "def")

    def test_of_hooks_as_tasks(self):
        self.serve_with_hooks("tasks=1", "async def")


if __name__ == "__main__":
    unittest.main()
