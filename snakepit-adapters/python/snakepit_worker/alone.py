"""Commands without a host, on the calling thread: for `--call`, and for tests."""

from __future__ import annotations

from time import monotonic

from .answer import Unsendable, sendable
from .failure import error_body, exception_body
from .invocation import InvalidArgument
from .json_text import loads
from .lifetime import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, Optional

    from .payload import Payload
    from .registry import Registry
    from .request import Request


class Refused(Exception):
    """The command did not run; `body` is the Error body that says why."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.body = body


class Alone:
    """A worker that is set up, called and torn down. Where it has anything async, it has a loop of its own."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._loop: Any = None

    def open(self) -> None:
        """Runs the set-up. Raises what that raises."""
        if self._registry.serves_tasks:
            import asyncio

            self._loop = asyncio.new_event_loop()
        for value in self._registry.lifetime.opening():
            self._done(value)

    def close(self) -> None:
        """Runs the tear-down."""
        for value in self._registry.lifetime.closing():
            try:
                self._done(value)
            except Exception:
                complain()
        if self._loop is not None:
            self._loop.run_until_complete(_nothing_left(self._loop))
            self._loop.close()
            self._loop = None

    def payloads(self, request: Request, payload_limit: int) -> Iterator[Payload]:
        """The one result, or each item of a stream. Raises `Refused`, `InvalidArgument`, `Unsendable`, and what the command raises."""
        command = request.command = self._registry.find(request.name)
        if command is None:
            raise Refused(self._registry.unknown_body(request.name))
        refusal = command.refusal(request, payload_limit, monotonic())
        if refusal is not None:
            raise Refused(refusal)
        value = self._done(command.call(request))
        if not command.is_stream:
            yield sendable(value, payload_limit, request.content_type)
            return
        items = self._stepwise(value) if hasattr(value, "__aiter__") else value
        for item in items:
            if request.cancelled:
                getattr(items, "close", lambda: None)()
                raise Refused(error_body("cancelled", "the caller cancelled the stream"))
            yield sendable(item, payload_limit, request.content_type)

    def _done(self, value: Any) -> Any:
        return self._loop.run_until_complete(_awaited(value)) if self._loop is not None and hasattr(value, "__await__") else value

    def _stepwise(self, items: Any) -> Iterator[Any]:
        iterator = items.__aiter__()
        try:
            while True:
                try:
                    item = self._done(iterator.__anext__())
                except StopAsyncIteration:
                    return
                yield item
        finally:
            if hasattr(iterator, "aclose"):
                self._done(iterator.aclose())


def body_of(error: BaseException) -> bytes:
    """The Error body of what `payloads` raised, as a host would get it."""
    if isinstance(error, (Refused, Unsendable)):
        return error.body
    if isinstance(error, InvalidArgument):
        return error_body("invalid_argument", str(error), type_name="InvalidArgument")
    return exception_body(error)


def fields_of(body: bytes) -> Dict[str, Any]:
    """An Error body with every key, whether it was left out or not."""
    absent: Dict[str, Optional[Any]] = {"type": None, "message": "", "traceback": None, "retryable": False, "details": None, "cause": None}
    return {**absent, **loads(body)}


async def _awaited(value: Any) -> Any:
    return await value


async def _nothing_left(loop: Any) -> None:
    """What commands have left running is cancelled, as `asyncio.run` does it."""
    import asyncio

    left = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await loop.shutdown_asyncgens()
