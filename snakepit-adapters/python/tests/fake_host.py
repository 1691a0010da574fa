"""A host of one worker over real pipes, written from proto/README.md with a codec of its own.

It waits for frames with a deadline that fails loudly, and leaves no process behind: `Host.start` registers a clean-up that
ends the worker and holds its exit code against the expected one.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import time

import sdk_path

HANG = 30.0
"""Seconds after which a test that waits has failed: generous, since machines are slow; no test is meant to come near it."""

HELLO, EXECUTE, EXECUTE_STREAM, CANCEL, CREDIT, END_SESSION, PING, DRAIN = range(0x01, 0x09)
PART = 0x21
READY, STARTED, RESULT, ERROR, CHUNK, END, PONG, LOG, EVENT, RECYCLE = range(0x41, 0x4B)
OPTIONAL, MORE = 1, 2
PIECE = 262_144


def frame(kind, request_id=0, body=b"", flags=0):
    return struct.pack(">IBBHQ", 12 + len(body), kind, flags, 0, request_id) + body


def request_body(command, args=None, *, data=None, session="", content_type="", time_left_ms=0xFFFFFFFF, traceparent="", metadata=(), attachments=()):
    if data is None:
        data = b"" if args is None else json.dumps(args).encode()
    texts = [text.encode() for text in (command, session, content_type, traceparent)]
    pairs = b"".join(
        struct.pack(">HH", len(key.encode()), len(value.encode())) + key.encode() + value.encode() for key, value in metadata
    )
    head = struct.pack(">IHHHHIHHI", time_left_ms, *map(len, texts), len(pairs), len(attachments), 0, len(data))
    lengths = struct.pack(f">{len(attachments)}I", *map(len, attachments))
    return b"".join((head, lengths, *texts, pairs, data, *attachments))


def cut(kind, request_id, body, piece=PIECE):
    pieces = [body[start:start + piece] for start in range(0, len(body), piece)] or [b""]
    last = len(pieces) - 1
    return [
        frame(kind if index == 0 else PART, request_id, part, MORE if index < last else 0) for index, part in enumerate(pieces)
    ]


def program(test, source):
    """The path of a worker program that lives as long as the test."""
    file = tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8")
    test.addCleanup(file.close)
    file.write(textwrap.dedent(source))
    file.flush()
    return file.name


class Message:
    """What the worker said, put together."""

    def __init__(self, kind, request_id, body, frames):
        self.kind, self.request_id, self.body, self.frames = kind, request_id, body, frames

    def __repr__(self):
        return f"<kind {self.kind:#04x} of {self.request_id}: {self.body[:200]!r}>"

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def payload(self):
        """content type, data, attachments"""
        type_length, count, size = struct.unpack_from(">HHI", self.body)
        lengths = struct.unpack_from(f">{count}I", self.body, 8)
        at = 8 + 4 * count
        fields = []
        for length in (type_length, size, *lengths):
            fields.append(self.body[at:at + length])
            at += length
        assert at == len(self.body), f"lengths that do not add up: {self!r}"
        return fields[0].decode(), fields[1], fields[2:]

    @property
    def value(self):
        content_type, data, _ = self.payload
        assert content_type == "", f"not JSON: {self!r}"
        return json.loads(data)


class Host:
    """One worker and the pipes to it."""

    def __init__(self, process, write_fd, read_fd):
        self.process, self.write_fd, self.read_fd = process, write_fd, read_fd
        self.expected_exit = 0
        # As a host must; off by default, since most tests ask for more than the contract does.
        self.reads_while_it_sends = False
        self.messages = []
        self._bytes, self._cut, self._next_id = b"", {}, 0
        self.ended = False

    @classmethod
    def start(cls, test, program=sdk_path.SUBJECT, *, arguments=(), greet=True, hello=None, environment=None, wire="port"):
        to_worker_read, to_worker_write = os.pipe()
        from_worker_read, from_worker_write = os.pipe()
        # Above 3 and 4, so that putting one end in its place cannot close the other.
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (to_worker_read, from_worker_write)]
        os.close(to_worker_read)
        os.close(from_worker_write)

        def in_child():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        variables = {**os.environ, "SNAKEPIT_WIRE": wire, "PYTHONPATH": str(sdk_path.SDK), **(environment or {})}
        command = program if isinstance(program, list) else [sys.executable, str(program)]
        where = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "close_fds": False, "preexec_fn": in_child}
        if wire == "stdio":
            where = {"stdin": ends[0], "stdout": ends[1]}
        process = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, env=variables, **where)
        for fd in ends:
            os.close(fd)
        host = cls(process, to_worker_write, from_worker_read)
        test.addCleanup(host._end, test)
        if greet:
            host.greet(hello)
        return host

    def greet(self, hello=None):
        fields = {"protocol": [1], "features": [], "pool": "default", "slot": 0, "incarnation": 1, "payload_limit": 67108864}
        self.send(frame(HELLO, 0, json.dumps({**fields, **(hello or {})}).encode()))
        self.ready = self.expect(READY).json

    # To the worker

    def send(self, *frames):
        data = b"".join(frames)
        while data:
            readable, writable, _ = select.select([self.read_fd] if self.reads_while_it_sends else [], [self.write_fd], [], HANG)
            assert readable or writable, "the worker does not read"
            if readable:
                self._read(0.0)
                continue
            # At most what a pipe with room is sure to take, so that the write cannot block past the deadline.
            data = data[os.write(self.write_fd, data[:select.PIPE_BUF]):]

    def begin(self, command, args=None, **fields):
        """Sends an Execute and returns its id."""
        self._next_id += 1
        self.send(*cut(EXECUTE, self._next_id, request_body(command, args, **fields)))
        return self._next_id

    def begin_stream(self, command, args=None, *, chunks=1 << 20, size=1 << 30, **fields):
        self._next_id += 1
        self.send(*cut(EXECUTE_STREAM, self._next_id, struct.pack(">II", chunks, size) + request_body(command, args, **fields)))
        return self._next_id

    def give_credit(self, request_id, chunks, size=1 << 20):
        self.send(frame(CREDIT, request_id, struct.pack(">II", chunks, size)))

    def ping(self, number):
        """Sends a Ping and waits for its Pong; says how long that took."""
        began = time.monotonic()
        self.send(frame(PING, number))
        self.expect(PONG, number)
        return time.monotonic() - began

    def hang_up(self):
        """Ends the input of the worker, as the death of the host would."""
        if self.write_fd is not None:
            os.close(self.write_fd)
            self.write_fd = None

    # From the worker

    def call(self, command, args=None, **fields):
        """The value of a command that must succeed."""
        return self.result(self.begin(command, args, **fields)).value

    def result(self, request_id):
        answer = self.answer(request_id)
        assert answer.kind == RESULT, f"not a result: {answer!r}"
        return answer

    def error(self, request_id):
        answer = self.answer(request_id)
        assert answer.kind == ERROR, f"not an error: {answer!r}"
        return answer.json

    def answer(self, request_id):
        """The Result, Error or End of a request."""
        return self._wait(lambda message: message.request_id == request_id and message.kind in (RESULT, ERROR, END))

    def next(self):
        """Whatever comes next."""
        return self._wait(lambda _: True)

    def expect(self, kind, request_id=None):
        return self._wait(lambda message: message.kind == kind and request_id in (None, message.request_id))

    def chunks_until_end(self, request_id):
        """The values of a stream's chunks, and its last message."""
        values = []
        while True:
            message = self._wait(lambda message: message.request_id == request_id and message.kind in (CHUNK, END, ERROR))
            if message.kind != CHUNK:
                return values, message
            values.append(message.value)

    def count_of(self, kind, request_id):
        """How many such messages have come and were not taken."""
        self._read(0.0)
        return sum(message.kind == kind and message.request_id == request_id for message in self.messages)

    def _wait(self, is_wanted):
        until = time.monotonic() + HANG
        while True:
            for index, message in enumerate(self.messages):
                if is_wanted(message):
                    return self.messages.pop(index)
            left = until - time.monotonic()
            assert left > 0, f"nothing of what was expected came; there is {self.messages!r}"
            assert not self.ended, f"the worker ended (stderr below); there is {self.messages!r}\n{self.stderr()}"
            self._read(left)

    def _read(self, seconds):
        readable, _, _ = select.select([self.read_fd], [], [], seconds)
        if not readable:
            return
        data = os.read(self.read_fd, 1 << 20)
        self.ended = not data
        self._bytes += data
        while len(self._bytes) >= 16:
            length, kind, flags, reserved, request_id = struct.unpack_from(">IBBHQ", self._bytes)
            assert 12 <= length <= 1 << 20 and reserved == 0 and flags & ~3 == 0, f"not a frame: {self._bytes[:64]!r}"
            if len(self._bytes) < 4 + length:
                break
            body, self._bytes = self._bytes[16:4 + length], self._bytes[4 + length:]
            self._take(kind, flags, request_id, body)

    def _take(self, kind, flags, request_id, body):
        assert len(body) <= PIECE, f"a piece of {len(body)} bytes"
        if kind == PART or flags & MORE:
            if kind == PART:
                kind, pieces = self._cut[request_id]
            else:
                assert request_id not in self._cut, f"two bodies of {request_id} at once"
                pieces = []
                self._cut[request_id] = kind, pieces
            pieces.append(body)
            if flags & MORE:
                return
            del self._cut[request_id]
            self.messages.append(Message(kind, request_id, b"".join(pieces), len(pieces)))
        else:
            self.messages.append(Message(kind, request_id, body, 1))

    # The process

    def wait_for_exit(self, seconds=HANG):
        """The exit code. A worker that does not leave in time fails the test."""
        return self.process.wait(seconds)

    def stderr(self):
        """All of stderr, once the worker has ended."""
        try:
            self.process.wait(HANG)
        except subprocess.TimeoutExpired:
            return "(still running)"
        return self.process.stderr.read().decode()

    def lines_of_stdout(self, count):
        """The next lines that the worker printed."""
        lines, data, until = [], b"", time.monotonic() + HANG
        fd = self.process.stdout.fileno()
        while len(lines) < count:
            readable, _, _ = select.select([fd], [], [], max(0.0, until - time.monotonic()))
            assert readable, f"only these lines came: {data!r}"
            # One byte at a time, so that nothing is taken from whoever reads on.
            data += os.read(fd, 1)
            lines = data.split(b"\n")[:-1]
        return [line.decode() for line in lines]

    def _end(self, test):
        self.hang_up()
        try:
            code = self.process.wait(HANG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "still there long after its host was gone"
        with self.process.stderr, self.process.stdout or contextlib.nullcontext():
            said = self.process.stderr.read().decode(errors="replace")
        os.close(self.read_fd)
        if self.expected_exit is not None:
            test.assertEqual(code, self.expected_exit, f"exit code; stderr was:\n{said}")

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)
