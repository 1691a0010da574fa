"""The wire on fds 0 and 1, where SNAKEPIT_WIRE says `stdio`: taken over before anything can print.

stdout belongs to the wire then. What the program prints, also from C, goes to stderr.
"""

from __future__ import annotations

import os

from .leaving import WRONG_WIRE, leave_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

KEPT_FROM = 64
"""The pipes move up here: programs that are careless with fds are so with small numbers."""


class _Taken:
    fds: Optional[Tuple[int, int]] = None


def take() -> None:
    """Moves the pipes away from 0 and 1, and puts /dev/null and stderr there. Called when the package is imported."""
    import fcntl

    try:
        kept = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, KEPT_FROM) for fd in (0, 1)]
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(2 if _is_open(2) else nothing, 1)
        os.close(nothing)
    except OSError as error:
        leave_now(WRONG_WIRE, f"SNAKEPIT_WIRE is 'stdio', but fds 0 and 1 cannot be used: {error}")
        raise
    # Programs that this one starts are not workers of this host.
    del os.environ["SNAKEPIT_WIRE"]
    _Taken.fds = kept[0], kept[1]


def taken() -> Optional[Tuple[int, int]]:
    """The fds from and to the host, if this is the wire."""
    return _Taken.fds


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
