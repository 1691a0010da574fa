"""Calls over real pipes: handshake, arguments, results, errors, sessions, ten thousand requests."""

import json
import unittest

from fake_host import END, ERROR, EVENT, EXECUTE, END_SESSION, RECYCLE, RESULT, STARTED, Host, frame, request_body


class Handshake(unittest.TestCase):
    def test_ready_says_what_the_worker_can(self):
        ready = Host.start(self).ready
        self.assertEqual((ready["protocol"], ready["capacity"], ready["features"]), (1, 1, []))
        self.assertRegex(ready["agent"], r"^snakepit-worker-python/\d")
        commands = {command["name"]: command["stream"] for command in ready["commands"]}
        self.assertEqual((commands["add"], commands["count"], commands["dotted.name"]), (False, True, False))

    def test_unknown_keys_versions_and_features_do_no_harm(self):
        host = Host.start(self, hello={"protocol": [7, 1], "features": ["from-the-future"], "unknown": {"a": 1}})
        self.assertEqual((host.ready["protocol"], host.ready["features"]), (1, []))
        self.assertEqual(host.call("add", {"a": 1}), 3)

    def test_started_is_told_where_the_host_asks_for_it(self):
        host = Host.start(self, hello={"features": ["started"]})
        self.assertEqual(host.ready["features"], ["started"])
        number = host.begin("add", {"a": 1})
        kinds = [host.expect(STARTED, number).kind, host.result(number).kind]
        self.assertEqual(kinds, [STARTED, RESULT])
        self.assertEqual(host.count_of(STARTED, number), 0)

    def test_no_common_version_ends_the_worker_for_good(self):
        host = Host.start(self, greet=False)
        host.expected_exit = 78
        host.send(frame(0x01, 0, json.dumps({"protocol": [2, 3]}).encode()))
        self.assertEqual(host.wait_for_exit(), 78)
        self.assertIn("[2, 3]", host.stderr())

    def test_an_unknown_wire_ends_the_worker_for_good(self):
        host = Host.start(self, greet=False, environment={"SNAKEPIT_WIRE": "grpc"})
        host.expected_exit = 78
        self.assertEqual(host.wait_for_exit(), 78)
        self.assertIn("'grpc'", host.stderr())


