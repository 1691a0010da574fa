"""Where the time of one request goes in a worker that runs them one at a time: each step alone, and a worker as a whole.

    taskset -c 1 python3 snakepit-adapters/python/benchmarks/one_request.py

Nanoseconds of processor time for each request, the smallest of many rounds, with as many requests in one write as stand above
the columns. The steps are measured in this process with everything in the caches; the worker is one of its own, and Linux
tells what it used.
"""

import os
import pathlib
import sys
import time

SDK = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SDK))

import round_trip  # noqa: E402
from snakepit_worker.answer import result_frames  # noqa: E402
from snakepit_worker.beginning import begin_together, next_expectation, started_frames  # noqa: E402
from snakepit_worker.inline import InlineServing  # noqa: E402
from snakepit_worker.registry import Registry  # noqa: E402
from snakepit_worker.request import Heads  # noqa: E402

ROUNDS, CALLS, LIMIT = 2000, 3200, 1 << 26
OCTETS = b"application/octet-stream"
COLUMNS = (1, 32)


def echo(data: bytes) -> bytes:
    return data


def least(step, count):
    """Nanoseconds a request, without what it takes to look at the clock."""
    return (least_time(step) - least_time(lambda: None)) / count * 1e9


def least_time(step):
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - began)
    return best


def steps(count):
    """What each step takes, by name, in the order in which a request meets them."""
    registry = Registry()
    command = registry.add("echo", echo, None)
    from_host, to_worker = os.pipe()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    serving = InlineServing(registry, from_host, nowhere, "benchmark")
    intake, line, outgoing = serving._intake, serving.waiting_line, serving.outgoing
    data = b"".join(round_trip.execute(number + 1, b"echo", b"x" * 64, OCTETS) for number in range(count))
    messages, parse = intake.incoming.feed(data), Heads().parse
    requests = [parse(number, body, 0.0) for _, number, body in messages]
    by_id = {request.id: request for request in requests}
    command.call(requests[0])
    command.expected = 0.0
    held = []

    def take_in():
        for request in requests:
            intake._on_request(request)
        line.waiting.clear()

    def take():
        line.waiting.update(by_id)
        while line.take() is not None:
            pass

    def tell():
        line.waiting.update(by_id)
        held.append(started_frames(begin_together(requests[0], line.peek(15))))
        held.clear()
        line.waiting.clear()

    def answer():
        for request in requests:
            serving._answer(request, (b"",))
        outgoing._frames.clear()

    def write():
        outgoing.put(data)
        outgoing.flush()

    def each(call):
        def step():
            for request in requests:
                call(request)

        return least(step, count)

    take_in()
    return {
        "frames found": least(lambda: intake.incoming.feed(data), count),
        "request read": least(lambda: [parse(number, body, 0.0) for _, number, body in messages], count),
        "command found, put in line": least(take_in, count),
        "taken from the line": least(take, count),
        # Its host does not ask for that where it hands over one at a time.
        "said to begin": least(tell, min(count, 16)) if count > 1 else 0.0,
        "checked": each(lambda request: serving._checked(request, 0.0)),
        "command called": each(command.call),
        "result framed": each(lambda request: result_frames(request.id, request.data, LIMIT, request.content_type)),
        "answered": least(answer, count),
        "clock, and what it tells of the command": each(lambda _: next_expectation(0.0, time.monotonic())),
        "written, to nowhere": least(write, count),
    }


def whole(count):
    """What a worker uses for each, its system calls included."""
    process, write_fd, read_fd = round_trip.start(round_trip.SERVED, environment={"SNAKEPIT_WIRE": "port"})
    features = b'{"protocol":[1],"features":["started"]}' if count > 1 else b'{"protocol":[1]}'
    os.write(write_fd, round_trip.HEADER.pack(12 + len(features), 1, 0, 0, 0) + features)
    os.read(read_fd, 65536)
    data = b"".join(round_trip.execute(number + 1, b"echo", b"x" * 64, OCTETS) for number in range(count))
    answers = count * (16 + 8 + len(OCTETS) + 64 + (16 if count > 1 else 0))
    best = float("inf")
    for _ in range(20):
        began = used_by(process.pid)
        for _ in range(CALLS // count):
            os.write(write_fd, data)
            came = 0
            while came < answers:
                came += len(os.read(read_fd, 65536))
        best = min(best, (used_by(process.pid) - began) / (CALLS // count * count))
    round_trip.stop(process, write_fd, read_fd)
    return best


def used_by(pid):
    """Nanoseconds of processor time of its main thread so far."""
    with open(f"/proc/{pid}/task/{pid}/schedstat") as figures:
        return int(figures.read().split()[0])


if __name__ == "__main__":
    print(f"Python {sys.version.split()[0]}; requests in one write:", *COLUMNS)
    columns = [steps(count) for count in COLUMNS]
    for name in columns[0]:
        print(f"{name:42}", *(f"{column[name]:6.0f}" for column in columns))
    print(f"{'all of these':42}", *(f"{sum(column.values()):6.0f}" for column in columns))
    print(f"{'a worker, its system calls included':42}", *(f"{whole(count):6.0f}" for count in COLUMNS))
