"""Values in JSON: what has a form, what has none, and that the faster encoder changes nothing."""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import random
import sys
import unittest
import uuid

import sdk_path
from snakepit_worker import json_text


HAS_NUMPY = sdk_path.has("numpy", "values of numpy")
HAS_ORJSON = sdk_path.has("orjson", "the faster JSON")


@dataclasses.dataclass
class Inner:
    when: datetime.date


@dataclasses.dataclass
class Outer:
    kind: dataclasses.InitVar[str]
    name: str
    inner: list
    _private: int = 3

    def __post_init__(self, kind):
        self.name = kind + self.name


class Color(enum.Enum):
    RED = "red"
    FADED = datetime.date(1999, 12, 31)


class Number(enum.IntEnum):
    ONE = 1


class Flags(enum.Flag):
    A = 1
    B = 2


Point = collections.namedtuple("Point", "x y")
UTC = datetime.timezone.utc

FORMS = (
    (Outer("k", "n", [Inner(datetime.date(2026, 1, 2))]), {"name": "kn", "inner": [{"when": "2026-01-02"}], "_private": 3}),
    (datetime.datetime(2026, 1, 2, 3, 4, 5, 600, UTC), "2026-01-02T03:04:05.000600+00:00"),
    (datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
    (datetime.time(3, 4), "03:04:00"),
    (datetime.timedelta(minutes=1, milliseconds=500), 60.5),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (decimal.Decimal("1.10"), "1.10"),
    (decimal.Decimal("NaN"), "NaN"),
    (Color.RED, "red"),
    (Color.FADED, "1999-12-31"),
    (Number.ONE, 1),
    (Flags.A | Flags.B, 3),
    (pathlib.Path("/a") / "b", "/a/b"),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset("a"), ["a"]),
    ({"x": b"\x00\xff"}, {"x": "AP8="}),
    ([bytearray(b"a"), memoryview(b"abcd")[::2]], ["YQ==", "YWM="]),
    ((1, (2, Point(3, 4))), [1, [2, [3, 4]]]),
    (collections.OrderedDict(b=1, a=collections.Counter("x")), {"b": 1, "a": {"x": 1}}),
    ({2: "int", 0.5: "float", None: "none", True: "bool"}, {"2": "int", "0.5": "float", "null": "none", "true": "bool"}),
)


class Node:
    """Has a form nowhere."""


