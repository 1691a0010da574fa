"""The workers under examples/workers: what they count, keep, stream, and how they fail."""

import os
import signal
import sys
import tempfile
import textwrap
import unittest

import sdk_path
from fake_host import CANCEL, CHUNK, END, Host, frame
from test_by_hand import run

WORKERS = sdk_path.ROOT / "examples" / "workers"
sys.path.insert(0, str(WORKERS))

import python_source  # noqa: E402
import rust_source  # noqa: E402


class RustSource(unittest.TestCase):
    def read(self, text):
        lines, identifiers = rust_source.read(textwrap.dedent(text))
        return sorted(lines), list(identifiers)

    def names(self, text):
        return self.read(text)[1]

    def test_keywords_are_no_identifiers(self):
        self.assertEqual(self.names("pub fn add(a: u32) -> Self { let _ = a; }"), ["add", "a", "u32", "a"])

    def test_comments_hide_what_is_in_them_also_nested(self):
        self.assertEqual(self.read("""\
            // line
            a /* b /* c */ d
            e */ f
            /*/ g */ h
            /// doc
            //! inner
        """), ([2, 3, 4], ["a", "f", "h"]))

    def test_strings_hide_what_is_in_them(self):
        self.assertEqual(self.names(r'''a("b \" c", b"d", c"e", "f \\", g)'''), ["a", "g"])
        self.assertEqual(self.names('a(r"b \\", r#"c " d"#, br##"e "# f"##, cr"x", g)'), ["a", "g"])

    def test_a_string_over_many_lines_is_code_on_each(self):
        self.assertEqual(self.read('let a = "one\n// two\nthree";\n\nb'), ([1, 2, 3, 5], ["a", "b"]))

    def test_characters_are_told_from_lifetimes(self):
        self.assertEqual(self.names(r"""f::<'a>('b', '\'', '"', b'"', '\u{1F40D}', '\\', x)"""), ["f", "x"])
        self.assertEqual(self.names("fn f<'a, 'static>(x: &'a str, y: &'_ T) { 'outer: loop { break 'outer } }"), ["f", "x", "str", "y", "T"])

    def test_numbers_with_suffix_hide_no_names(self):
        self.assertEqual(self.names("1u32 + 0xffu8 + 1e10f64 + 1_000usize + 0b1 + 1.0f32 + a.0.b + 1..n + 2.max(c)"), ["a", "b", "n", "max", "c"])

    def test_raw_identifiers_are_identifiers(self):
        self.assertEqual(self.names('r#type + r#"raw"# + br'), ["r#type", "br"])

    def test_names_of_any_script_are_identifiers(self):
        self.assertEqual(self.names("let größe = Größe::neu(_x);"), ["größe", "Größe", "neu", "_x"])

    def test_a_first_line_for_the_shell_is_skipped_and_an_attribute_is_not(self):
        self.assertEqual(self.names("#!/usr/bin/env rustx\nmain"), ["main"])
        self.assertEqual(self.names("#![allow(dead_code)]"), ["allow", "dead_code"])

    def test_what_does_not_end_is_refused_with_its_line(self):
        for text, word in (("\n/* a", "comment that begins in line 2"), ('a "b', "string"), ('r#"a"', "raw string")):
            with self.assertRaisesRegex(SyntaxError, word):
                rust_source.read(text)

    def test_an_empty_file_has_nothing(self):
        self.assertEqual(self.read(""), ([], []))


class PythonSource(unittest.TestCase):
    def read(self, text):
        lines, identifiers = python_source.read(textwrap.dedent(text))
        return sorted(lines), list(identifiers)

    def test_documentation_and_comments_are_no_code(self):
        self.assertEqual(self.read('''\
            """Module
            documentation."""

            import os  # comment

            def f(a):
                """One line."""
                return os.sep + a + "string" \\
                    + """over
            lines"""
        '''), ([4, 6, 8, 9, 10], ["os", "f", "a", "os", "sep", "a"]))

    def test_names_in_format_strings_count_on_no_version(self):
        self.assertEqual(self.read('x = f"{a} {f\'{b}\'}" + c\n')[1], ["x", "c"])

    def test_what_is_no_python_is_refused(self):
        with self.assertRaises(SyntaxError):
            python_source.read("def f(:\n  '''")


