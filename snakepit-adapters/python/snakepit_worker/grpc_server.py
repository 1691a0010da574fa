"""Serves the `grpc` wire: a gRPC server whose one stream, or whose calls, are passed on, through two pipes, to the loop that
serves `port`.

The stream carries what the pipes carry, and calls are turned into it, so nothing behind them knows the difference. The thread on
which the server receives passes on what the host says, another takes what is there for it, all in one message. `proto/grpc.md`
is the contract.
"""

from __future__ import annotations

import hmac
import os
import select
from _thread import allocate_lock, start_new_thread

from .frame import BODY_MARGIN, DEFAULT_PAYLOAD_LIMIT
from .grpc_calls import STREAMS, THREADS, Calls
from .grpc_message import frames_message, frames_of
from .leaving import WRONG_WIRE, leave_now, leave_within
from .listening import READ_SIZE
from .port import serve_on
from .serving import GONE_GRACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Optional, Tuple

    from .registry import Registry

ADDRESS_VARIABLE, TOKEN_VARIABLE = "SNAKEPIT_GRPC_ADDRESS", "SNAKEPIT_GRPC_TOKEN"

FROM_HOST_FD, TO_HOST_FD = 3, 4

MESSAGE_LIMIT = 512 << 10
"""The most that is sent in one message; twice that is taken."""

FAREWELL = 1.0
"""Seconds for the last answers to leave."""

NOT_SERVING, SERVING = b"\x08\x02", b"\x08\x01"
"""A HealthCheckResponse with this status."""

STREAM, CALLS = "stream", "calls"
"""The ways in which a worker is asked. The first to come decides for the rest of its life."""


def serve_grpc(registry: Registry, agent: str) -> None:
    """Serves until the worker is to leave, then returns, so that the program ends in its own way."""
    try:
        import grpc
    except ImportError as error:
        leave_now(WRONG_WIRE, f"SNAKEPIT_WIRE is 'grpc', which needs grpcio ({error}): pip install 'snakepit-worker[grpc]'")
        raise
    address, token = (os.environ.pop(name, "") for name in (ADDRESS_VARIABLE, TOKEN_VARIABLE))
    if not address or not token:
        leave_now(WRONG_WIRE, f"SNAKEPIT_WIRE is 'grpc', but {ADDRESS_VARIABLE} and {TOKEN_VARIABLE} do not say where and for whom")
    # Before anything is opened, which may get these numbers where no host has.
    from_host, to_host = _host_pipe(FROM_HOST_FD), _host_pipe(TO_HOST_FD)
    stream = HostStream()
    server = _server(grpc, stream, token)
    try:
        listening_at = _listen(server, address)
    except (RuntimeError, OSError, ValueError) as error:
        leave_now(1, f"cannot listen on {address}: {error}")
        raise
    server.start()

    def say_where() -> None:
        # Whoever hears it asks for the health at once: not before there is something good to say of it.
        stream.is_set_up = True
        if to_host is not None:
            os.write(to_host, f"{listening_at}\n".encode())

    if from_host is not None:
        start_new_thread(stream.watch_host, (from_host,))
    try:
        serve_on(registry, stream.read_fd, stream.write_fd, agent, say_where)
    finally:
        stream.end()
        server.stop(FAREWELL).wait()


def _server(grpc: Any, stream: HostStream, token: str) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    expected = f"Bearer {token}".encode()

    def admit(context: Any) -> None:
        given = [value for key, value in context.invocation_metadata() if key == "authorization"]
        # As bytes: a text that is not ASCII cannot be compared, and is refused as any other. Who says it twice, differently,
        # has not said it.
        if len(given) != 1 or not hmac.compare_digest(str(given[0]).encode("utf-8", "surrogatepass"), expected):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the call lacks the token of this worker")

    def check(_: bytes, context: Any) -> bytes:
        admit(context)
        return SERVING if stream.is_set_up else NOT_SERVING

    def connect(messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        admit(context)
        if not stream.take(STREAM):
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "a host is connected already")
        # Otherwise they would go with the first answer, and some hosts wait for them.
        context.send_initial_metadata(())
        start_new_thread(stream.bring, (messages,))
        return stream.answers()

    calls = Calls(stream.write)

    def served(name: str) -> Any:
        """A call, if nothing but calls asks this worker."""
        serve = getattr(calls, name)

        def admitted(message: bytes, context: Any) -> Any:
            admit(context)
            if not stream.take(CALLS):
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "a host is connected, and it alone asks this worker")
            calls.begin(stream.out_fd)
            return serve(message, context)

        return admitted

    health = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    worker = {
        "Connect": grpc.stream_stream_rpc_method_handler(connect, request_deserializer=stream.receive, response_serializer=frames_message),
        "Execute": grpc.unary_unary_rpc_method_handler(served("execute")),
        "ExecuteStream": grpc.unary_stream_rpc_method_handler(served("execute_stream")),
        "Cancel": grpc.unary_unary_rpc_method_handler(served("cancel")),
        "EndSession": grpc.unary_unary_rpc_method_handler(served("end_session")),
        "Drain": grpc.unary_unary_rpc_method_handler(served("drain")),
    }
    # A host may ping as often as once a minute, also in silence; by default a server takes offence at less than five.
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", STREAMS),
        ("grpc.max_receive_message_length", DEFAULT_PAYLOAD_LIMIT + BODY_MARGIN),
        ("grpc.max_send_message_length", DEFAULT_PAYLOAD_LIMIT + BODY_MARGIN),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 60_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    server = grpc.server(ThreadPoolExecutor(THREADS, "snakepit-grpc"), options=options)
    server.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler("grpc.health.v1.Health", health),
        grpc.method_handlers_generic_handler("snakepit.worker.v1.Worker", worker),
    ))
    return server


