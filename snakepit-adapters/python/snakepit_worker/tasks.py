"""Several requests at once on an asyncio loop, which the main thread runs; another thread reads.

The reading thread touches nothing of the loop: it hands over with `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
from time import monotonic

from .answer import result_frames, sendable, payload_frames
from .frame import CHUNK, END, encode
from .lifetime import complain
from .listening import Listening
from .outgoing import HostGone
from .serving import Serving, close_quietly
from .stopping import LeaveIdle
from .waiting_line import SharedLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, AsyncIterator, Callable, Dict, Iterable

    from .frame import Frame
    from .registry import Registry
    from .request import Request


class TaskServing(Serving):
    """One task for each request, as many at once as the worker says."""

    waiting_line: SharedLine
    reading: Listening

    def __init__(self, registry: Registry, read_fd: int, write_fd: int, agent: str) -> None:
        super().__init__(registry, SharedLine(self._on_change), write_fd, agent, registry.tasks or 1)
        self._most = registry.tasks or 1
        self._loop = asyncio.new_event_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._busy = 0
        self._tasks: Dict[Request, asyncio.Task[Any]] = {}
        self._credit: Dict[Request, asyncio.Future[None]] = {}
        self._is_told_to_stop = False
        self._current = contextvars.ContextVar("request_id", default=0)
        self.reading = Listening(
            read_fd, self._intake.incoming, self.outgoing, self._take_in, self._host_is_gone, self._on_stop,
        )

    def serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self.reading.start()
        try:
            self.reading.interruptible(lambda: self._loop.run_until_complete(self._open()))
            self._intake.set_up()
            self._loop.call_soon(self._start_what_waits)
            self._loop.run_until_complete(self._over)
            self._intake.stop_taking()
            self._loop.run_until_complete(self._close())
        except LeaveIdle:
            pass
        except HostGone:
            self._host_is_gone()
        self._end_loop()
        self._leave()

    def running_id(self) -> int:
        return self._current.get()

    async def _open(self) -> None:
        for value in self._registry.lifetime.opening():
            await self._awaited(value)

    async def _close(self) -> None:
        for value in self._registry.lifetime.closing():
            try:
                await self._awaited(value)
            except Exception:
                complain()

    async def _awaited(self, value: Any) -> None:
        try:
            if hasattr(value, "__await__"):
                await value
        except BaseException as error:
            self._registry.lifetime.on_failure(error)
            raise

    def _end_loop(self) -> None:
        """What commands have left running is cancelled, as `asyncio.run` does it."""
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        self._loop.close()

    # On the loop.

    def _start_what_waits(self) -> None:
        is_leaving = self._is_told_to_stop or self._intake.is_drained
        while self._busy < self._most:
            request = self.waiting_line.take()
            if request is None:
                break
            self._busy += 1
            self._loop.create_task(self._serve_one(request))
        if (self._is_gone or (is_leaving and not self._busy)) and not self._over.done():
            self._over.set_result(None)

    async def _serve_one(self, request: Request) -> None:
        self._current.set(request.id)
        try:
            # Known from here on: cancelled before its first step, a task would end without having answered.
            task = asyncio.current_task()
            assert task is not None
            self._tasks[request] = task
            await self._run_task(request)
        except HostGone:
            self._host_is_gone()
        except BaseException:
            # A failure of the worker, not of the command: its caller is never answered, unless the process ends.
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        self._busy -= 1
        self._start_what_waits()

    async def _run_task(self, request: Request) -> None:
        try:
            ending = await self._ending(request)
        except HostGone:
            raise
        except asyncio.CancelledError as error:
            ending = self._cancelled(request) if request.cancelled else self._failed(request, error)
        except BaseException as error:
            ending = self._failed(request, error)
        # No Cancel may break off the answer.
        del self._tasks[request]
        if ending is not None:
            self._answer(request, ending)

    async def _ending(self, request: Request) -> Iterable[Frame] | None:
        if request.cancelled:
            return self._cancelled(request)
        command = self._checked(request, monotonic())
        if command is None:
            return None
        value = command.call(request)
        if hasattr(value, "__await__"):
            value = await value
        if request.is_stream:
            return await self._send_each(request, value)
        return result_frames(request.id, value, self._intake.payload_limit, request.content_type)

    async def _send_each(self, request: Request, items: Any) -> Iterable[Frame]:
        try:
            async for item in items if hasattr(items, "__aiter__") else _one_by_one(items):
                payload = sendable(item, self._intake.payload_limit, request.content_type)
                frames = payload_frames(CHUNK, request.id, payload)
                while not request.cancelled and not request.has_credit():
                    await self._credit_for(request)
                if request.cancelled:
                    return self._cancelled(request)
                self._send_chunk(request, frames, payload.body_size)
                # Items that come without any waiting must not keep the loop from all others.
                await asyncio.sleep(0)
            return (encode(END, request.id),)
        finally:
            await _close_quietly(items)

    async def _credit_for(self, request: Request) -> None:
        came = self._credit[request] = self._loop.create_future()
        try:
            await came
        finally:
            del self._credit[request]

    def _answer(self, request: Request, frames: Iterable[Frame]) -> None:
        self.waiting_line.done(request)
        self._send(frames)

    def _heed_change(self, request: Request) -> None:
        came = self._credit.get(request)
        if came is not None and not came.done():
            came.set_result(None)
        task = self._tasks.get(request)
        if request.cancelled and task is not None:
            task.cancel()

    # On the reading thread.

    def _take_in(self, data: bytes) -> None:
        super()._take_in(data)
        if len(self.waiting_line) or self._intake.is_draining:
            self._hand_over(self._start_what_waits)

    def _on_change(self, request: Request) -> None:
        self._hand_over(self._heed_change, request)

    def _on_stop(self) -> None:
        self._is_told_to_stop = True
        self._refuse_waiting()
        self._hand_over(self._start_what_waits)

    def _host_is_gone(self) -> None:
        super()._host_is_gone()
        self._hand_over(self._start_what_waits)

    def _hand_over(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            pass  # The loop is closed: the worker leaves, and nobody is left to hear it.


async def _one_by_one(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def _close_quietly(items: Any) -> None:
    """Lets a generator clean up; what it raises then, or yields, changes nothing any more."""
    close = getattr(items, "aclose", None)
    if close is None:
        close_quietly(items)
        return
    try:
        await close()
    except BaseException:
        pass
