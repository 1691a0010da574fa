"""The worker that the tests drive: one command for each thing that a command may do, or do wrong."""

import os
import sys
import time

from snakepit_worker import CommandError, Payload, Worker

worker = Worker()


@worker.command
def add(a, b=2):
    """Adds two numbers."""
    return a + b


@worker.command
def echo(value):
    return value


@worker.command
def echo_payload(data, ctx):
    return Payload(data, ctx.content_type, ctx.attachments)


@worker.command
def nothing():
    return None


@worker.command
def keyword_only(a, *, b, c=3):
    return [a, b, c]


@worker.command
def any_number(*values, **named):
    return [values, named]


@worker.command
def positional_only(a, /, b):
    return [a, b]


@worker.command
def context_first(ctx, a, b=None):
    return [ctx.request_id, a, b]


@worker.command(name="dotted.name")
def another_name():
    return "here"


@worker.command
def about_me(ctx):
    return {
        "request_id": ctx.request_id, "session_id": ctx.session_id, "deadline": ctx.deadline, "remaining": ctx.remaining(),
        "now": time.monotonic(), "cancelled": ctx.cancelled, "metadata": ctx.metadata, "traceparent": ctx.traceparent,
        "attachments": [attachment.hex() for attachment in ctx.attachments], "content_type": ctx.content_type,
    }


@worker.command
def remember(key, value, ctx):
    ctx.session[key] = value
    return ctx.session


@worker.command
def recall(ctx):
    return ctx.session


@worker.command
def count(n, delay=0.0):
    for i in range(n):
        time.sleep(delay)
        yield {"i": i}


@worker.command
def count_with_clean_up(n, path):
    try:
        for i in range(n):
            print(f"made {i}")
            yield i
    finally:
        with open(path, "w") as file:
            file.write("cleaned up")


@worker.command
def fail_after(n):
    for i in range(n):
        yield i
    raise ValueError("no more")


@worker.command
def stubborn(n):
    for i in range(n):
        try:
            yield i
        except GeneratorExit:
            yield "not yet"


@worker.command
def yield_unserialisable():
    yield 1
    yield object()


@worker.command
def yield_payload(what):
    yield give_payload(what)


@worker.command
def yield_sizes(sizes):
    for size in sizes:
        yield "x" * size


@worker.command(stream=True)
def listed(items):
    return items


@worker.command
def fail(message="failed", kind="value"):
    if kind == "value":
        raise ValueError(message)
    if kind == "own":
        raise CommandError(message, kind="out_of_stock", retryable=True, details={"left": 0})
    if kind == "chain":
        try:
            try:
                {}["key"]
            except KeyError as cause:
                raise ValueError("middle") from cause
        except ValueError:
            raise RuntimeError(message)
    if kind == "deep":
        error = None
        for depth in range(1000):
            following = ValueError(f"depth {depth}")
            following.__cause__ = error
            error = following
        raise error
    if kind == "circle":
        first, second = ValueError("first"), ValueError("second")
        first.__cause__, second.__cause__ = second, first
        raise first
    if kind == "large":
        raise ValueError("x" * 10_000_000)
    if kind == "mute":
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("no text")
        raise Mute()
    if kind == "hostile":
        class Hostile(Exception):
            def __getattribute__(self, name):
                raise RuntimeError("hands off")
        raise Hostile()
    if kind == "surrogate":
        raise ValueError("half a pair: \ud800")
    if kind == "memory":
        raise MemoryError()
    if kind == "recursion":
        def deeper():
            deeper()
        deeper()
    if kind == "exit":
        sys.exit(message)
    if kind == "keyboard":
        raise KeyboardInterrupt()
    if kind == "generator":
        raise GeneratorExit()
    if kind == "details":
        raise CommandError(message, details=object())


@worker.command
def give_unserialisable(what):
    if what == "object":
        return object()
    if what == "nan":
        return [float("nan")]
    if what == "complex":
        return {"deep": [{1j}]}
    if what == "circle":
        circle = []
        circle.append(circle)
        return circle
    if what == "deep":
        deep = []
        for _ in range(100_000):
            deep = [deep]
        return deep
    if what == "surrogate":
        return "\ud800"
    if what == "key":
        return {(1, 2): 3}
    if what == "generator":
        return (i for i in range(3))
    if what == "hostile":
        class Hostile(dict):
            def items(self):
                raise OSError("hands off")
        return Hostile(a=1)
    raise AssertionError(what)


