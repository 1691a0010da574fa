"""One command: a function, what its signature allows, and the check of arguments before any of it runs."""

from __future__ import annotations

from .context import Context
from .json_text import loads
from .request import JSON_TYPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple

    from .request import Request

    Arguments = Tuple[Tuple[Any, ...], Dict[str, Any]]

IS_GENERATOR = 0x20
IS_ASYNC = 0x80 | 0x200
"""co_flags of coroutine functions and asynchronous generators, as in `inspect`"""

HAS_REST = 0x04
HAS_KEYWORD_REST = 0x08
CONTEXT = "ctx"
UNREACHABLE = 1 << 62


class InvalidArgument(Exception):
    """The arguments do not fit the command's signature."""


class Signature:
    """Which arguments a function takes, without the context."""

    def __init__(
        self, positional: Sequence[str], positional_only: int, keyword_only: Sequence[str], required: FrozenSet[str],
        takes_rest: bool, takes_keyword_rest: bool,
    ) -> None:
        everything = (*positional, *keyword_only)
        self.wants_context = CONTEXT in everything
        self.context_index = positional.index(CONTEXT) if CONTEXT in positional else -1
        if 0 <= self.context_index < positional_only:
            raise TypeError(f"the parameter {CONTEXT} is filled by name: it cannot be positional-only")
        self.positional = tuple(name for name in positional if name != CONTEXT)
        self.positional_only = tuple(name for name in positional[:positional_only] if name != CONTEXT)
        self.keyword_only_required = frozenset(keyword_only) & required - {CONTEXT}
        self.by_name = frozenset(everything[positional_only:]) - {CONTEXT}
        self.required = required - {CONTEXT}
        self.takes_rest = takes_rest
        self.takes_keyword_rest = takes_keyword_rest
        # What a common call is held against in one step; everything else is checked step by step, to name what is wrong.
        self.is_plain = not (self.positional_only or takes_keyword_rest)
        needed = [place + 1 for place, name in enumerate(self.positional) if name in self.required]
        self.fewest = max(needed, default=0) if not self.keyword_only_required else UNREACHABLE
        self.most = UNREACHABLE if takes_rest else len(self.positional)


class Command:
    """A function under its name. `is_stream`: a generator, called by ExecuteStream only."""

    def __init__(self, name: str, function: Callable[..., Any], is_stream: Optional[bool] = None) -> None:
        innermost: Any = function
        while hasattr(innermost, "__wrapped__"):
            innermost = innermost.__wrapped__
        code = getattr(innermost, "__code__", None) or getattr(getattr(innermost, "__call__", None), "__code__", None)
        flags = 0 if code is None else code.co_flags
        if flags & IS_ASYNC:
            raise TypeError(f"command {name!r} is async: this version of the SDK serves functions and generators")
        self.name = name
        self.function = function
        self.is_stream = bool(flags & IS_GENERATOR) if is_stream is None else is_stream
        self.signature = _signature_of(function)

    @property
    def summary(self) -> str:
        """The first line of the function's documentation."""
        lines = (getattr(self.function, "__doc__", None) or "").strip().splitlines()
        return lines[0].strip() if lines else ""

    def call(self, request: Request) -> Any:
        """Checks the arguments, then calls the function.

        Raises `InvalidArgument` before any of it has run, and whatever the function raises.
        """
        positional, named = self._arguments(request.content_type, request.data)
        signature = self.signature
        if signature.wants_context:
            index = signature.context_index
            if 0 <= index < len(positional):
                positional = (*positional[:index], Context(request), *positional[index:])
            else:
                named[CONTEXT] = Context(request)
        return self.function(*positional, **named)

    def _arguments(self, content_type: str, data: bytes) -> Arguments:
        signature = self.signature
        positional: Tuple[Any, ...] = ()
        if content_type != JSON_TYPE and not _is_json(content_type):
            positional = (data,)
        elif data:
            try:
                value = loads(data)
            except (ValueError, RecursionError) as error:
                raise InvalidArgument(f"the arguments of {self.name}() are not JSON: {error}") from None
            if type(value) is dict:
                if signature.is_plain and value.keys() <= signature.by_name and signature.required <= value.keys():
                    return (), value
                return self._checked((), value)
            if type(value) is list:
                positional = tuple(value)
            elif value is not None:
                raise InvalidArgument(f"the arguments of {self.name}() must be a JSON object, array or null, not {_json_name(value)}")
        if signature.fewest <= len(positional) <= signature.most:
            return positional, {}
        return self._checked(positional, {})

    def _checked(self, positional: Tuple[Any, ...], named: Dict[str, Any]) -> Arguments:
        """Raises `InvalidArgument` that names what is wrong. Names given for positional-only parameters become positions."""
        signature, given = self.signature, len(positional)
        if given > len(signature.positional) and not signature.takes_rest:
            raise InvalidArgument(f"{self.name}() takes {_count(len(signature.positional))}{self._takes()}, {given} were given")
        if signature.positional_only and not positional and named:
            positional, named = self._by_position(named)
            given = len(positional)
        unknown = [name for name in named if name not in signature.by_name and (not signature.takes_keyword_rest or name == CONTEXT)]
        if unknown:
            raise InvalidArgument(f"{self.name}() has no {_arguments_named(unknown)}{self._takes()}")
        filled = set(signature.positional[:given])
        missing = [name for name in signature.positional if name in signature.required and name not in filled and name not in named]
        missing += sorted(signature.keyword_only_required - named.keys())
        if missing:
            raise InvalidArgument(f"{self.name}() is missing the {_arguments_named(missing)}")
        return positional, named

    def _by_position(self, named: Dict[str, Any]) -> Arguments:
        rest, made = dict(named), []
        for name in self.signature.positional_only:
            if name not in rest:
                break
            made.append(rest.pop(name))
        return tuple(made), rest

    def _takes(self) -> str:
        names = [*self.signature.positional, *sorted(self.signature.by_name - set(self.signature.positional))]
        return f" (it takes {', '.join(names)})" if names else ""