def _listen(server: Any, address: str) -> str:
    port = server.add_insecure_port(address)
    if not port:
        raise OSError("the address cannot be used")
    return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"


def _host_pipe(fd: int) -> Optional[int]:
    """The pipe under that number, kept from programs that a command starts; none where the worker was started by hand."""
    import stat

    try:
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            return None
        os.set_inheritable(fd, False)
    except OSError:
        return None
    return fd


class HostStream:
    """The host's stream, as two pipes: `read_fd` and `write_fd` are the ends of the worker's loop."""

    def __init__(self) -> None:
        self.read_fd, self._in = _pipe()
        self.out_fd, self.write_fd = _pipe()
        os.set_blocking(self._in, False)
        self._room = select.poll()
        self._room.register(self._in, select.POLLOUT)
        self._lock = allocate_lock()
        self.is_set_up = False
        self._way = ""
        self._is_ended = False
        self._from_host = -1
        os.register_at_fork(after_in_child=self._disown)

    def _disown(self) -> None:
        # As long as a forked child holds these, neither end of the wire is seen.
        for fd in (self._in, self.out_fd, self._from_host):
            try:
                os.close(fd)
            except OSError:
                # Closed already, or never there.
                pass

    def take(self, way: str) -> bool:
        """Whether it may be asked so: one stream, or any number of calls, whichever comes first."""
        with self._lock:
            may_be = not self._way or self._way == way == CALLS
            self._way = self._way or way
        return may_be

    def receive(self, message: bytes) -> bytes:
        """Passes a message on from the very thread on which the server receives it, as far as there is room, and gives the rest.

        Only the one stream that was taken is received from. It saves a hand-over between threads; but that thread also
        tells of what was sent, so it must not wait.
        """
        frames = frames_of(message)
        try:
            return frames[os.write(self._in, frames):]
        except OSError:
            # There is no room, or nobody hears it any more, as `bring` will find.
            return frames

    def write(self, frames: bytes) -> None:
        """Passes on what the host says, and waits for room. Raises `OSError` when nobody hears it any more."""
        data = memoryview(frames)
        while data:
            try:
                data = data[os.write(self._in, data):]
            except BlockingIOError:
                self._room.poll()

    def bring(self, messages: Iterator[bytes]) -> None:
        """Passes on what the host says. When that ends, so does the pipe: the host is gone."""
        try:
            for frames in messages:
                self.write(frames)
        except Exception:
            # The stream was broken off, which is its end, or the worker is about to leave.
            pass
        self._hang_up()

    def answers(self) -> Iterator[bytes]:
        """What the worker has to say, as much at once as there is."""
        size = READ_SIZE
        while True:
            frames = os.read(self.out_fd, size)
            if not frames:
                return
            # The interpreter makes room for all that is asked for, which is dear beyond what its allocator keeps: much is asked
            # for only while there is much.
            size = MESSAGE_LIMIT if len(frames) >= READ_SIZE else READ_SIZE
            yield frames

    def watch_host(self, from_host: int) -> None:
        """Waits for the end of the pipe that the host holds open for as long as it wants the worker."""
        self._from_host = from_host
        while os.read(from_host, 64):
            pass
        leave_within(GONE_GRACE)
        self._hang_up()

    def end(self) -> None:
        """Ends the stream behind what the worker said."""
        os.close(self.write_fd)

    def _hang_up(self) -> None:
        with self._lock:
            was_ended, self._is_ended = self._is_ended, True
        if not was_ended:
            # Whoever writes now hears that there is no such number, and reaches nobody who has been given it since.
            fd, self._in = self._in, -1
            os.close(fd)


def _pipe() -> Tuple[int, int]:
    read_fd, write_fd = os.pipe()
    try:
        import fcntl

        # As large as a message, so that one write of the worker is one message.
        fcntl.fcntl(write_fd, getattr(fcntl, "F_SETPIPE_SZ", 1031), MESSAGE_LIMIT)
    except OSError:
        # A limit of the system's: smaller messages will do.
        pass
    return read_fd, write_fd
