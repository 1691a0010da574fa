"""The commands of a worker, by name."""

from __future__ import annotations

from .invocation import Command
from .failure import error_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional

NAME_LIMIT = 65_535


class Registry:
    """Filled while the program is loaded, read while it serves."""

    def __init__(self) -> None:
        self._commands: Dict[str, Command] = {}
        self.find = self._commands.get

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands.values())

    def add(self, name: str, function: Callable[..., Any], is_stream: Optional[bool]) -> None:
        """Raises ValueError for a name that is taken or cannot be sent, TypeError for what is no command."""
        if not callable(function):
            raise TypeError(f"command {name!r} is not callable: {function!r}")
        if not name or len(name.encode("utf-8")) > NAME_LIMIT:
            raise ValueError(f"a command's name has 1 to {NAME_LIMIT} bytes, not {len(name.encode('utf-8'))}")
        if name in self._commands:
            raise ValueError(f"command {name!r} is defined twice")
        self._commands[name] = Command(name, function, is_stream)

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
