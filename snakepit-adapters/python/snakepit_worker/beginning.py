"""Which requests a worker says in one breath that it begins with, where its host wants to hear of each.

A write for each would cost more than a short command does. Those that are said together count as begun together, and are lost
together if the process dies: so it is only said of what will most likely be done in a moment.
"""

from __future__ import annotations

from .frame import HEADER, SHORTEST, STARTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, List

    from .request import Request

MOMENT = 0.00025
"""Seconds that they are expected to take in all: one that is refused takes none."""

MOST = 16
"""So many at once: a write then costs each less than the rest of its way does."""

UNKNOWN = 4 * MOMENT
"""Seconds that a command is taken for before it has run, and what a longer one counts: a pause of the machine is soon forgotten."""

WEIGHT = 0.125
"""What the last run counts in the average."""


def begin_together(first: Request, waiting: Iterable[Request]) -> List[Request]:
    """`first`, whose turn it is, and those right behind it that are expected to be done with it in a moment."""
    together, left = [first], MOMENT
    if first.command is not None:
        left -= first.command.expected
    for request in waiting:
        if request.command is not None:
            left -= request.command.expected
        # A stream waits for its reader, however short each of its steps is.
        if left < 0 or request.is_stream:
            break
        together.append(request)
    return together


def started_frames(requests: Iterable[Request]) -> bytes:
    """A Started for each of these, one behind the other."""
    pack = HEADER.pack
    return b"".join([pack(SHORTEST, STARTED, 0, 0, request.id) for request in requests])


def next_expectation(expected: float, took: float) -> float:
    """What a command is expected to take that was expected to take so long, and took so long. All in seconds."""
    return expected + WEIGHT * ((took if took < UNKNOWN else UNKNOWN) - expected)