class SourceWorker(unittest.TestCase):
    def setUp(self):
        self.host = Host.start(self, WORKERS / "source_worker.py")
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return path

    def test_a_rust_file_is_analysed(self):
        path = self.path("a.rs", "// comment\r\nfn main() {\r\n    go(go, on);\r\n}\r\n")
        self.assertEqual(self.host.call("analyse", {"path": path}), {
            "path": path, "language": "rust", "lines": 4, "code_lines": 3, "identifiers": 4, "top": [["go", 2], ["main", 1], ["on", 1]],
        })

    def test_a_python_file_is_analysed(self):
        path = self.path("a.py", '"""Doc."""\n\nx = x + y')
        self.assertEqual(self.host.call("analyse", {"path": path}), {
            "path": path, "language": "python", "lines": 3, "code_lines": 1, "identifiers": 3, "top": [["x", 2], ["y", 1]],
        })

    def test_it_reads_itself(self):
        found = self.host.call("analyse", {"path": str(WORKERS / "source_worker.py")})
        self.assertGreater(found["identifiers"], 100)
        self.assertEqual(len(found["top"]), 50)

    def test_files_that_cannot_be_read_are_errors_with_a_kind(self):
        for path, kind in (
            (self.path("a.txt", ""), "unsupported_file"), (os.path.join(self.folder.name, "none.rs"), "unreadable_source"),
            (self.path("b.rs", "/* "), "unreadable_source"), (self.path("b.py", "('''"), "unreadable_source"), (self.folder.name, "unsupported_file"),
        ):
            with self.subTest(path):
                error = self.host.error(self.host.begin("analyse", {"path": path}))
                self.assertEqual((error["kind"], error["details"]), (kind, {"path": path}))

    def test_a_scan_tells_one_item_a_file(self):
        paths = [self.path("a.rs", "a b"), self.path("b.rs", "/*"), self.path("c.py", "c\n")]
        values, last = self.host.chunks_until_end(self.host.begin_stream("scan", [paths]))
        self.assertEqual(last.kind, END)
        self.assertEqual([(value["index"], value["of"], value["path"]) for value in values], [(i, 3, path) for i, path in enumerate(paths)])
        self.assertEqual((values[0]["identifiers"], values[2]["identifiers"]), (2, 1))
        self.assertIn("does not end", values[1]["error"])

    def test_a_session_keeps_its_state_with_the_worker(self):
        kept = self.host.call("remember", {"key": "k", "value": [1]}, session="s")
        self.assertEqual(kept, {"pid": self.host.process.pid, "session": "s", "kept": {"k": [1]}})
        self.assertEqual(self.host.call("recall", session="s"), kept)
        self.assertEqual(self.host.call("recall", session="t")["kept"], {})

    def test_a_nap_ends_when_the_caller_gives_up(self):
        self.assertFalse(self.host.call("nap", [0.01])["cancelled"])
        number = self.host.begin("nap", [1000])
        self.host.ping(1)
        self.host.send(frame(CANCEL, number))
        # Taken up before the cancel it ends early, after it it never begins: both end.
        answer = self.host.answer(number)
        self.assertIn(b"cancelled", answer.body)

    def test_it_can_be_killed_in_the_middle_of_a_nap(self):
        self.host.expected_exit = -signal.SIGKILL
        self.host.begin("nap", [1000])
        self.host.signal(signal.SIGKILL)
        self.assertEqual(self.host.wait_for_exit(), -signal.SIGKILL)


class PitWorker(unittest.TestCase):
    def setUp(self):
        self.host = Host.start(self, WORKERS / "pit_worker.py")

    def test_the_small_commands(self):
        call = self.host.call
        self.assertEqual(call("add", {"a": 1, "b": 2}), 3)
        self.assertEqual(call("add", [1.5, -2]), -0.5)
        self.assertEqual(call("echo", {"value": {"a": [None]}}), {"a": [None]})
        self.assertEqual(call("sleep", {"ms": 5})["cancelled"], False)
        self.assertGreater(call("spin", {"ms": 5})["turns"], 0)
        self.assertEqual(call("remember", ["k", 1], session="s")["kept"], {"k": 1})
        self.assertEqual(call("recall", session="s"), {"pid": self.host.process.pid, "kept": {"k": 1}})

    def test_numbers_only_are_added(self):
        error = self.host.error(self.host.begin("add", {"a": 1, "b": "2"}))
        self.assertEqual((error["kind"], error["message"]), ("invalid_argument", "add() takes a number as 'b', not the string '2'"))

    def test_count_is_a_stream(self):
        values, last = self.host.chunks_until_end(self.host.begin_stream("count", {"n": 3, "delay_ms": 1}))
        self.assertEqual((values, last.kind), ([{"i": 0}, {"i": 1}, {"i": 2}], END))
        number = self.host.begin_stream("count", {"n": 10**9, "delay_ms": 1})
        self.host.expect(CHUNK, number)
        self.host.send(frame(CANCEL, number))
        self.assertIn(self.host.chunks_until_end(number)[1].kind, (END, 0x44))

    def test_fail_costs_the_caller_and_crash_the_worker(self):
        self.assertEqual(self.host.error(self.host.begin("fail", ["why"]))["message"], "why")
        self.host.expected_exit = 9
        self.host.begin("crash", [9])
        self.assertEqual(self.host.wait_for_exit(), 9)


class ByHand(unittest.TestCase):
    def test_both_answer_without_a_host(self):
        self.assertEqual(run("--call", "add", '{"a": 1, "b": 2}', program=WORKERS / "pit_worker.py")[:2], (0, "3\n"))
        path = str(WORKERS / "rust_source.py")
        code, told, _ = run("--call", "analyse", f'["{path}"]', program=WORKERS / "source_worker.py")
        self.assertEqual(code, 0)
        self.assertIn('"language":"python"', told)
        self.assertIn("scan(paths: List[str])", run(program=WORKERS / "source_worker.py")[1])


if __name__ == "__main__":
    unittest.main()