class Calls(unittest.TestCase):
    def setUp(self):
        self.host = Host.start(self)

    def test_arguments_come_by_name_and_by_position(self):
        call = self.host.call
        self.assertEqual(call("add", {"a": 1, "b": 5}), 6)
        self.assertEqual(call("add", {"a": 1}), 3)
        self.assertEqual(call("add", [4, 5]), 9)
        self.assertEqual(call("keyword_only", {"a": 1, "b": 2}), [1, 2, 3])
        self.assertEqual(call("any_number", [1, 2]), [[1, 2], {}])
        self.assertEqual(call("any_number", {"x": 1}), [[], {"x": 1}])
        self.assertEqual(call("positional_only", {"a": 1, "b": 2}), [1, 2])
        self.assertIsNone(call("nothing"))
        self.assertIsNone(call("nothing", data=b"null"))
        self.assertEqual(call("dotted.name"), "here")
        self.assertEqual(call("context_first", ["x", "y"])[1:], ["x", "y"])

    def test_values_come_back_as_they_went(self):
        for value in (None, True, 0, -1, 2**70, 1.5, 1e300, "", "größe \U0001f40d \x00\n\"\\", [], {}, [[1, {"a": [None]}]], {"": ""}):
            self.assertEqual(self.host.call("echo", {"value": value}), value)

    def test_common_values_travel_in_their_json_form(self):
        self.assertEqual(self.host.call("give_common_values"), {
            "when": "2026-01-02", "price": "1.10", "tags": ["a", "b"], "raw": "AA==", "pair": [1, 2],
        })

    def test_bytes_go_both_ways_as_they_are(self):
        data = bytes(range(256))
        answer = self.host.result(self.host.begin("echo", data=data, content_type="application/octet-stream"))
        self.assertEqual(answer.payload, ("application/octet-stream", data, []))
        for kind in ("bytes", "bytearray", "memoryview"):
            answer = self.host.result(self.host.begin("give_bytes", [kind]))
            self.assertEqual(answer.payload, ("application/octet-stream", b"\x00\x01\x02\x03", []))

    def test_a_payload_carries_type_and_attachments(self):
        number = self.host.begin("echo_payload", data=b"raw", content_type="image/x", attachments=[b"one", b"", b"three"])
        self.assertEqual(self.host.result(number).payload, ("image/x", b"raw", [b"one", b"", b"three"]))

    def test_the_context_knows_the_request(self):
        number = self.host.begin(
            "about_me", session="user_123", time_left_ms=60_000, traceparent="00-abc", attachments=[b"\x01"],
            metadata=[("tenant", "zürich"), ("twice", "1"), ("twice", "2")],
        )
        about = self.host.result(number).value
        self.assertEqual((about["request_id"], about["session_id"], about["traceparent"]), (number, "user_123", "00-abc"))
        self.assertEqual(about["metadata"], {"tenant": "zürich", "twice": "2"})
        self.assertEqual((about["attachments"], about["cancelled"], about["content_type"]), (["01"], False, "application/json"))
        self.assertTrue(0 < about["remaining"] <= 60)
        self.assertTrue(0 < about["deadline"] - about["now"] <= 60)

    def test_without_a_limit_there_is_no_deadline(self):
        about = self.host.call("about_me")
        self.assertEqual((about["deadline"], about["remaining"], about["session_id"], about["traceparent"]), (None, None, None, None))

    def test_ten_thousand_calls_one_after_the_other(self):
        for number in range(10_000):
            self.assertEqual(self.host.call("add", [number, 1]), number + 1)

    def test_a_number_may_be_used_again_once_it_is_answered(self):
        request = frame(EXECUTE, 5, request_body("sleep", [0.012]))
        for _ in range(50):
            self.host.send(request)
            self.assertEqual(self.host.result(5).value, "slept")

    def test_a_thousand_requests_at_once_are_answered_in_order(self):
        first = 1
        for start in range(0, 1000, 100):
            self.host.send(*(
                frame(EXECUTE, number, request_body("add", [number, 1])) for number in range(first + start, first + start + 100)
            ))
        for number in range(first, first + 1000):
            self.assertEqual(self.host.result(number).value, number + 1)


