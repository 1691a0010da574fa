"""Arguments held against signatures, without a process."""

import functools
import sys
import typing
import unittest
from typing import Optional  # noqa: F401

import sdk_path  # noqa: F401
from snakepit_worker.invocation import Command, InvalidArgument
from snakepit_worker.request import Request


def call(function, data=b"", content_type="application/json"):
    made = Request(7, False, "f", data)
    made.content_type = content_type
    return Command("f", function).call(made)


class Arguments(unittest.TestCase):
    def refused(self, function, data, *words, content_type="application/json"):
        with self.assertRaises(InvalidArgument) as caught:
            call(function, data, content_type)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_an_object_is_arguments_by_name(self):
        self.assertEqual(call(lambda a, b: (a, b), b'{"b":2,"a":1}'), (1, 2))

    def test_an_array_is_arguments_by_position(self):
        self.assertEqual(call(lambda a, b: (a, b), b"[1,2]"), (1, 2))

    def test_null_and_nothing_are_no_arguments(self):
        for data in (b"", b"null", b" null\n"):
            self.assertEqual(call(lambda: "called", data), "called")

    def test_bytes_of_another_type_are_one_argument(self):
        self.assertEqual(call(lambda data: data, b"\x00\xff", "application/octet-stream"), b"\x00\xff")
        self.assertEqual(call(lambda data: data, b"", "image/png"), b"")

    def test_a_content_type_with_parameters_or_suffix_is_json(self):
        for content_type in ("application/json; charset=utf-8", "Application/JSON", "application/ld+json"):
            self.assertEqual(call(lambda a: a, b'{"a":1}', content_type), 1)

    def test_a_missing_argument_is_named(self):
        self.refused(lambda a, b: 0, b'{"a":1}', "missing", "'b'")
        self.refused(lambda a, b: 0, b"[1]", "missing", "'b'")
        self.refused(lambda a, b: 0, b"", "missing", "arguments 'a', 'b'")
        self.refused(lambda a, *, key: 0, b"[1]", "missing", "'key'")

    def test_an_unknown_argument_is_named_beside_the_known(self):
        self.refused(lambda a, b=2: 0, b'{"a":1,"c":3}', "no argument 'c'", "it takes a, b")

    def test_too_many_positions_are_counted(self):
        self.refused(lambda a: 0, b"[1,2,3]", "takes 1 argument", "3 were given")
        self.refused(lambda: 0, b"[1]", "takes no arguments")
        self.refused(lambda: 0, b"raw", "takes no arguments", content_type="application/octet-stream")

    def test_defaults_may_be_left_out(self):
        self.assertEqual(call(lambda a, b=2, *, c=3: (a, b, c), b"[1]"), (1, 2, 3))
        self.assertEqual(call(lambda a, b=2, *, c=3: (a, b, c), b'{"a":1,"c":9}'), (1, 2, 9))

    def test_rest_parameters_take_the_rest(self):
        self.assertEqual(call(lambda *values: values, b"[1,2]"), (1, 2))
        self.assertEqual(call(lambda **named: named, b'{"x":1}'), {"x": 1})

    def test_positional_only_parameters_take_names_too(self):
        def f(a, /, b):
            return a, b

        self.assertEqual(call(f, b'{"a":1,"b":2}'), (1, 2))
        self.assertEqual(call(f, b"[1,2]"), (1, 2))
        self.refused(f, b'{"b":2}', "missing", "'a'")

    def test_the_context_comes_wherever_it_stands(self):
        self.assertEqual(call(lambda ctx, a: (ctx.request_id, a), b"[1]"), (7, 1))
        self.assertEqual(call(lambda a, ctx: (ctx.request_id, a), b"[1]"), (7, 1))
        self.assertEqual(call(lambda a, ctx, b: (a, ctx.request_id, b), b"[1,2]"), (1, 7, 2))
        self.assertEqual(call(lambda a, *, ctx: (ctx.request_id, a), b'{"a":1}'), (7, 1))
        self.assertEqual(call(lambda ctx, *rest: (ctx.request_id, rest), b"[1,2]"), (7, (1, 2)))

    def test_the_caller_cannot_give_the_context(self):
        self.refused(lambda a, ctx: 0, b'{"a":1,"ctx":2}', "no argument 'ctx'")
        self.refused(lambda ctx, **named: 0, b'{"ctx":2}', "no argument 'ctx'")
        self.refused(lambda a, ctx: 0, b"[1,2]", "takes 1 argument")

    def test_what_is_not_json_is_refused(self):
        for data in (b"{", b"\xff", b"[NaN]", b"[Infinity]", b"{} {}", b"[1,]", b"'a'", b"[" * 200_000):
            self.refused(lambda *rest: 0, data, "not JSON")

    def test_a_bare_value_is_refused(self):
        for data, word in ((b"3", "a number"), (b'"x"', "a string"), (b"true", "true or false"), (b"1.5", "a number")):
            self.refused(lambda a: 0, data, word)

    def test_annotated_kinds_are_checked_before_the_function_runs(self):
        def ran(**values):
            raise AssertionError(f"it ran with {values}")

        for annotation, given, words in (
            (int, b'["x"]', "takes a whole number as 'a', not the string 'x'"), (int, b"[1.5]", "not the number 1.5"), (int, b"[true]", "not true"),
            (int, b"[null]", "not null"), (float, b'["1"]', "takes a number as"), (str, b"[3]", "takes a string as 'a', not the number 3"),
            (bool, b"[0]", "takes true or false as"), (list, b"[{}]", "takes an array as 'a', not an object"), (dict, b"[[]]", "takes an object as 'a', not an array"),
            (bytes, b'["x"]', "takes bytes as"), (typing.List[int], b"[1]", "takes an array"), (typing.Dict[str, int], b"[1]", "takes an object"),
            (typing.Optional[int], b'["x"]', "takes a whole number or null as 'a'"), (typing.Union[str, float], b"[null]", "takes a number or a string as 'a'"),
            ("int", b'["x"]', "a whole number"), ("Optional[int]", b'["x"]', "a whole number or null"), (None, b"[1]", "takes null"),
            (str, b"[" + b"9" * 5000 + b"]", "JSON|a very large number"), (int, b'["' + b"x" * 500 + b'"]', "x'.."),
        ):
            with self.subTest(annotation=annotation, given=given[:40]):
                def command(a):
                    ran(a=a)

                command.__annotations__ = {"a": annotation, "return": None}
                with self.assertRaisesRegex(InvalidArgument, words):
                    call(command, given)
                if given.startswith(b"[") and len(given) < 100:
                    with self.assertRaisesRegex(InvalidArgument, words):
                        call(command, b'{"a":' + given[1:-1] + b"}")

    def test_values_of_the_annotated_kind_pass(self):
        for annotation, given, value in (
            (int, b"[3]", 3), (float, b"[3]", 3), (float, b"[0.5]", 0.5), (bool, b"[true]", True), (str, b'["x"]', "x"), (typing.List[int], b'[["x"]]', ["x"]),
            (typing.Optional[int], b"[null]", None), (typing.Union[str, float], b"[1]", 1),
        ):
            def command(a):
                return a

            command.__annotations__ = {"a": annotation}
            self.assertEqual(call(command, given), value)
        command.__annotations__ = {"a": bytes}
        self.assertEqual(call(command, b"raw", "application/octet-stream"), b"raw")

    def test_other_annotations_allow_everything(self):
        for annotation in (typing.Any, "Missing", "1 +", typing.Sequence[int], typing.Union[int, "Path"], object, 5, typing.TypeVar("T"), "ctx"):
            def command(a):
                return a

            command.__annotations__ = {"a": annotation}
            self.assertEqual(call(command, b'["x"]'), "x")

    def test_a_default_of_none_allows_null(self):
        def command(a: int = None, *, b: str = None):
            return a, b

        self.assertEqual(call(command, b'{"a":null,"b":null}'), (None, None))
        self.refused(command, b'{"a":"x"}', "takes a whole number or null as 'a'")

    def test_annotations_may_name_what_comes_later_and_are_read_through_decorators(self):
        names = {}
        exec("import functools\ndef f(a: 'Later', ctx: 'int') -> 'int': return a\n@functools.wraps(f)\ndef g(*a, **k): return f(*a, **k)", names)
        made = Command("g", names["g"])
        names["Later"] = int
        self.assertEqual(made.call(Request(7, False, "g", b"[3]")), 3)
        with self.assertRaisesRegex(InvalidArgument, "whole number"):
            made.call(Request(7, False, "g", b'["x"]'))

    @unittest.skipIf(sys.version_info < (3, 10), "unions of this form came with 3.10")
    def test_unions_of_the_new_form_are_read(self):
        def command(a: "int | None"):
            return a

        self.assertEqual(call(command, b"[null]"), None)
        self.refused(command, b'["x"]', "takes a whole number or null")
        command.__annotations__["a"] = int | None
        self.refused(command, b'["x"]', "takes a whole number or null")

    def test_a_bound_method_is_called_on_its_object(self):
        class Shop:
            stock = 5

            def sell(self, number, ctx):
                return self.stock - number, ctx.request_id

        self.assertEqual(call(Shop().sell, b'{"number":2}'), (3, 7))
        self.refused(Shop().sell, b'{"self":1,"number":2}', "no argument 'self'")

    def test_a_decorated_function_shows_its_own_signature(self):
        def doubled(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return 2 * function(*args, **kwargs)
            return wrapper

        @doubled
        def f(a, ctx):
            return a + ctx.request_id

        self.assertEqual(call(f, b'{"a":1}'), 16)
        self.refused(f, b'{"b":1}', "'b'")

    def test_callables_of_every_kind_are_commands(self):
        class Adder:
            def __call__(self, a, b):
                return a + b

        self.assertEqual(call(Adder(), b"[1,2]"), 3)
        self.assertEqual(call(functools.partial(lambda a, b: (a, b), 1), b'{"b":2}'), (1, 2))
        self.assertEqual(call(len, b'[[1,2,3]]'), 3)

    def test_a_generator_is_a_stream_also_behind_a_decorator(self):
        def items():
            yield 1

        @functools.wraps(items)
        def wrapper():
            return items()

        self.assertTrue(Command("f", items).is_stream)
        self.assertTrue(Command("f", wrapper).is_stream)
        self.assertFalse(Command("f", lambda: 0).is_stream)

    def test_what_cannot_be_a_command_is_refused_at_once(self):
        with self.assertRaisesRegex(TypeError, "positional-only"):
            exec("def f(ctx, /): pass\nCommand('f', f)", {"Command": Command})


if __name__ == "__main__":
    unittest.main()
