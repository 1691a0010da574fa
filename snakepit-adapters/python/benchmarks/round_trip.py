"""Figures of the Python worker against bare loops on the same pipes, in one run: round trips, many at once, start.

    python3 snakepit-adapters/python/benchmarks/round_trip.py            everything, about a minute
    taskset -c 1 python3 .../round_trip.py                               on one processor: steadier

Only the ratios count. Every figure is a median over interleaved rounds.
"""

import fcntl
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import time

SDK = pathlib.Path(__file__).resolve().parent.parent
ROUNDS, CALLS, OUTSTANDING = 15, 4000, 64
HEADER = struct.Struct(">IBBHQ")
REQUEST = struct.Struct(">IHHHHIHHI")

BARE_ECHO = """
import os
while True:
    data = os.read(3, 65536)
    if not data: break
    os.write(4, data)
"""

BARE_JSON = """
import os, json
while True:
    data = os.read(3, 65536)
    if not data: break
    os.write(4, json.dumps(json.loads(data)).encode())
"""

SERVED = """
from snakepit_worker import Worker
worker = Worker()
@worker.command
def echo(value):
    return value
@worker.command
def five(a, b, c, d, e):
    return {"a": a, "b": b, "c": c, "d": d, "e": e}
@worker.command
def aware(value, ctx):
    return value
worker.run()
"""


def start(code, *, environment=None):
    to_worker, from_worker = os.pipe(), os.pipe()
    ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (to_worker[0], from_worker[1])]

    def in_child():
        os.dup2(ends[0], 3)
        os.dup2(ends[1], 4)

    variables = {**os.environ, "PYTHONPATH": str(SDK), **(environment or {})}
    # A worker that compiles the SDK at every start would take three times as long to come up.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(
        [sys.executable, "-c", code], close_fds=False, preexec_fn=in_child, stdin=subprocess.DEVNULL, env=variables,
    )
    for fd in (*ends, to_worker[0], from_worker[1]):
        os.close(fd)
    return process, to_worker[1], from_worker[0]


def stop(process, write_fd, read_fd):
    os.close(write_fd)
    os.close(read_fd)
    process.wait()


def greet(write_fd, read_fd):
    body = b'{"protocol":[1]}'
    os.write(write_fd, HEADER.pack(12 + len(body), 1, 0, 0, 0) + body)
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack_from(">I", data)[0]:
        data += os.read(read_fd, 65536)


def execute(number, command, data, content_type=b""):
    fixed = REQUEST.pack(0xFFFFFFFF, len(command), 0, len(content_type), 0, 0, 0, 0, len(data))
    body = fixed + command + content_type + data
    return HEADER.pack(12 + len(body), 2, 0, 0, number) + body


def one_at_a_time(write_fd, read_fd, message):
    """Microseconds a round trip."""
    began = time.perf_counter()
    for _ in range(CALLS):
        os.write(write_fd, message)
        os.read(read_fd, 65536)
    return (time.perf_counter() - began) / CALLS * 1e6


def many_at_once(write_fd, read_fd, message, answer_size):
    """Thousands of messages a second, `OUTSTANDING` of them under way."""
    sent = received = 0
    total = CALLS * 5
    began = time.perf_counter()
    while received < total:
        free = min(OUTSTANDING - (sent - received), total - sent)
        if free:
            os.write(write_fd, message(sent, free))
            sent += free
        received_bytes = len(os.read(read_fd, 65536))
        while received_bytes % answer_size:
            received_bytes += len(os.read(read_fd, 65536))
        received += received_bytes // answer_size
    return total / (time.perf_counter() - began) / 1e3


def round_trips():
    payload, five = b"x" * 64, b'{"a":1,"b":"two","c":[3,4],"d":null,"e":5.5}'
    octets = b"application/octet-stream"
    bare, bare_json = start(BARE_ECHO), start(BARE_JSON)
    served = start(SERVED, environment={"SNAKEPIT_WIRE": "port"})
    greet(*served[1:])
    cases = {
        "bare echo loop, 64 bytes": (bare, payload),
        "SDK, echo of 64 bytes": (served, execute(1, b"echo", payload, octets)),
        "SDK, the same with ctx": (served, execute(1, b"aware", payload, octets)),
        "bare json loop, 5 keys": (bare_json, five),
        "SDK, 5 keys by name": (served, execute(1, b"five", five)),
    }
    figures = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, ((_, write_fd, read_fd), message) in cases.items():
            figures[name].append(one_at_a_time(write_fd, read_fd, message))
    medians = {name: statistics.median(values) for name, values in figures.items()}
    base = medians["bare echo loop, 64 bytes"]
    for name, figure in medians.items():
        print(f"{name:36} {figure:8.1f} us   {figure / base:5.2f} x bare echo")
    print(f"{'SDK 5 keys against bare json':36} {'':11}   {medians['SDK, 5 keys by name'] / medians['bare json loop, 5 keys']:5.2f} x bare json")

    one = execute(1, b"echo", payload, octets)
    answer = 16 + 8 + len(octets) + len(payload)
    rates = {"bare": [], "served": []}
    for _ in range(ROUNDS):
        rates["bare"].append(many_at_once(*bare[1:], lambda sent, count: one * count, len(one)))
        rates["served"].append(many_at_once(
            *served[1:], lambda sent, count: b"".join(execute(sent + i + 1, b"echo", payload, octets) for i in range(count)), answer))
    bare_rate, served_rate = (statistics.median(values) for values in rates.values())
    print(f"{OUTSTANDING} under way: bare {bare_rate:.0f} k/s, SDK {served_rate:.0f} k/s ({served_rate / bare_rate:.2f} x bare; host's encoding included)")
    for worker in (bare, bare_json, served):
        stop(*worker)


def start_up():
    def seconds(code, environment=None):
        began = time.perf_counter()
        worker = start(code, environment=environment)
        if environment:
            greet(*worker[1:])
            taken = time.perf_counter() - began
        else:
            worker[0].wait()
            taken = time.perf_counter() - began
        stop(*worker)
        return taken * 1e3

    cases = {"python3 -c pass, to its end": ("pass", None), "the same with json imported": ("import json", None), "SDK, to Ready": (SERVED, {"SNAKEPIT_WIRE": "port"})}
    figures = {name: [] for name in cases}
    for _ in range(40):
        for name, case in cases.items():
            figures[name].append(seconds(*case))
    medians = {name: statistics.median(values) for name, values in figures.items()}
    base = next(iter(medians.values()))
    for name, figure in medians.items():
        print(f"{name:36} {figure:8.1f} ms   {figure - base:+5.1f} ms")


if __name__ == "__main__":
    print(f"Python {sys.version.split()[0]}")
    round_trips()
    start_up()
