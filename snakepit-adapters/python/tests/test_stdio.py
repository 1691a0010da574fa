"""The wire on stdin and stdout: the same worker, whatever it prints."""

import os
import subprocess
import sys
import unittest

import sdk_path
from fake_host import LOG, Host, program

NOISY = """
    print("printed before the import")
    import os, sys, subprocess
    from snakepit_worker import Worker
    print("printed after the import")
    worker = Worker()

    @worker.command
    def shout(text):
        print(text)
        os.write(1, b"written to 1\\n")
        subprocess.run(["echo", "said by a program"], check=True)
        return sys.stdin.read()

    @worker.command
    def log(text):
        import logging
        logging.warning(text)

    @worker.command
    def add(a, b):
        return a + b

    worker.run()
"""


class Stdio(unittest.TestCase):
    def start(self, source=NOISY.replace('    print("printed before the import")\n', ""), **options):
        return Host.start(self, program(self, source), wire="stdio", **options)

    def test_requests_are_answered(self):
        host = self.start()
        self.assertEqual([host.call("add", [i, 1]) for i in range(100)], list(range(1, 101)))
        host.ping(3)

    def test_what_is_printed_goes_to_stderr_and_damages_nothing(self):
        host = self.start()
        self.assertEqual(host.call("shout", ["loud"]), "")
        self.assertEqual(host.call("add", [1, 2]), 3)
        host.hang_up()
        self.assertEqual(host.stderr().splitlines(), ["printed after the import", "loud", "written to 1", "said by a program"])

    def test_log_records_are_frames(self):
        host = self.start()
        host.call("log", ["careful"])
        self.assertEqual(host.expect(LOG).json["message"], "careful")

    def test_what_was_printed_and_not_flushed_before_goes_to_stderr_as_well(self):
        host = self.start(NOISY, environment={"PYTHONUNBUFFERED": ""})
        self.assertEqual(host.call("add", [1, 2]), 3)
        host.hang_up()
        self.assertEqual(host.stderr().splitlines()[0], "printed before the import")

    def test_it_leaves_as_on_the_other_wire(self):
        for leave in (Host.hang_up, Host.signal):
            host = self.start()
            host.call("add", [1, 2])
            leave(host)
            self.assertEqual(host.wait_for_exit(), 0)

    def test_a_program_that_it_starts_has_no_wire(self):
        host = self.start("""
            import os, subprocess, sys
            from snakepit_worker import Worker
            worker = Worker()

            @worker.command
            def look():
                code = "import os; print([os.readlink(f'/proc/self/fd/{fd}') for fd in (0, 1, 2)], 'SNAKEPIT_WIRE' in os.environ)"
                return subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout.decode()

            worker.run()
        """)
        told = host.call("look")
        pipes = {os.readlink(f"/proc/self/fd/{fd}") for fd in (host.read_fd, host.write_fd)}
        self.assertTrue(told.startswith("['/dev/null', ") and told.endswith("False\n"), told)
        self.assertFalse(any(pipe in told for pipe in pipes), told)

    def test_without_stdin_it_leaves_for_good(self):
        ended = subprocess.run(
            ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, str(sdk_path.SUBJECT)],
            env={**os.environ, "SNAKEPIT_WIRE": "stdio", "PYTHONPATH": str(sdk_path.SDK)}, stderr=subprocess.PIPE, timeout=60,
        )
        self.assertEqual(ended.returncode, 78)
        self.assertIn(b"fds 0 and 1 cannot be used", ended.stderr)


if __name__ == "__main__":
    unittest.main()
