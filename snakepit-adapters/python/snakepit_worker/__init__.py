"""The door of the Python worker SDK: functions become commands that a snakepit pool can call.

    from snakepit_worker import Worker

    worker = Worker()

    @worker.command
    def add(a: int, b: int) -> int:
        return a + b

    @worker.command
    def count(n: int):              # a generator is a stream
        for i in range(n):
            yield {"i": i}

    worker.run()

Rooms, in the order in which a request meets them: `frame` (bytes on the pipes), `incoming` (frames to messages), `request`,
`serving` (the loop of the main thread), `reading` (who reads while the main thread computes), `waiting_line`, `invocation`
(arguments against the signature), `context`, `answer`, `failure`, `outgoing`. Beside them: `worker`, `json_text`, `payload`,
`log_frames`, `by_hand`, `service` (classes with commands), `lifetime` (set-up and tear-down),
`stdio` (the other place of the wire), `conformance`, `alone` and `testing` (commands without a host).

Nothing here imports `typing`, `re`, `inspect`, `logging` or `threading` at start: together they would double the time until
a worker is ready.
"""

import os

if os.environ.get("SNAKEPIT_WIRE") == "stdio":
    from . import stdio

    stdio.take()

from .context import Context
from .failure import CommandError
from .payload import Payload
from .service import command, setup, teardown
from .worker import Worker

__all__ = ["CommandError", "Context", "Payload", "Worker", "command", "setup", "teardown"]
__version__ = "0.1.0"
