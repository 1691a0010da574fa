"""A worker program started by a person."""

import os
import subprocess
import sys
import unittest

import sdk_path
from fake_host import program


def run(*arguments, program=sdk_path.SUBJECT, stdout=subprocess.PIPE):
    environment = {name: value for name, value in os.environ.items() if name != "SNAKEPIT_WIRE"}
    environment["PYTHONPATH"] = str(sdk_path.SDK)
    ended = subprocess.run(
        [sys.executable, str(program), *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=stdout,
        stderr=subprocess.PIPE, timeout=60,
    )
    return ended.returncode, (ended.stdout or b"").decode(), ended.stderr.decode()


class ByHand(unittest.TestCase):
    def test_without_arguments_it_says_what_it_would_serve(self):
        code, told, _ = run()
        self.assertEqual(code, 0)
        self.assertIn("add(a, b=2)\n      Adds two numbers.", told)
        self.assertRegex(told, r"count\(n, delay=0\.0\)\s+a stream")
        self.assertIn("context_first(a, b=None)", told)
        self.assertIn("--call", told)

    def test_call_prints_the_result(self):
        self.assertEqual(run("--call", "add", '{"a": 1}'), (0, "3\n", ""))
        self.assertEqual(run("--call", "nothing"), (0, "null\n", ""))

    def test_call_prints_the_items_of_a_stream_one_a_line(self):
        self.assertEqual(run("--call", "count", "[2]"), (0, '{"i":0}\n{"i":1}\n', ""))

    def test_call_runs_async_commands_between_set_up_and_tear_down(self):
        path = program(self, """
            import asyncio
            from snakepit_worker import Worker
            worker = Worker()

            @worker.setup
            async def begin():
                print("set up")

            @worker.teardown
            async def finish():
                print("torn down")

            @worker.command
            async def wait_and_add(a, b, ctx):
                await asyncio.sleep(0)
                ctx.progress(1, 2)
                return a + b

            @worker.command
            async def fail():
                raise ValueError("no")

            worker.run()
        """)
        self.assertEqual(run("--call", "wait_and_add", "[1, 2]", program=path), (
            0, "set up\n3\ntorn down\n", '{"progress":{"done":1,"total":2,"message":""}}\n',
        ))
        code, told, complained = run("--call", "fail", program=path)
        self.assertEqual((code, told), (1, "set up\ntorn down\n"))
        self.assertIn('"message":"no"', complained)

    def test_call_has_a_session(self):
        self.assertEqual(run("--call", "remember", '["k", 1]')[:2], (0, '{"k":1}\n'))

    def test_a_command_that_fails_is_exit_code_1(self):
        code, told, complained = run("--call", "fail", '["oh no"]')
        self.assertEqual((code, told), (1, ""))
        self.assertIn('"message":"oh no"', complained)
        self.assertEqual(run("--call", "give_unserialisable", '["object"]')[0], 1)

    def test_a_call_that_cannot_be_made_is_exit_code_2(self):
        for arguments, word in (
            (("add", "{"), "not JSON"), (("add", "{}"), "missing"), (("ad",), "did you mean 'add'"), ((), "usage"), (("a", "b", "c"), "usage"),
        ):
            code, told, complained = run("--call", *arguments)
            self.assertEqual((code, told), (2, ""))
            self.assertIn(word, complained)

    def test_a_reader_who_has_seen_enough_gets_no_complaint(self):
        reader, writer = os.pipe()
        os.close(reader)
        code, _, complained = run("--call", "count", "[10]", stdout=writer)
        os.close(writer)
        self.assertEqual((code, complained), (1, ""))

    def test_a_spawned_child_of_multiprocessing_is_no_worker(self):
        source = """
            import multiprocessing
            from snakepit_worker import Worker
            worker = Worker()

            def double(number):
                return 2 * number

            @worker.command
            def doubled(numbers):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    return pool.map(double, numbers)

            worker.run()
        """
        self.assertEqual(run("--call", "doubled", "[[1, 2]]", program=program(self, source))[:2], (0, "[2,4]\n"))


if __name__ == "__main__":
    unittest.main()