@worker.command
def give_common_values():
    import datetime
    import decimal

    return {"when": datetime.date(2026, 1, 2), "price": decimal.Decimal("1.10"), "tags": {"b", "a"}, "raw": b"\x00", "pair": (1, 2)}


@worker.command
def give_bytes(kind, size=4):
    data = bytes(index % 251 for index in range(size))
    return {"bytes": data, "bytearray": bytearray(data), "memoryview": memoryview(data)}[kind]


@worker.command
def give_payload(what):
    if what == "surrogate":
        return Payload(b"", "text/\ud800")
    if what == "long":
        return Payload(b"", "x" * 70_000)
    if what == "number":
        return Payload(b"", 5)
    if what == "many":
        return Payload(b"", "text/plain", [b""] * 70_000)
    raise AssertionError(what)


@worker.command
def give_text(size):
    return "x" * size


@worker.command
def tell_progress(steps, ctx):
    for step in steps:
        ctx.progress(*step)
    return ctx.request_id


@worker.command
def wear_out(reason, ctx):
    ctx.recycle(reason)
    ctx.recycle("once more")


@worker.command
def spin(seconds):
    """Computes without ever waiting, and without looking at anything."""
    until = time.monotonic() + seconds
    turns = 0
    while time.monotonic() < until:
        turns += 1
    return "spun"


@worker.command
def sleep(seconds):
    time.sleep(seconds)
    return "slept"


@worker.command
def wait_for_cancel(ctx):
    print("waiting", flush=True)
    while not ctx.cancelled:
        time.sleep(0.005)
    return "noticed"


@worker.command
def wait_for_file(path):
    """Runs until the test makes the file: how a test holds the worker busy for as long as it needs."""
    print("holding", flush=True)
    while not os.path.exists(path):
        time.sleep(0.005)
    return "released"


@worker.command
def storm_of_alarms(enough, within):
    """Uses a signal of its own until it has come so often; fails where it has not within so many seconds."""
    import signal

    times = []
    signal.signal(signal.SIGALRM, lambda *_: times.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        until = time.monotonic() + within
        while len(times) < enough:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(times)} alarms in {within} s")
            # An alarm ends no sleep of Python's; a short one lets the next turn see it.
            time.sleep(0.001)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return len(times)


@worker.command
def die(code):
    os._exit(code)


@worker.command
def say(lines):
    for line in lines:
        print(line)


@worker.command
def complain(line):
    print(line, file=sys.stderr)


@worker.command
def log(records, ctx):
    import logging

    for name, level, message in records:
        logging.getLogger(name).log(level, message)
    return ctx.request_id


@worker.command
def log_from_a_thread(message):
    import logging
    import threading

    thread = threading.Thread(target=lambda: logging.getLogger("aside").warning(message))
    thread.start()
    thread.join()


@worker.command
def log_exception():
    import logging

    try:
        raise ValueError("logged, not raised")
    except ValueError:
        logging.exception("caught")


@worker.command
def modules():
    return sorted(sys.modules)


LIST_FDS = """
import json, os
links = {}
for name in os.listdir("/proc/self/fd"):
    try:
        links[name] = os.readlink("/proc/self/fd/" + name)
    except OSError:
        pass
"""


@worker.command
def open_fds():
    """What the worker has open: number to target."""
    found = {}
    exec(LIST_FDS, found)
    return found["links"]


@worker.command
def fds_of_a_program():
    """What a program that a command starts finds open, and in its environment."""
    import json
    import subprocess

    told = subprocess.run(
        [sys.executable, "-c", LIST_FDS + "print(json.dumps([links, sorted(os.environ)]))"],
        stdout=subprocess.PIPE, check=True, close_fds=False,
    )
    return json.loads(told.stdout)


@worker.command
def fork_and_wait(signal_number=0):
    """Forks a child that outlives its welcome, and says how it ended."""
    child = os.fork()
    if child == 0:
        time.sleep(0 if signal_number == 0 else 60)
        os._exit(5)
    if signal_number:
        os.kill(child, signal_number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@worker.command
def leave_a_child_behind():
    """Forks a child that keeps everything open that it inherits, and says its pid."""
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    return child


if __name__ == "__main__":
    worker.run()
