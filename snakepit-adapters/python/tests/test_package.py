"""The package as it is installed, and as a host unpacks it: which copy a worker gets."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import sdk_path
import snakepit_worker

WHICH = "import snakepit_worker, sys; from snakepit_worker import Worker; from snakepit_worker.testing import Caller; print(snakepit_worker.__file__)"


class Package(unittest.TestCase):
    def test_its_version_is_said_twice_and_is_one(self):
        said = re.search(r'^version = "(.+)"$', (sdk_path.SDK / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(said.group(1), snakepit_worker.__version__)

    def test_what_it_offers_is_there(self):
        self.assertEqual([name for name in snakepit_worker.__all__ if not hasattr(snakepit_worker, name)], [])
        self.assertTrue((sdk_path.SDK / "snakepit_worker" / "py.typed").exists())


class Unpacked(unittest.TestCase):
    """The layout of the folder that the host puts on PYTHONPATH."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        self.unpacked = self.root / "sdk" / "python-0123456789abcdef"
        shutil.copytree(sdk_path.SDK / "snakepit_worker", self.unpacked / "package" / "snakepit_worker", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(sdk_path.SDK / "door" / "snakepit_worker.py", self.unpacked)

    def run_code(self, code, *, before=(), arguments=(), expected=0):
        path = os.pathsep.join((*map(str, before), str(self.unpacked)))
        environment = {name: value for name, value in os.environ.items() if name != "SNAKEPIT_WIRE"}
        ended = subprocess.run(
            # Without site-packages: the interpreter at hand may have one installed.
            [sys.executable, "-S", "-W", "error", "-B", "-c", code, *arguments], env={**environment, "PYTHONPATH": path}, stdout=subprocess.PIPE, timeout=60,
        )
        self.assertEqual(ended.returncode, expected)
        return ended.stdout.decode().splitlines()

    def install(self, where):
        """Another copy, in a folder that comes after all of PYTHONPATH, as site-packages does."""
        shutil.copytree(sdk_path.SDK / "snakepit_worker", self.root / where / "snakepit_worker")
        return f"import sys; sys.path.append({str(self.root / where)!r}); "

    def test_without_an_installed_one_the_copy_of_the_host_is_taken(self):
        self.assertEqual(self.run_code(WHICH), [str(self.unpacked / "package" / "snakepit_worker" / "__init__.py")])

    def test_an_installed_one_wins(self):
        append = self.install("site-packages")
        self.assertEqual(self.run_code(append + WHICH), [str(self.root / "site-packages" / "snakepit_worker" / "__init__.py")])

    def test_one_on_the_pythonpath_of_the_user_wins_as_well(self):
        self.install("mine")
        self.assertEqual(self.run_code(WHICH, before=[self.root / "mine"]), [str(self.root / "mine" / "snakepit_worker" / "__init__.py")])

    def test_any_way_to_import_it_will_do(self):
        for code in (
            "from snakepit_worker import Worker; print(Worker.__module__)", "import snakepit_worker.worker as w; print(w.Worker.__module__)",
            "import importlib; print(importlib.import_module('snakepit_worker.worker').__name__)",
        ):
            self.assertEqual(self.run_code(code), ["snakepit_worker.worker"])

    def test_nothing_of_the_door_is_left(self):
        told = self.run_code(
            "import snakepit_worker, sys; print(len([m for m in sys.modules if m == 'snakepit_worker'])); print(snakepit_worker is sys.modules['snakepit_worker']);"
            f"print({str(self.unpacked)!r} in sys.path); print(sys.path[-1]); print(snakepit_worker.__spec__.name, hasattr(snakepit_worker, '_sdk'))"
        )
        self.assertEqual(told, ["1", "True", "False", str(self.unpacked / "package"), "snakepit_worker False"])

    def test_its_bytecode_is_kept_though_none_is_to_be_written(self):
        """`run_code` asks with -B. What is the user's is left as it was."""
        mine = self.root / "mine"
        mine.mkdir()
        (mine / "module_of_mine.py").write_text("import snakepit_worker.inline, snakepit_worker.annotations", encoding="utf-8")
        self.assertEqual(self.run_code("import module_of_mine, sys; print(sys.dont_write_bytecode)", before=[mine]), ["True"])
        kept = {compiled.name.split(".")[0] for compiled in (self.unpacked / "package").glob("snakepit_worker/__pycache__/*.pyc")}
        self.assertLessEqual({"__init__", "worker", "inline", "annotations"}, kept)
        self.assertEqual([*mine.glob("__pycache__")], [])

    def test_bytecode_that_is_kept_is_used(self):
        code = (
            "import sys; compiled = []; sys.addaudithook(lambda event, args: event == 'compile' and compiled.append(str(args[1])));"
            "import snakepit_worker; print(*[name for name in compiled if '/package/snakepit_worker/' in name])"
        )
        self.assertNotEqual(self.run_code(code), [""])
        self.assertEqual(self.run_code(code), [""])

    def test_bytecode_of_which_half_was_kept_is_made_anew(self):
        """A worker whose disk was full, or its files limited in size, left it; no worker of any pool could start any more."""
        self.run_code(WHICH)
        kept = sorted((self.unpacked / "package").glob("snakepit_worker/__pycache__/*.pyc"))
        sizes = [compiled.stat().st_size for compiled in kept]
        for part in (0, 8, 16, 17, 200, 4096):
            for compiled in kept:
                os.truncate(compiled, min(part, compiled.stat().st_size))
            # The first throws away what is of no use, the second keeps what it compiles.
            for _ in range(2):
                self.assertEqual(self.run_code(WHICH), [str(self.unpacked / "package" / "snakepit_worker" / "__init__.py")])
            self.assertEqual([compiled.stat().st_size for compiled in kept], sizes)

    def test_bytecode_is_not_kept_where_it_would_go_elsewhere(self):
        elsewhere = self.root / "elsewhere"
        self.run_code(f"import sys; sys.pycache_prefix = {str(elsewhere)!r}; import snakepit_worker")
        self.assertEqual([*elsewhere.glob("**/*.pyc"), *self.unpacked.glob("**/*.pyc")], [])

    def test_a_folder_that_cannot_be_written_is_no_obstacle(self):
        (self.unpacked / "package" / "snakepit_worker" / "__pycache__").write_text("in the way", encoding="utf-8")
        self.assertEqual(self.run_code(WHICH), [str(self.unpacked / "package" / "snakepit_worker" / "__init__.py")])

    def test_threads_that_import_it_at_once_get_one(self):
        told = self.run_code(
            "import threading\nfound, barrier = [], threading.Barrier(8)\n"
            "def get():\n    barrier.wait()\n    import snakepit_worker\n    found.append(snakepit_worker.Worker)\n"
            "threads = [threading.Thread(target=get) for _ in range(8)]\n[t.start() for t in threads]\n[t.join() for t in threads]\nprint(len(found), len(set(found)))"
        )
        self.assertEqual(told, ["8 1"])


if __name__ == "__main__":
    unittest.main()
