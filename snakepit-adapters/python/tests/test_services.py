"""Classes as workers, and what runs before the first request and after the last."""

import os
import tempfile
import unittest
import unittest.mock

from fake_host import DRAIN, HANG, LOG, PING, PONG, READY, Host, frame, program
from snakepit_worker import Worker, command, setup, teardown
from snakepit_worker.registry import Registry
from snakepit_worker.request import Request
from test_by_hand import run

MODEL = """
    import logging, os, sys, time
    from snakepit_worker import Worker, command, setup, teardown
    worker = Worker()

    @worker.service
    class Model:
        made = 0

        def __init__(self):
            Model.made += 1
            self.calls = 0

        @setup
        def load(self):
            logging.warning("loading")
            print("loaded")

        @command
        def predict(self, text: str, ctx):
            '''Says how long a text is.'''
            self.calls += 1
            return [len(text), self.calls, Model.made]

        @command(name="letters.of")
        def letters(self, text):
            yield from text

        @teardown
        def close(self):
            print("closed after", self.calls)

    @worker.teardown
    def last_in_first_out():
        print("going")

    worker.run()
"""


class Registered(unittest.TestCase):
    """What is taken in of a class, without a process."""

    def registry(self, what):
        registry = Registry()
        registry.add_service(what)
        return registry

    def call(self, registry, name, data=b""):
        return registry.find(name).call(Request(1, False, name, data))

    def test_marked_methods_are_commands_and_others_are_not(self):
        class Shop:
            @command
            def sell(self, number):
                return number

            @staticmethod
            @command
            def opening_hours():
                return "always"

            @command
            @classmethod
            def kind(cls, ctx):
                return cls.__name__

            def helper(self):
                pass

        registry = self.registry(Shop)
        self.assertEqual([each.name for each in registry], ["sell", "opening_hours", "kind"])
        self.assertEqual(registry.find("sell").signature.positional, ("number",))
        registry.lifetime.open()
        self.assertEqual([self.call(registry, "sell", b"[3]"), self.call(registry, "opening_hours"), self.call(registry, "kind")], [3, "always", "Shop"])

    def test_nothing_of_a_class_runs_before_set_up(self):
        class Model:
            def __init__(self):
                raise AssertionError("made too early")

            @command
            def predict(self):
                pass

        self.registry(Model)

    def test_an_object_is_taken_as_it_is(self):
        class Counter:
            def __init__(self, start):
                self.value = start

            @command
            def next(self):
                self.value += 1
                return self.value

        registry = self.registry(Counter(41))
        registry.lifetime.open()
        self.assertEqual(self.call(registry, "next"), 42)

    def test_what_a_subclass_overrides_counts_once(self):
        class Base:
            @setup
            def first(self):
                said.append("base")

            @command
            def name(self):
                return "base"

            @command
            def dropped(self):
                pass

        class Derived(Base):
            @setup
            def second(self):
                said.append("derived")

            @command
            def name(self):
                return "derived"

            dropped = None

        said, registry = [], self.registry(Derived)
        registry.lifetime.open()
        self.assertEqual((said, [each.name for each in registry], self.call(registry, "name")), (["base", "derived"], ["name"], "derived"))

    def test_tear_down_is_set_up_turned_round_and_survives_its_failures(self):
        class Broken:
            @teardown
            def fail(self):
                raise ValueError("on purpose")

        said, worker = [], Worker()
        worker.teardown(lambda: said.append("first written"))
        worker.service(Broken)
        worker.teardown(lambda: said.append("last written"))
        worker.registry.lifetime.close()
        self.assertEqual(said, [], "what was never set up is not torn down")
        worker.registry.lifetime.open()
        with unittest.mock.patch("sys.excepthook") as complained:
            worker.registry.lifetime.close()
        self.assertEqual(said, ["last written", "first written"])
        self.assertEqual([str(call.args[1]) for call in complained.call_args_list], ["on purpose"])

    def test_what_cannot_be_a_service_is_refused_at_once(self):
        with self.assertRaisesRegex(TypeError, "Bare has no method that is marked"):
            self.registry(type("Bare", (), {}))
        with self.assertRaisesRegex(TypeError, "marked twice"):
            @command
            @setup
            def both(self):
                pass

        class Twice:
            @command
            def name(self):
                pass

        registry = self.registry(Twice)
        with self.assertRaisesRegex(ValueError, "'name' is defined twice"):
            registry.add_service(Twice)


class Served(unittest.TestCase):
    def test_one_object_serves_for_the_life_of_the_worker(self):
        host = Host.start(self, program(self, MODEL))
        self.assertEqual(host.lines_of_stdout(1), ["loaded"])
        self.assertEqual(host.expect(LOG).json["message"], "loading")
        self.assertEqual(host.call("predict", ["four"]), [4, 1, 1])
        self.assertEqual(host.call("predict", {"text": ""}), [0, 2, 1])
        self.assertEqual(host.chunks_until_end(host.begin_stream("letters.of", ["ab"]))[0], ["a", "b"])
        self.assertEqual(host.error(host.begin("predict", [1]))["kind"], "invalid_argument")
        host.send(frame(DRAIN))
        self.assertEqual(host.lines_of_stdout(2), ["going", "closed after 2"])
        self.assertEqual(host.wait_for_exit(), 0)

    def test_it_is_torn_down_however_the_worker_is_asked_to_leave(self):
        for leave in (Host.hang_up, Host.signal):
            host = Host.start(self, program(self, MODEL))
            host.call("predict", [""])
            leave(host)
            self.assertEqual(host.lines_of_stdout(3), ["loaded", "going", "closed after 1"])
            self.assertEqual(host.wait_for_exit(), 0)

    def test_by_hand_it_is_set_up_only_to_be_called(self):
        code, told, _ = run(program=program(self, MODEL))
        self.assertIn("predict(text: str)\n      Says how long a text is.", told)
        self.assertNotIn("loaded", told)
        code, told, _ = run("--call", "predict", '["x"]', program=program(self, MODEL))
        self.assertEqual((code, told), (0, "loaded\n[1,1,1]\ngoing\nclosed after 1\n"))


