"""The thread that reads for others, and how it stops: what it has read is answered, and what it has not can go elsewhere."""

import os
import select
import threading
import unittest

from fake_host import ERROR, EXECUTE, HANG, RESULT, Host, program, request_body, frame

from snakepit_worker.incoming import Incoming
from snakepit_worker.listening import Listening
from snakepit_worker.outgoing import Outgoing

SEVERAL = """
    import asyncio, os, signal, time
    from snakepit_worker import Worker
    from snakepit_worker.intake import Intake
    worker = Worker({how})
    refuse = Intake.refuse

    def refuse_slowly(intake, request):
        time.sleep(0.002)
        refuse(intake, request)

    Intake.refuse = refuse_slowly

    @worker.command
    {define} add(a, b):
        return a + b

    @worker.command
    {define} leave():
        os.kill(os.getpid(), signal.SIGTERM)
        {nap}(0.05)

    worker.run()
"""


class ReadingNoMore(unittest.TestCase):
    """A worker that left in the middle of what had just been read answered none of it, and it went nowhere else."""

    def pipe(self):
        ends = os.pipe()
        for end in ends:
            self.addCleanup(lambda fd=end: self.closed(fd))
        return ends

    def closed(self, fd):
        try:
            os.close(fd)
        except OSError:
            pass

    def test_what_was_read_is_seen_to_first_and_the_rest_stays_in_the_pipe(self):
        (read_fd, write_fd), (_, out_fd) = self.pipe(), self.pipe()
        taken, begun, go_on, ended = [], threading.Event(), threading.Event(), threading.Event()

        def take_in(data):
            begun.set()
            go_on.wait(HANG)
            taken.append(data)

        reading = Listening(read_fd, Incoming(), Outgoing(out_fd), take_in, ended.set, lambda: None)
        reading.start()
        os.write(write_fd, b"read")
        self.assertTrue(begun.wait(HANG))
        threading.Timer(0.01, go_on.set).start()
        reading.read_no_more()
        self.assertEqual(taken, [b"read"])
        os.write(write_fd, b"unread")
        # Whoever leaves still hears of the end of the host.
        self.assertFalse(ended.is_set())
        os.close(write_fd)
        self.assertTrue(ended.wait(HANG))
        self.assertEqual((taken, os.read(read_fd, 100)), ([b"read"], b"unread"))
        self.assertEqual(select.select([read_fd], [], [], 0)[0], [read_fd])

    def test_a_worker_that_is_told_to_leave_answers_all_that_it_has_read(self):
        ways = (("", "def", "time.sleep"), ("threads=2", "def", "time.sleep"), ("tasks=2", "async def", "await asyncio.sleep"))
        for how, define, nap in ways:
            host = Host.start(self, program(self, SEVERAL.format(how=how, define=define, nap=nap)))
            host.call("add", [1, 2])
            numbers = range(1000, 1060)
            burst = b"".join(frame(EXECUTE, number, request_body("leave", []) if number < 1002 else request_body("add", [1, 2])) for number in numbers)
            # All of it comes with one read.
            self.assertLess(len(burst), select.PIPE_BUF)
            host.send(burst)
            answered = {}
            while len(answered) < len(numbers):
                answer = host.next()
                answered[answer.request_id] = answer.kind
            self.assertEqual(set(answered), {*numbers}, how)
            self.assertLessEqual(set(answered.values()), {RESULT, ERROR})
            self.assertEqual(host.wait_for_exit(), 0)


if __name__ == "__main__":
    unittest.main()
