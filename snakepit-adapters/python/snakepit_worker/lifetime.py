"""What runs before the first request and after the last: set-up in the order of the program, tear-down in the reverse order."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, List

    Hook = Callable[[], Any]


class Lifetime:
    """The hooks of one worker. A hook that returns an awaitable leaves the waiting to whoever runs it, and telling of its failure."""

    def __init__(self) -> None:
        self._setups: List[Hook] = []
        self._teardowns: List[Hook] = []
        self._is_open = False
        self.is_async = False
        self.on_return: Callable[[], None] = lambda: None
        self.on_failure: Callable[[BaseException], None] = lambda _: None
        """Both hear of the end of each hook, before anybody else does: a forked child ends there."""

    def __bool__(self) -> bool:
        return bool(self._setups or self._teardowns)

    def on_setup(self, hook: Hook, is_async: bool) -> None:
        self._setups.append(hook)
        self.is_async |= is_async

    def on_teardown(self, hook: Hook, is_async: bool) -> None:
        self._teardowns.append(hook)
        self.is_async |= is_async

    def opening(self) -> Iterator[Any]:
        """Runs one hook a step, and gives what it returned. Raises what a hook raises: then nothing is torn down either."""
        for hook in self._setups:
            yield self._run(hook)
            self.on_return()
        self._is_open = True

    def closing(self) -> Iterator[Any]:
        """The same at the end. A hook that fails says so on stderr, and the next has its turn."""
        if not self._is_open:
            return
        self._is_open = False
        for hook in reversed(self._teardowns):
            try:
                yield self._run(hook)
            except Exception:
                complain()
            self.on_return()

    def _run(self, hook: Hook) -> Any:
        try:
            return hook()
        except BaseException as error:
            self.on_failure(error)
            raise

    def open(self) -> None:
        for _ in self.opening():
            pass

    def close(self) -> None:
        for _ in self.closing():
            pass


def complain() -> None:
    """Shows the exception in hand on stderr: the worker leaves as it was asked to, whatever a hook thinks of it."""
    sys.excepthook(*sys.exc_info())
