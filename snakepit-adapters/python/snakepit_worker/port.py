"""Serves the `port` wire: takes fds 3 and 4 (or those of `stdio`) into keeping, sets the process up, runs the loop."""

from __future__ import annotations

import os
import sys
from _thread import get_ident

from . import stdio
from .leaving import WRONG_WIRE, leave_now
from .log_frames import LogFrames

try:
    # `signal` wraps these in enums, at the price of importing `enum`.
    import _signal as signal  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from .registry import Registry
    from .serving import Serving
    from .stopping import Stopping

FROM_HOST_FD, TO_HOST_FD = 3, 4

def serve_port(registry: Registry, agent: str) -> None:
    """Serves until the worker is to leave, then returns, so that the program ends in its own way."""
    read_fd, write_fd = stdio.taken() or (_keep(FROM_HOST_FD), _keep(TO_HOST_FD))
    serve_on(registry, read_fd, write_fd, agent)


def serve_on(registry: Registry, read_fd: int, write_fd: int, agent: str, when_set_up: Optional[Callable[[], None]] = None) -> None:
    """The same on any two pipes; says when requests can be taken."""
    os.set_blocking(read_fd, True)
    os.set_blocking(write_fd, False)
    # Programs that a command starts are not workers of this host.
    os.environ.pop("SNAKEPIT_WIRE", None)
    _set_up_streams()
    serving = _serving(registry, read_fd, write_fd, agent)
    if when_set_up is not None:
        serving.when_set_up(when_set_up)
    _set_up_signals(serving.reading)
    _disown_in_children(serving, read_fd, write_fd)
    LogFrames(serving.outgoing, serving.running_id).install()
    serving.serve()


def _serving(registry: Registry, read_fd: int, write_fd: int, agent: str) -> Serving:
    # Each late: a worker has one of them, and the last two are dear.
    if registry.serves_tasks:
        from .tasks import TaskServing

        return TaskServing(registry, read_fd, write_fd, agent)
    if registry.threads > 1:
        from .threads import ThreadServing

        return ThreadServing(registry, read_fd, write_fd, agent)
    from .inline import InlineServing

    return InlineServing(registry, read_fd, write_fd, agent)


def _keep(fd: int) -> int:
    import fcntl

    try:
        kept = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, stdio.KEPT_FROM)
        os.close(fd)
    except OSError as error:
        leave_now(WRONG_WIRE, f"SNAKEPIT_WIRE is 'port', but fd {fd} cannot be used: {error}")
        raise
    return kept


def _set_up_streams() -> None:
    import faulthandler

    # A stream that was replaced or closed is the user's affair: each of these may fail alone.
    try:
        # A pipe is block-buffered otherwise, and a printed line would reach the host's log minutes late.
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        pass
    try:
        faulthandler.enable()
    except (AttributeError, ValueError, RuntimeError, OSError):
        pass


def _set_up_signals(reading: Stopping) -> None:
    """SIGTERM: leave when nothing runs. SIGINT: nothing."""
    main_thread = get_ident()

    def on_terminate(_: int, __: Any) -> None:
        reading.stop()

    def on_interrupt(_: int, __: Any) -> None:
        """Does nothing: Ctrl-C is the host's to judge. Not SIG_IGN, which programs started by commands would inherit."""

    def interrupt_main() -> None:
        # Not if the user has put a handler of their own in place, which would be called time and again.
        if signal.getsignal(signal.SIGTERM) is on_terminate:
            signal.pthread_kill(main_thread, signal.SIGTERM)

    reading.stop_signal = bytes((signal.SIGTERM,))
    reading.interrupt_main = interrupt_main
    signal.set_wakeup_fd(reading.wake_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, on_terminate)
    signal.signal(signal.SIGINT, on_interrupt)


def _disown_in_children(serving: Serving, *fds: int) -> None:
    """A forked child is no worker: it gives up the pipes, and ends on SIGTERM, and with its command or hook, as any process would."""
    terminate = (signal.SIGTERM,)

    def before() -> None:
        # The interpreter drops signals that reach a child while it is being made: they wait instead.
        signal.pthread_sigmask(signal.SIG_BLOCK, terminate)

    def in_parent() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, terminate)

    def in_child() -> None:
        # As long as a child holds the pipes, the host cannot see that the worker is dead.
        serving.disown()
        for fd in fds:
            os.close(fd)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, terminate)

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
