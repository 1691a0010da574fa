"""The benchmarks of the SDK, which know it from the inside, still find what they measure."""

import os
import pathlib
import sys
import unittest

import sdk_path  # noqa: F401

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "benchmarks"))

import one_request  # noqa: E402


class OneRequest(unittest.TestCase):
    def setUp(self):
        for name, few in (("ROUNDS", 2), ("CALLS", 64)):
            self.addCleanup(setattr, one_request, name, getattr(one_request, name))
            setattr(one_request, name, few)

    def test_every_step_is_found_alone_and_with_many(self):
        alone, together = one_request.steps(1), one_request.steps(32)
        self.assertEqual(list(alone), list(together))
        self.assertEqual(alone["said to begin"], 0.0)

    @unittest.skipUnless(os.path.exists("/proc/self/schedstat"), "the system does not say what a process used")
    def test_a_worker_answers_all_that_is_written_to_it(self):
        for count in one_request.COLUMNS:
            self.assertGreater(one_request.whole(count), 0)


if __name__ == "__main__":
    unittest.main()
