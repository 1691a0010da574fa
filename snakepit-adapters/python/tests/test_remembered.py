"""What a worker remembers of earlier requests makes it quicker, and changes nothing: heads of bodies, arguments that fitted, the line without a lock."""

import random
import threading
import unittest

import sdk_path  # noqa: F401
from fake_host import request_body
from snakepit_worker.frame import Breach
from snakepit_worker.invocation import FITTING_KEPT, Command, InvalidArgument
from snakepit_worker.request import BYTES_TYPE, HEADS_KEPT, JSON_TYPE, LONGEST_KEPT, Heads, Request, parse_execute
from snakepit_worker.waiting_line import WaitingLine


def outcome(parse, number, body):
    try:
        return vars(parse(number, body, 5.0))
    except Breach as breach:
        return breach.word


def outcome_at_first(number, body):
    fields = outcome(parse_execute, number, body)
    # What is set on the request need not be what stands on its class.
    return fields if isinstance(fields, str) else {"content_type": JSON_TYPE, **fields}


class Bodies(unittest.TestCase):
    def test_a_body_means_the_same_the_tenth_time_and_damaged_as_the_first(self):
        chance, heads = random.Random(7), Heads()
        for _ in range(4000):
            body = bytearray(request_body(
                chance.choice(("add", "addition", "a")), data=bytes(chance.randrange(40)),
                content_type=chance.choice(("", "application/octet-stream", "image/png", "application/json")),
                session=chance.choice(("", "", "s")), traceparent=chance.choice(("", "", "t")),
                metadata=chance.choice(([], [], [("key", "value")])), attachments=chance.choice(([], [], [b"x"])),
                time_left_ms=chance.choice((0xFFFFFFFF, 0, 1500)),
            ))
            if chance.random() < 0.4:
                body[chance.randrange(len(body))] = chance.randrange(256)
            if chance.random() < 0.1:
                del body[chance.randrange(len(body)):]
            number, body = chance.randrange(1, 99), bytes(body)
            found = outcome(heads.parse, number, body)
            found = found if isinstance(found, str) else {"content_type": JSON_TYPE, **found}
            self.assertEqual(found, outcome_at_first(number, body))

    def test_no_host_makes_it_remember_more_and_more(self):
        heads = Heads()
        for number in range(1, 3 * HEADS_KEPT):
            heads.parse(number, request_body("c" * LONGEST_KEPT), 0.0)
            heads.parse(number, request_body(f"command{number}"), 0.0)
        kept = [head for _, known in heads._by_lengths.values() for head in known]
        self.assertEqual(len(kept), HEADS_KEPT)
        self.assertLess(max(map(len, kept)), LONGEST_KEPT)


class Arguments(unittest.TestCase):
    def call(self, command, data, content_type=JSON_TYPE):
        made = Request(1, False, "f", data)
        made.content_type = content_type
        return command.call(made)

    def test_what_has_fitted_lets_nothing_else_through(self):
        def f(a: int, b: str = "x"):
            return a, b

        command = Command("f", f)
        for _ in range(3):
            self.assertEqual(self.call(command, b'{"a":1}'), (1, "x"))
            self.assertEqual(self.call(command, b'{"b":"y","a":1}'), (1, "y"))
            for wrong in (b'{"a":true}', b'{"a":"1"}', b'{"a":1,"b":2}', b'{"b":"y"}', b'{"a":1,"c":"y"}', b"{}", b'{"b":1,"a":"y"}'):
                with self.assertRaises(InvalidArgument):
                    self.call(command, wrong)

    def test_bare_bytes_are_held_against_the_signature_each_time(self):
        def takes(data: bytes):
            return data

        def refuses(data: str):
            return data

        def needs_two(a, b):
            return a, b

        def aware(data, ctx):
            return data, ctx.request_id

        for _ in range(3):
            self.assertEqual(self.call(command := Command("takes", takes), b"x", BYTES_TYPE), b"x")
            self.assertEqual(self.call(command, b"y", BYTES_TYPE), b"y")
            command = Command("aware", aware)
            self.assertEqual([self.call(command, b"x", BYTES_TYPE) for _ in range(2)], [(b"x", 1)] * 2)
        for function in (refuses, needs_two):
            command = Command("f", function)
            for _ in range(3):
                with self.assertRaises(InvalidArgument):
                    self.call(command, b"x", BYTES_TYPE)

    def test_no_caller_makes_it_remember_more_and_more(self):
        def f(a=None, b=None, c=None, d=None):
            return "called"

        def anything(**named):
            return "called"

        command, open_one, chance = Command("f", f), Command("anything", anything), random.Random(3)
        for number in range(2000):
            fields = [f'"{name}":{chance.choice(("1", "true", "null", "[]", "{}"))}' for name in chance.sample("abcd", 3)]
            self.assertEqual(self.call(command, f"{{{','.join(fields)}}}".encode()), "called")
            self.assertEqual(self.call(open_one, f'{{"name{number}":1}}'.encode()), "called")
        self.assertEqual((len(command._fitting), len(open_one._fitting)), (FITTING_KEPT, 0))


class TheLine(unittest.TestCase):
    def test_each_request_is_either_taken_or_withdrawn_and_none_is_lost(self):
        line, taken, withdrawn, count = WaitingLine(), [], [], 20_000
        is_over = threading.Event()

        def take():
            while True:
                was_over = is_over.is_set()
                request = line.take()
                if request is not None:
                    taken.append(request.id)
                elif was_over:
                    return

        taker = threading.Thread(target=take, daemon=True)
        taker.start()
        for number in range(1, count + 1):
            line.add(Request(number, False, "f", b""))
            while len(line.peek(1000)) == 1000:
                pass
            if number % 3 == 0 and line.cancel(number):
                withdrawn.append(number)
        is_over.set()
        taker.join()
        self.assertEqual(sorted(taken + withdrawn), list(range(1, count + 1)))
        self.assertEqual(taken, sorted(taken))

    def test_a_number_may_be_used_again_once_its_request_was_withdrawn_even_if_that_was_about_to_run(self):
        line = WaitingLine()
        old, new = Request(1, False, "old", b""), Request(1, False, "new", b"")
        line.add(old)
        # As the taker leaves it in the instant before it takes the request out.
        line.running = old
        self.assertTrue(line.cancel(1))
        line.add(new)
        self.assertIs(line.take(), new)
        self.assertIs(line.running, new)
        with self.assertRaises(Breach):
            line.add(Request(1, False, "third", b""))


if __name__ == "__main__":
    unittest.main()