def _signature_of(function: Callable[..., Any]) -> Signature:
    inner: Any = getattr(function, "__func__", function)
    code = getattr(inner, "__code__", None)
    if code is None or hasattr(function, "__wrapped__"):
        return _inspected(function)
    names, count, keyword_count = code.co_varnames, code.co_argcount, code.co_kwonlyargcount
    positional: List[str] = list(names[:count])
    keyword_only = names[count:count + keyword_count]
    with_default = set(positional[count - len(inner.__defaults__ or ()):]) if inner.__defaults__ else set()
    with_default |= set(inner.__kwdefaults__ or ())
    positional_only = code.co_posonlyargcount
    if inner is not function:
        # A bound method: its first parameter is filled already.
        positional, positional_only = positional[1:], max(0, positional_only - 1)
    required = frozenset((*positional, *keyword_only)) - with_default
    return Signature(positional, positional_only, keyword_only, required, bool(code.co_flags & HAS_REST), bool(code.co_flags & HAS_KEYWORD_REST))


def _inspected(function: Callable[..., Any]) -> Signature:
    import inspect  # Late: plain functions, nearly all commands, do without, and it takes longer than the interpreter's start.

    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        # Some functions written in C do not tell: anything goes, and their own TypeError is the answer.
        return Signature((), 0, (), frozenset(), True, True)
    positional_only = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
    positional = positional_only + [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keyword_only = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    required = frozenset(p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    kinds = {p.kind for p in parameters}
    empty = inspect.Parameter
    return Signature(positional, len(positional_only), keyword_only, required, empty.VAR_POSITIONAL in kinds, empty.VAR_KEYWORD in kinds)


def _is_json(content_type: str) -> bool:
    bare = content_type.partition(";")[0].strip().lower()
    return bare == "application/json" or bare.endswith("+json")


def _json_name(value: Any) -> str:
    return {str: "a string", bool: "true or false", int: "a number", float: "a number"}[type(value)]


def _count(number: int) -> str:
    return "no arguments" if number == 0 else "1 argument" if number == 1 else f"{number} arguments"


def _arguments_named(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:8]) + (", .." if len(names) > 8 else "")
    return f"argument{'s' if len(names) > 1 else ''} {shown}"