class Errors(unittest.TestCase):
    def setUp(self):
        self.host = Host.start(self)

    def tearDown(self):
        self.assertEqual(self.host.call("add", [1, 1]), 2, "the worker must be as it was")

    def error(self, command, args=None, **fields):
        return self.host.error(self.host.begin(command, args, **fields))

    def test_an_unknown_command_names_the_nearest(self):
        error = self.error("ad")
        self.assertEqual(error["kind"], "unknown_command")
        self.assertIn("'add'", error["message"])
        error = self.error("xyzzyx" * 1000)
        self.assertEqual(error["kind"], "unknown_command")
        self.assertIn("add", error["message"])

    def test_wrong_arguments_are_told_before_the_command_runs(self):
        error = self.error("add", {"a": 1, "c": 2})
        self.assertEqual(error["kind"], "invalid_argument")
        self.assertIn("'c'", error["message"])
        error = self.error("add", data=b"{not json")
        self.assertEqual(error["kind"], "invalid_argument")
        self.assertIn("not JSON", error["message"])

    def test_a_type_error_of_the_command_is_its_own(self):
        error = self.error("add", [1, "x"])
        self.assertEqual((error["kind"], error["type"]), ("error", "TypeError"))

    def test_an_exception_is_told_with_its_traceback(self):
        error = self.error("fail", ["größe"])
        self.assertEqual((error["kind"], error["type"], error["message"]), ("error", "ValueError", "größe"))
        self.assertEqual((error["retryable"], error["details"], error["cause"]), (False, None, None))
        self.assertIn('raise ValueError(message)', error["traceback"])
        self.assertNotIn("snakepit_worker", error["traceback"], "the frames of the SDK help nobody")

    def test_a_command_chooses_kind_details_and_retry(self):
        error = self.error("fail", ["none left", "own"])
        self.assertEqual((error["kind"], error["type"]), ("out_of_stock", "snakepit_worker.failure.CommandError"))
        self.assertEqual((error["message"], error["retryable"], error["details"]), ("none left", True, {"left": 0}))

    def test_causes_follow_whether_raised_from_or_while_handling(self):
        error = self.error("fail", ["top", "chain"])
        chain = []
        while error is not None:
            chain.append(error["type"])
            self.assertIn("Traceback", error["traceback"])
            error = error["cause"]
        self.assertEqual(chain, ["RuntimeError", "ValueError", "KeyError"])

    def test_a_long_chain_of_causes_is_bounded(self):
        error, depth = self.error("fail", ["", "deep"]), 0
        while error is not None:
            error, depth = error["cause"], depth + 1
        self.assertEqual(depth, 9)

    def test_a_circle_of_causes_ends(self):
        error = self.error("fail", ["", "circle"])
        self.assertEqual((error["message"], error["cause"]["message"], error["cause"]["cause"]), ("first", "second", None))

    def test_a_huge_message_is_shortened(self):
        answer = self.host.answer(self.host.begin("fail", ["", "large"]))
        self.assertLess(len(answer.body), 100_000)
        self.assertIn("characters left out", answer.json["message"])

    def test_exceptions_that_fail_themselves_are_still_answers(self):
        for kind, name in (("mute", "Mute"), ("hostile", "Hostile"), ("surrogate", "ValueError"), ("details", "CommandError")):
            error = self.error("fail", ["", kind])
            self.assertEqual(error["kind"], "error", kind)
            self.assertIn(name, error["type"])

    def test_what_ends_other_programs_is_an_answer_here(self):
        for kind, name in (
            ("exit", "SystemExit"), ("keyboard", "KeyboardInterrupt"), ("generator", "GeneratorExit"), ("memory", "MemoryError"),
            ("recursion", "RecursionError"),
        ):
            error = self.error("fail", ["why", kind])
            self.assertEqual((error["kind"], error["type"]), ("error", name))

    def test_an_unserialisable_result_is_an_error_that_names_the_type(self):
        for what, word in (
            ("object", "object"), ("nan", "JSON compliant"), ("complex", "complex"), ("circle", "contains itself"), ("deep", "too deeply"),
            ("surrogate", "surrogates"), ("key", "keys must be"), ("generator", "generator"), ("hostile", "hands off"),
        ):
            with self.subTest(what):
                error = self.error("give_unserialisable", [what])
                self.assertEqual((error["kind"], error["type"]), ("error", "UnserialisableResult"))
                self.assertIn(word, error["message"])

    def test_a_payload_that_cannot_travel_is_an_error(self):
        for what in ("surrogate", "long", "number", "many"):
            with self.subTest(what):
                self.assertEqual(self.error("give_payload", [what])["type"], "UnserialisableResult")
                _, last = self.host.chunks_until_end(self.host.begin_stream("yield_payload", [what]))
                self.assertEqual(last.json["type"], "UnserialisableResult")

    def test_a_stream_called_for_one_result_and_the_other_way_round(self):
        error = self.error("count", [3])
        self.assertEqual(error["kind"], "streaming_not_supported")
        self.assertIn("is a stream", error["message"])
        error = self.host.error(self.host.begin_stream("add", [1, 2]))
        self.assertEqual(error["kind"], "streaming_not_supported")

    def test_a_request_whose_time_is_over_does_not_run(self):
        self.assertEqual(self.error("say", [["ran"]], time_left_ms=0)["kind"], "deadline_exceeded")
        self.host.call("say", [["later"]])
        self.assertEqual(self.host.lines_of_stdout(1), ["later"])

    def test_every_request_has_exactly_one_answer(self):
        numbers = [
            self.host.begin("add", [1, 2]), self.host.begin("fail"), self.host.begin("ad"), self.host.begin("add", {"x": 1}),
            self.host.begin_stream("fail_after", [0]), self.host.begin_stream("count", [0]),
        ]
        for number in numbers:
            self.host.answer(number)
        self.host.ping(1)
        for number in numbers:
            for kind in (RESULT, ERROR, END):
                self.assertEqual(self.host.count_of(kind, number), 0)


