"""Classes as workers: methods marked as commands, as set-up and as tear-down, of one object that lives as long as the worker."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, TypeVar, overload

    from .invocation import Command

    Function = TypeVar("Function", bound=Callable[..., Any])
else:

    def overload(function):
        return function


MARK = "__snakepit__"


class Mark:
    """What a method is to the worker: a command under a name, or one of the two hooks."""

    def __init__(self, role: str, name: Optional[str] = None, is_stream: Optional[bool] = None) -> None:
        self.role = role
        self.name = name
        self.is_stream = is_stream


@overload
def command(function: Function) -> Function: ...


@overload
def command(function: None = None, *, name: Optional[str] = None, stream: Optional[bool] = None) -> Callable[[Function], Function]: ...


def command(function: Any = None, *, name: Optional[str] = None, stream: Optional[bool] = None) -> Any:
    """Marks a method as a command of its class, which `Worker.service` takes in; the rest is as for `Worker.command`."""

    def mark(function: Function) -> Function:
        return _marked(function, Mark("command", name, stream))

    return mark if function is None else mark(function)


def setup(method: Function) -> Function:
    """Marks a method that runs once, before the worker says that it is ready."""
    return _marked(method, Mark("setup"))


def teardown(method: Function) -> Function:
    """Marks a method that runs once, when the worker leaves."""
    return _marked(method, Mark("teardown"))


class Method:
    """A marked method of a class, found before there is an object to call it on."""

    def __init__(self, attribute: str, mark: Mark, function: Callable[..., Any], takes_self: bool) -> None:
        self.attribute = attribute
        self.mark = mark
        self.function = function
        self.takes_self = takes_self


class Service:
    """One object and its marked methods. Of a class it is made at set-up: nothing of it runs where commands are only listed."""

    def __init__(self, what: Any) -> None:
        self._what = what
        self._object: Any = None
        kind: type = what if isinstance(what, type) else type(what)
        self._methods = _methods_of(kind)
        self.commands: Dict[str, Command] = {}
        if not self._methods:
            raise TypeError(f"{kind.__name__} has no method that is marked with @command, @setup or @teardown")

    def methods(self, role: str) -> List[Method]:
        return [method for method in self._methods if method.mark.role == role]

    def make(self) -> None:
        self._object = self._what() if isinstance(self._what, type) else self._what
        for attribute, command in self.commands.items():
            command.bind(getattr(self._object, attribute))

    def caller(self, method: Method) -> Callable[[], Any]:
        return lambda: getattr(self._object, method.attribute)()


def _methods_of(kind: type) -> List[Method]:
    """In the order in which they are written, those of bases first; what is overridden counts once, where it first stood."""
    attributes = {attribute: None for base in reversed(kind.__mro__) for attribute in vars(base)}
    methods = []
    for attribute in attributes:
        held = next(vars(base)[attribute] for base in kind.__mro__ if attribute in vars(base))
        function = held.__func__ if isinstance(held, (staticmethod, classmethod)) else held
        mark = getattr(function, MARK, None)
        if isinstance(mark, Mark):
            methods.append(Method(attribute, mark, function, not isinstance(held, staticmethod)))
    return methods


def _marked(function: Function, mark: Mark) -> Function:
    held: Any = function.__func__ if isinstance(function, (staticmethod, classmethod)) else function
    if MARK in vars(held):
        raise TypeError(f"{held.__qualname__}() is marked twice")
    setattr(held, MARK, mark)
    return function