class Values(unittest.TestCase):
    dumps = staticmethod(json_text.dumps)

    def test_common_values_have_a_form(self):
        for value, form in FORMS:
            with self.subTest(repr(value)):
                self.assertEqual(json_text.loads(self.dumps(value)), form)

    def test_a_set_that_cannot_be_sorted_is_an_array_all_the_same(self):
        self.assertCountEqual(json_text.loads(self.dumps({1, "a"})), [1, "a"])

    def test_what_has_no_form_is_named(self):
        for value, word in (
            (Node(), "test_values.Node"), (Node, "type type "), ([{"deep": {fractions.Fraction(1, 3)}}], "fractions.Fraction"),
            (1j, "complex"), (iter(()), "tuple_iterator"), (lambda: 0, "function"), (NotImplemented, "NotImplementedType"),
        ):
            with self.subTest(repr(value)), self.assertRaisesRegex(TypeError, word):
                self.dumps(value)

    def test_numbers_that_json_lacks_are_refused(self):
        for number in (float("nan"), float("inf"), -float("inf")):
            with self.assertRaisesRegex(ValueError, "JSON compliant"):
                self.dumps({"n": [None, number]})

    def test_a_value_that_contains_itself_ends(self):
        circle = Outer("", "", [])
        circle.inner.append(circle)
        with self.assertRaises(RecursionError):
            self.dumps(circle)

    @unittest.skipUnless(HAS_NUMPY, "numpy is not installed")
    def test_scalars_and_arrays_of_numpy_are_numbers(self):
        import numpy

        for value, form in (
            (numpy.float32(0.5), 0.5), (numpy.float64(0.1), 0.1), (numpy.int64(-3), -3), (numpy.uint8(200), 200), (numpy.bool_(True), True),
            (numpy.longdouble(0.25), 0.25), (numpy.str_("s"), "s"), (numpy.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
            (numpy.datetime64("2026-01-02"), "2026-01-02"), ({"a": numpy.zeros(2, "f4")}, {"a": [0.0, 0.0]}),
        ):
            with self.subTest(repr(value)):
                self.assertEqual(json_text.loads(self.dumps(value)), form)
        with self.assertRaises(ValueError):
            self.dumps(numpy.float32("nan"))
        with self.assertRaises(TypeError):
            self.dumps(numpy.complex64(1))


@unittest.skipUnless(HAS_ORJSON, "orjson is not installed")
class Fast(Values):
    """The same with the faster encoder in front, for texts of every size."""

    def setUp(self):
        from snakepit_worker import fast_json

        self.fast = fast_json
        before = vars(json_text._Fast)["module"], json_text.LARGE
        self.addCleanup(lambda: (setattr(json_text._Fast, "module", before[0]), setattr(json_text, "LARGE", before[1])))
        json_text._Fast.module, json_text._Fast.was_asked_for, json_text.LARGE = fast_json, True, 0

    def test_it_is_used(self):
        self.assertEqual(self.fast.dumps({"a": [1, 2.5, "é"]}), '{"a":[1,2.5,"é"]}'.encode())
        self.assertEqual(self.fast.loads(b' {"a": [1, null]} '), ({"a": [1, None]},))

    def test_it_gives_way_where_it_would_differ(self):
        for value in ([None], [float("nan")], [2**64], {1: 2}, "\ud800", Node()):
            self.assertIsNone(self.fast.dumps(value))
        for text in (b"[18446744073709551616]", b"[1e400]", b'"\\ud800"', b"{", b"[NaN]", b"\xff"):
            self.assertIsNone(self.fast.loads(text))
        self.assertEqual(json_text.loads(b"[18446744073709551616, -9223372036854775809]"), [2**64, -(2**63) - 1])

    def test_random_values_are_the_same_both_ways(self):
        for seed in range(500):
            chance = random.Random(seed)
            value = random_value(chance, 4)
            text = json_text._dumps(value).encode()
            self.assertEqual(json_text.loads(self.dumps(value)), json_text._loads_patiently(text.decode()), f"seed {seed}")
            self.assertEqual(json_text.loads(text), json_text._loads_patiently(text.decode()), f"seed {seed}")


def random_value(chance, depth):
    kind = chance.randrange(10 if depth else 7)
    if kind == 0:
        return None
    if kind == 1:
        return chance.random() < 0.5
    if kind == 2:
        return chance.randint(-2**chance.randrange(1, 70), 2**chance.randrange(1, 70))
    if kind == 3:
        return chance.choice((0.0, -0.0, 1e300, 5e-324, 1e16, 123456789.123)) * chance.choice((1, -1, 0.1))
    if kind in (4, 5):
        return "".join(chance.choice("ab\"\\/\x00\x1f\x7f é\u2028\U0001f40d") for _ in range(chance.randrange(8)))
    if kind == 6:
        return chance.choice((Color.FADED, datetime.timedelta(1), Inner(datetime.date(2026, 1, 1)), (1, 2)))
    if kind in (7, 8):
        return [random_value(chance, depth - 1) for _ in range(chance.randrange(5))]
    return {f"k{i}": random_value(chance, depth - 1) for i in range(chance.randrange(5))}


class OnDemand(unittest.TestCase):
    def test_the_faster_way_is_not_loaded_for_small_bodies(self):
        import subprocess

        code = f"import sys; sys.path.insert(0, {str(sdk_path.SDK)!r}); from snakepit_worker import json_text as j; {{}}; print(int('orjson' in sys.modules))"
        small, large = "j.loads(j.dumps(['x' * 1000]))", "j.loads(j.dumps(['x' * 10_000]))"
        told = [subprocess.run([sys.executable, "-c", code.format(what)], stdout=subprocess.PIPE, check=True, timeout=60).stdout for what in (small, large)]
        self.assertEqual(told, [b"0\n", b"1\n" if HAS_ORJSON else b"0\n"])


if __name__ == "__main__":
    unittest.main()
