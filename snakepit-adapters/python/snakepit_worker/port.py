"""Serves the `port` wire: takes fds 3 and 4 into keeping, sets the process up, runs the loop."""

from __future__ import annotations

import os
import sys

from .leaving import WRONG_WIRE, leave_now
from .log_frames import LogFrames
from .serving import Serving

try:
    # `signal` wraps these in enums, at the price of importing `enum`.
    import _signal as signal  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .registry import Registry

FROM_HOST_FD, TO_HOST_FD = 3, 4
KEPT_FROM = 64
"""The pipes move up here: programs that are careless with fds are so with small numbers."""


def serve_port(registry: Registry, agent: str) -> None:
    """Serves until the worker is to leave, then returns, so that the program ends in its own way."""
    read_fd, write_fd = _keep(FROM_HOST_FD), _keep(TO_HOST_FD)
    # Programs that a command starts are not workers of this host.
    os.environ.pop("SNAKEPIT_WIRE", None)
    _set_up_streams()
    serving = Serving(registry, read_fd, write_fd, agent)
    _set_up_signals(serving)
    _disown_in_children(serving, read_fd, write_fd)
    LogFrames(serving.outgoing, serving.waiting_line).install()
    serving.serve()


def _keep(fd: int) -> int:
    import fcntl

    try:
        kept = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, KEPT_FROM)
        os.set_blocking(kept, True)
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


def _set_up_signals(serving: Serving) -> None:
    pid = os.getpid()

    def on_terminate(number: int, _: Any) -> None:
        if os.getpid() == pid:
            serving.stop()
            return
        # A forked child inherits this handler but not the worker's manners: it ends as any process would.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def on_interrupt(_: int, __: Any) -> None:
        """Does nothing: Ctrl-C is the host's to judge. Not SIG_IGN, which programs started by commands would inherit."""

    signal.signal(signal.SIGTERM, on_terminate)
    signal.signal(signal.SIGINT, on_interrupt)


def _disown_in_children(serving: Serving, *fds: int) -> None:
    def in_child() -> None:
        # As long as a child holds the pipes, the host cannot see that the worker is dead.
        serving.outgoing.disown()
        for fd in fds:
            os.close(fd)

    os.register_at_fork(after_in_child=in_child)
