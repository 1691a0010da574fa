"""The object that a worker program makes: collects commands, then serves them."""

from __future__ import annotations

import os
import sys

from . import stdio
from .leaving import WRONG_WIRE
from .registry import Registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, TypeVar, overload

    Function = TypeVar("Function", bound=Callable[..., Any])
    Hook = TypeVar("Hook", bound=Callable[[], Any])
    Service = TypeVar("Service")
else:

    def overload(function):
        return function


WIRE_VARIABLE = "SNAKEPIT_WIRE"
CONFORMANCE = "--conformance"


class Worker:
    """A worker process: functions under names, served one request at a time, or several where that is asked for.

    `threads`: so many requests at once, each on a thread; the commands must be fit for that. `tasks`: so many at once on one
    asyncio loop, where a command that is not async keeps all others waiting. A worker with any async command runs on a loop,
    one request at a time unless `tasks` says otherwise.
    """

    def __init__(self, *, threads: int = 1, tasks: Optional[int] = None) -> None:
        self.registry = Registry(threads, tasks)

    @overload
    def command(self, function: Function) -> Function: ...

    @overload
    def command(self, function: None = None, *, name: Optional[str] = None, stream: Optional[bool] = None) -> Callable[[Function], Function]: ...

    def command(self, function: Any = None, *, name: Optional[str] = None, stream: Optional[bool] = None) -> Any:
        """Makes a function a command; the function itself stays as it is.

        A generator function is a stream, called for its items; `stream=True` says so of a function that returns an iterable.
        Both may be async.
        A parameter named `ctx` receives the `Context` and is no argument to the caller.
        """

        def register(function: Function) -> Function:
            own_name: str = getattr(function, "__name__", type(function).__name__)
            self.registry.add(own_name if name is None else name, function, stream)
            return function

        return register if function is None else register(function)

    def service(self, what: Service) -> Service:
        """Takes in a class, or an object, whose methods are marked with `@command`, `@setup` and `@teardown`.

        Of a class one object is made, without arguments, when the worker is set up; it lives as long as the worker.
        """
        self.registry.add_service(what)
        return what

    def setup(self, function: Hook) -> Hook:
        """Makes a function run once before the worker says that it is ready: the place to load what takes long.

        If it raises, the worker ends and its host starts another; `sys.exit(78)` says that this would not help.
        """
        self.registry.on_setup(function, function)
        return function

    def teardown(self, function: Hook) -> Hook:
        """Makes a function run once when the worker leaves as it was asked to. Where its host is gone, it has half a second."""
        self.registry.on_teardown(function, function)
        return function

    def run(self) -> None:
        """Serves the host that started this program, until it is to leave; then returns.

        With the argument `--conformance` it also serves the commands of proto/README.md, section 13.
        Without a host (no SNAKEPIT_WIRE) it shows the commands, or runs one (`--call NAME JSON`), and exits.
        """
        if _is_child_of_multiprocessing():
            # A spawned child runs the program's top level again, and is no worker.
            return
        argv = [argument for argument in sys.argv if argument != CONFORMANCE]
        if len(argv) < len(sys.argv):
            from .conformance import offer

            offer(self.registry)
        wire = "stdio" if stdio.taken() else os.environ.get(WIRE_VARIABLE)
        if wire is None:
            from .by_hand import run_by_hand

            sys.exit(run_by_hand(self.registry, argv))
        from . import __version__

        agent = f"snakepit-worker-python/{__version__}"
        if wire in ("port", "stdio"):
            from .port import serve_port

            serve_port(self.registry, agent)
        elif wire == "grpc":
            from .grpc_server import serve_grpc

            serve_grpc(self.registry, agent)
        else:
            print(f"snakepit_worker: {WIRE_VARIABLE} is {wire!r}; this version of the SDK speaks 'port', 'stdio' and 'grpc'", file=sys.stderr)
            sys.exit(WRONG_WIRE)


def _is_child_of_multiprocessing() -> bool:
    process = sys.modules.get("multiprocessing.process")
    if process is None:
        return False
    # While the top level runs again, the child does not know its parent yet; this is the mark that multiprocessing itself asks for.
    return getattr(process.current_process(), "_inheriting", False) or process.parent_process() is not None
