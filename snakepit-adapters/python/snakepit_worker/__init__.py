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

Rooms, in the order in which a request meets them: `frame` (bytes on the pipes), `incoming` (frames to messages), `request`, `intake`
(what is answered at once), `waiting_line`, `serving` (from the check to the answer), `invocation` (arguments against `signature` and
`annotations`), `context`, `answer`, `failure`, `outgoing`. Three ways of serving: `inline` with `beginning` (which requests
begin in one breath) and `reading` (who reads while the main thread computes), `threads` and `tasks` with `listening`; `stopping` is
what SIGTERM does to each. Around them: `worker`, `registry`,
`service` (classes with commands), `lifetime` (set-up and tear-down), `port` and `stdio` (where the wire is), `grpc_server`
with `grpc_message` (the wire on a gRPC stream), `handshake`, `leaving`,
`log_frames`, `voice` (progress), `payload`, `json_text`, `fast_json`, `values`. Without a host: `alone`, `by_hand`, `testing`, `conformance`.

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
