"""What the start of a worker costs, counted in modules, since milliseconds depend on the machine."""

import subprocess
import sys
import unittest

import sdk_path
from fake_host import Host

HEAVY = {"re", "json", "inspect", "logging", "threading", "traceback", "typing", "asyncio", "enum", "collections", "dataclasses", "signal", "difflib"}


# How many files of the SDK a worker reads to serve in the plainest way. Each costs it a tenth of a millisecond.
OF_THE_SDK = 31
OF_THE_LIBRARY = {"__future__", "_json", "_struct", "faulthandler", "fcntl", "itertools", "select", "struct"}


class StartUp(unittest.TestCase):
    def loaded_by(self, code):
        told = subprocess.run(
            [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(sdk_path.SDK)!r}); {code}; print(*sys.modules)"],
            stdout=subprocess.PIPE, check=True, timeout=60,
        )
        return set(told.stdout.decode().split())

    def test_a_worker_that_serves_has_loaded_so_much_and_no_more(self):
        # `os` is there before any program runs, unless `site` is left out as it is here.
        loaded = self.loaded_by("import snakepit_worker, snakepit_worker.port, snakepit_worker.inline, faulthandler, fcntl") - self.loaded_by("import os")
        ours = {name for name in loaded if name.startswith("snakepit_worker")}
        self.assertLessEqual(len(ours), OF_THE_SDK, sorted(ours))
        self.assertLessEqual(loaded - ours, OF_THE_LIBRARY)
        self.assertEqual(loaded & HEAVY, set())

    def test_calls_and_answers_import_nothing_more(self):
        host = Host.start(self)
        before = set(host.call("modules"))
        host.call("add", {"a": 1, "b": 2})
        host.call("remember", ["k", 1], session="s", time_left_ms=1000, metadata=[("a", "b")])
        host.chunks_until_end(host.begin_stream("count", [3]))
        host.error(host.begin("add", {"c": 1}))
        self.assertEqual(set(host.call("modules")) - before, set())


if __name__ == "__main__":
    unittest.main()
