"""What a worker says: printed lines, stderr, log records."""

import unittest

from fake_host import LOG, Host, program

TRACE, DEBUG, INFO, WARNING, ERROR_LEVEL, CRITICAL = 5, 10, 20, 30, 40, 50


class Console(unittest.TestCase):
    def test_printed_lines_come_at_once(self):
        host = Host.start(self)
        host.call("say", [["one", "größe"]])
        # The worker lives on: nothing but the end of the line has pushed these out.
        self.assertEqual(host.lines_of_stdout(2), ["one", "größe"])

    def test_stderr_is_the_programs_own(self):
        host = Host.start(self)
        host.call("complain", ["oh no"])
        host.hang_up()
        self.assertIn("oh no", host.stderr())


class LogRecords(unittest.TestCase):
    def next_log(self, host):
        message = host.expect(LOG)
        return message.request_id, message.json

    def test_records_come_with_level_logger_and_request(self):
        host = Host.start(self)
        number = host.begin("log", [[["app.db", INFO, "hello"], ["app", WARNING, "careful"], ["app", CRITICAL, "worst"]]])
        for level, logger, message in (("info", "app.db", "hello"), ("warn", "app", "careful"), ("error", "app", "worst")):
            self.assertEqual(self.next_log(host), (number, {"level": level, "logger": logger, "message": message}))
        self.assertEqual(host.result(number).value, number)

    def test_a_record_comes_before_the_answer_of_its_request(self):
        host = Host.start(self)
        number = host.begin("log", [[["app", INFO, "first"]]])
        host.result(number)
        self.assertEqual(host.count_of(LOG, number), 1)

    def test_below_info_nothing_is_sent_unless_the_root_logger_says_so(self):
        host = Host.start(self)
        host.call("log", [[["app", DEBUG, "quiet"], ["app", INFO, "loud"]]])
        self.assertEqual(self.next_log(host)[1]["message"], "loud")

    def test_the_level_of_a_configured_root_logger_counts_and_its_console_is_replaced(self):
        host = Host.start(self, program(self, """
            import logging
            logging.basicConfig(level=5)
            from snakepit_worker import Worker
            worker = Worker()
            @worker.command
            def log():
                logging.log(5, "finest")
                logging.debug("fine")
            worker.run()
        """))
        host.call("log")
        self.assertEqual([self.next_log(host)[1]["level"] for _ in range(2)], ["trace", "debug"])
        host.hang_up()
        self.assertEqual(host.stderr(), "")

    def test_a_record_outside_of_any_request_has_number_zero(self):
        host = Host.start(self)
        host.call("log_from_a_thread", ["aside"])
        self.assertEqual(self.next_log(host), (0, {"level": "warn", "logger": "aside", "message": "aside"}))

    def test_an_exception_is_logged_with_its_traceback(self):
        host = Host.start(self)
        host.call("log_exception")
        message = self.next_log(host)[1]["message"]
        self.assertTrue(message.startswith("caught\nTraceback"), message)
        self.assertIn("logged, not raised", message)

    def test_long_and_odd_messages_are_made_to_fit(self):
        host = Host.start(self)
        host.call("log", [[["app", INFO, "\x00" * 1_000_000], ["app", INFO, "half \ud800 pair"]]])
        first, second = host.expect(LOG), host.expect(LOG)
        self.assertEqual(first.frames, 1)
        self.assertIn("characters left out", first.json["message"])
        self.assertEqual(second.json["message"], "half \\ud800 pair")

    def test_threads_that_log_while_results_are_sent_tear_no_frame(self):
        host = Host.start(self, program(self, """
            import logging, threading
            from snakepit_worker import Worker
            worker = Worker()
            @worker.command
            def large(size):
                return "x" * size
            def chatter(name):
                for number in range(2000):
                    logging.info("%s says %d", name, number)
            @worker.command
            def start():
                for name in "abc":
                    threading.Thread(target=chatter, args=(name,), daemon=True).start()
            worker.run()
        """))
        host.call("start")
        for _ in range(20):
            self.assertEqual(len(host.call("large", [700_000])), 700_000)
        said = {"a": [], "b": [], "c": []}
        for _ in range(6000):
            name, _, number = host.expect(LOG).json["message"].split()
            said[name].append(int(number))
        self.assertEqual([numbers == list(range(2000)) for numbers in said.values()], [True] * 3)

    def test_finalizers_that_log_in_the_middle_of_a_write_do_not_stop_the_worker(self):
        host = Host.start(self, program(self, """
            import gc, logging
            from snakepit_worker import Worker
            worker = Worker()
            gc.set_threshold(5, 1, 1)
            class Chatty:
                def __init__(self):
                    self.me = self
                def __del__(self):
                    logging.info("gone")
            @worker.command
            def make(number):
                for _ in range(number):
                    Chatty()
                return [["x"] * 10 for _ in range(100)]
            worker.run()
        """))
        for _ in range(300):
            host.call("make", [5])


if __name__ == "__main__":
    unittest.main()