class SetUp(unittest.TestCase):
    def start(self, body, worker="", **options):
        source = f"""
    import os, sys, time
    from snakepit_worker import Worker
    worker = Worker({worker})
    @worker.setup
    def prepare():
        {body}
    @worker.teardown
    def clean():
        print("torn down")
    @worker.command
    def add(a, b):
        return a + b
    worker.run()
"""
        return Host.start(self, program(self, source), **options)

    def test_ready_waits_for_its_end_and_pongs_wait_for_ready(self):
        host = self.start("print('in it', flush=True); sys.stdin = open(sys.argv[1]); sys.stdin.read()", greet=False, arguments=[self.fifo()])
        host.send(frame(0x01, 0, b'{"protocol":[1]}'))
        self.assertEqual(host.lines_of_stdout(1), ["in it"])
        host.send(frame(PING, 5), frame(PING, 6))
        self.release()
        came = [host.next().kind for _ in range(3)]
        self.assertEqual(came, [READY, PONG, PONG])
        self.assertEqual(host.call("add", [1, 2]), 3)

    def test_a_failure_is_the_end_of_the_worker(self):
        host = self.start("raise ValueError('no model')", greet=False)
        host.expected_exit = 1
        self.assertEqual(host.wait_for_exit(), 1)
        self.assertIn("ValueError: no model", host.stderr())

    def test_a_program_may_say_that_starting_again_would_not_help(self):
        host = self.start("sys.exit(78)", greet=False)
        host.expected_exit = 78
        self.assertEqual(host.wait_for_exit(), 78)

    def test_it_is_broken_off_when_the_host_is_gone(self):
        host = self.start("print('in it', flush=True); time.sleep(1000)", greet=False)
        self.assertEqual(host.lines_of_stdout(1), ["in it"])
        host.hang_up()
        self.assertEqual(host.wait_for_exit(), 0)

    def test_it_is_broken_off_by_sigterm_and_then_nothing_is_torn_down(self):
        host = self.start("print('in it', flush=True); time.sleep(1000)", greet=False)
        self.assertEqual(host.lines_of_stdout(1), ["in it"])
        host.signal()
        self.assertEqual(host.wait_for_exit(), 0)
        self.assertEqual(host.process.stdout.read(), b"")

    def test_a_sigterm_that_does_not_wake_the_main_thread_breaks_it_off_all_the_same(self):
        # What the kernel gives to another thread, or in the instant before a system call, interrupts nothing.
        body = "import signal, threading; threading.Timer(0.01, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start(); time.sleep(1000)"
        for worker in ("", "threads=2", "tasks=2"):
            with self.subTest(worker):
                host = self.start(body, worker, greet=False)
                self.assertEqual(host.wait_for_exit(), 0)
                self.assertEqual(host.process.stdout.read(), b"")

    def test_what_swallows_the_sigterm_does_not_outlive_the_host(self):
        for worker in ("", "threads=2", "tasks=2"):
            with self.subTest(worker):
                host = self.start("""print("in it", flush=True)
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                pass""", worker, greet=False)
                self.assertEqual(host.lines_of_stdout(1), ["in it"])
                host.signal()
                host.hang_up()
                self.assertEqual(host.wait_for_exit(), 0)

    def test_a_drain_before_ready_is_heeded_after_it(self):
        for worker in ("", "threads=2", "tasks=2"):
            host = self.start("pass", worker, greet=False)
            host.send(frame(0x01, 0, b'{"protocol":[1]}'), frame(DRAIN))
            host.expect(READY)
            self.assertEqual(host.wait_for_exit(), 0)

    def fifo(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "held")
        os.mkfifo(self.path)
        return self.path

    def release(self):
        with open(self.path, "w"):
            pass


class TearDown(unittest.TestCase):
    SOURCE = """
    import os, sys, time
    from snakepit_worker import Worker
    worker = Worker()
    @worker.teardown
    def clean():
        print("tearing down", flush=True)
        with open(sys.argv[1]) as held:
            held.read()
    @worker.command
    def add(a, b):
        return a + b
    worker.run()
"""
    fifo, release = SetUp.fifo, SetUp.release

    def test_what_comes_meanwhile_is_refused_and_a_ping_is_answered(self):
        for leave in (lambda host: host.send(frame(DRAIN)), Host.signal):
            host = Host.start(self, program(self, self.SOURCE), arguments=[self.fifo()])
            host.call("add", [1, 2])
            leave(host)
            self.assertEqual(host.lines_of_stdout(1), ["tearing down"])
            host.ping(7)
            self.assertEqual(host.error(host.begin("add", [1, 2]))["kind"], "draining")
            self.release()
            self.assertEqual(host.wait_for_exit(), 0)

    def test_it_holds_nobody_up_when_the_host_is_gone(self):
        host = Host.start(self, program(self, self.SOURCE), arguments=[self.fifo()])
        host.hang_up()
        self.assertEqual(host.wait_for_exit(HANG), 0)


if __name__ == "__main__":
    unittest.main()
