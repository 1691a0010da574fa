"""The commands of a worker, by name, and the hooks that frame its life."""

from __future__ import annotations

from .invocation import Command
from .lifetime import Lifetime
from .signature import IS_COROUTINE, flags_of
from .failure import error_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional

    from .lifetime import Hook

NAME_LIMIT = 65_535


class Registry:
    """Filled while the program is loaded, read while it serves."""

    def __init__(self, threads: int = 1, tasks: Optional[int] = None) -> None:
        if threads < 1 or (tasks is not None and tasks < 1):
            raise ValueError("a worker runs at least one request at a time")
        if threads > 1 and tasks is not None:
            raise ValueError("several threads, or several tasks: not both")
        self.threads = threads
        self.tasks = tasks
        self._commands: Dict[str, Command] = {}
        self.find = self._commands.get
        self.lifetime = Lifetime()

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands.values())

    def add(self, name: str, function: Callable[..., Any], is_stream: Optional[bool], takes_self: bool = False) -> Command:
        """Raises ValueError for a name that is taken or cannot be sent, TypeError for what is no command."""
        if not callable(function):
            raise TypeError(f"command {name!r} is not callable: {function!r}")
        if not name or len(name.encode("utf-8")) > NAME_LIMIT:
            raise ValueError(f"a command's name has 1 to {NAME_LIMIT} bytes, not {len(name.encode('utf-8'))}")
        if name in self._commands:
            raise ValueError(f"command {name!r} is defined twice")
        made = Command(name, function, is_stream, takes_self)
        self._refuse_async_on_threads(f"command {name!r}", made.is_async)
        self._commands[name] = made
        return made

    def add_service(self, what: Any) -> None:
        """Takes in the marked methods of an object, or of a class of which one object is made at set-up."""
        from .service import Service  # Late: most workers are functions.

        service = Service(what)
        for method in service.methods("command"):
            name = method.attribute if method.mark.name is None else method.mark.name
            service.commands[method.attribute] = self.add(name, method.function, method.mark.is_stream, method.takes_self)
        self.lifetime.on_setup(service.make, False)
        for method in service.methods("setup"):
            self.on_setup(service.caller(method), method.function)
        for method in service.methods("teardown"):
            self.on_teardown(service.caller(method), method.function)

    def on_setup(self, hook: Hook, function: Callable[..., Any]) -> None:
        """`function`: what the hook calls in the end, which tells whether it is async."""
        self.lifetime.on_setup(hook, self._is_async_hook(function))

    def on_teardown(self, hook: Hook, function: Callable[..., Any]) -> None:
        self.lifetime.on_teardown(hook, self._is_async_hook(function))

    @property
    def serves_tasks(self) -> bool:
        """Whether commands run on an asyncio loop: where that is asked for, or anything is async."""
        return self.tasks is not None or self.lifetime.is_async or any(command.is_async for command in self)

    def _is_async_hook(self, function: Callable[..., Any]) -> bool:
        is_async = bool(flags_of(function) & IS_COROUTINE)
        self._refuse_async_on_threads("a hook", is_async)
        return is_async

    def _refuse_async_on_threads(self, what: str, is_async: bool) -> None:
        if is_async and self.threads > 1:
            raise TypeError(f"{what} is async, and this worker runs its commands on {self.threads} threads: give it tasks instead")

    def described(self) -> List[Dict[str, Any]]:
        """The list that Ready carries."""
        return [{"name": command.name, "stream": command.is_stream} for command in self]

    def unknown_body(self, name: str) -> bytes:
        """The Error body for a name that is not here, with the nearest that is."""
        shown, nearest = name[:200], self._nearest(name)
        if nearest is not None:
            return error_body("unknown_command", f"no command {shown!r}; did you mean {nearest!r}?", details={"nearest": nearest})
        if not self._commands:
            return error_body("unknown_command", f"no command {shown!r}: this worker has none")
        known = sorted(self._commands)
        listed = ", ".join(known[:20]) + (", .." if len(known) > 20 else "")
        return error_body("unknown_command", f"no command {shown!r}; there are: {listed}")

    def _nearest(self, name: str) -> Optional[str]:
        import difflib  # Late: a mistyped name may wait for it, the start of every worker should not.

        # A name of thousands of characters is no slip of the pen, and comparing it would take long.
        found = difflib.get_close_matches(name, self._commands, n=1) if len(name) <= 200 else []
        return found[0] if found else None