class BesideTheAnswer(unittest.TestCase):
    def setUp(self):
        self.host = Host.start(self)

    def test_progress_comes_as_events_before_the_answer(self):
        number = self.host.begin("tell_progress", [[[1], [2, 4], [4.0, 4, "größe"]]])
        came = [self.host.next() for _ in range(4)]
        self.assertEqual([(each.kind, each.request_id) for each in came], [(EVENT, number)] * 3 + [(RESULT, number)])
        self.assertEqual([each.json["progress"] for each in came[:3]], [
            {"done": 1, "total": None, "message": ""}, {"done": 2, "total": 4, "message": ""}, {"done": 4.0, "total": 4, "message": "größe"},
        ])

    def test_progress_that_cannot_be_said_is_an_error_of_the_command(self):
        error = self.host.error(self.host.begin("tell_progress", data=b'[[[1e999]]]'))
        self.assertEqual((error["kind"], error["type"]), ("error", "ValueError"))

    def test_a_long_message_is_shortened_and_not_cut(self):
        self.host.begin("tell_progress", [[[1, None, "\x00" * 1_000_000]]])
        message = self.host.expect(EVENT)
        self.assertEqual(message.frames, 1)
        self.assertIn("characters left out", message.json["progress"]["message"])

    def test_a_worker_asks_once_to_be_replaced_and_serves_on(self):
        self.host.call("wear_out", ["leaks"])
        self.assertEqual(self.host.expect(RECYCLE, 0).json, {"reason": "leaks"})
        self.assertEqual(self.host.call("add", [1, 2]), 3)
        self.assertEqual(self.host.count_of(RECYCLE, 0), 0)


class Sessions(unittest.TestCase):
    def setUp(self):
        self.host = Host.start(self)

    def test_a_session_keeps_its_state_apart_from_others(self):
        call = self.host.call
        self.assertEqual(call("remember", ["k", 1], session="a"), {"k": 1})
        self.assertEqual(call("remember", ["k", 2], session="b"), {"k": 2})
        self.assertEqual(call("remember", ["l", 3], session="a"), {"k": 1, "l": 3})
        self.assertEqual(call("recall", session="b"), {"k": 2})

    def test_an_ended_session_is_forgotten(self):
        self.host.call("remember", ["k", 1], session="größe")
        self.host.send(frame(END_SESSION, 0, "größe".encode()))
        self.assertEqual(self.host.call("recall", session="größe"), {})

    def test_ending_an_unknown_session_does_no_harm(self):
        self.host.send(frame(END_SESSION, 0, b"never heard of"), frame(END_SESSION, 0, b""))
        self.assertEqual(self.host.call("recall", session="a"), {})

    def test_a_session_that_ends_while_its_request_waits_is_kept_for_that_request_only(self):
        host = self.host
        host.call("remember", ["k", 1], session="s")
        busy = host.begin("sleep", [0.1])
        waiting = host.begin("recall", session="s")
        host.send(frame(END_SESSION, 0, b"s"))
        later = host.begin("recall", session="s")
        self.assertEqual(host.result(busy).value, "slept")
        self.assertEqual(host.result(waiting).value, {"k": 1})
        self.assertEqual(host.result(later).value, {})

    def test_state_without_a_session_is_refused(self):
        error = self.host.error(self.host.begin("remember", ["k", 1]))
        self.assertEqual(error["kind"], "invalid_argument")
        self.assertIn("session", error["message"])


if __name__ == "__main__":
    unittest.main()
