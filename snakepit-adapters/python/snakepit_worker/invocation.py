"""One command: a function, what its signature allows, and the check of arguments before any of it runs."""

from __future__ import annotations

from . import message_pack
from .beginning import UNKNOWN
from .context import Context
from .failure import error_body
from .json_text import loads
from .request import BYTES_TYPE, JSON_TYPE, MSGPACK_TYPE
from .signature import CONTEXT, IS_ASYNC_GENERATOR, IS_COROUTINE, IS_GENERATOR, flags_of, signature_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Sequence, Set, Tuple

    from .annotations import Kinds
    from .request import Request

    Arguments = Tuple[Tuple[Any, ...], Dict[str, Any]]

FITTING_KEPT = 64
"""Looks of arguments that a command remembers to have checked."""


class InvalidArgument(Exception):
    """The arguments do not fit the command's signature."""


class Command:
    """A function under its name. `is_stream`: a generator, called by ExecuteStream only.

    `takes_self`: a method whose object is not made yet. `expected`: seconds that it will most likely take (see `beginning`).
    """

    def __init__(self, name: str, function: Callable[..., Any], is_stream: Optional[bool] = None, takes_self: bool = False) -> None:
        flags = flags_of(function)
        self.name = name
        self.function = function
        self.is_async = bool(flags & (IS_COROUTINE | IS_ASYNC_GENERATOR))
        self.is_stream = bool(flags & (IS_GENERATOR | IS_ASYNC_GENERATOR)) if is_stream is None else is_stream
        self.takes_self = takes_self
        self.expected = UNKNOWN
        self.signature = signature_of(function, takes_self)
        self._accepted: Optional[Dict[str, Kinds]] = None
        self._takes_bare_bytes = False
        self._fitting: Set[Tuple[object, ...]] = set()

    def bind(self, function: Callable[..., Any]) -> None:
        """Puts the method of an object in the place of the one without."""
        self.function, self.takes_self = function, False

    @property
    def summary(self) -> str:
        """The first line of the function's documentation."""
        lines = (getattr(self.function, "__doc__", None) or "").strip().splitlines()
        return lines[0].strip() if lines else ""

    def refusal(self, request: Request, payload_limit: int, now: float) -> Optional[bytes]:
        """Why a request for this command cannot run whose turn has come now, as an Error body; None if it can."""
        if self.is_stream != request.is_stream:
            told = "is a stream: call it as one" if self.is_stream else "is no stream: call it for its one result"
            return error_body("streaming_not_supported", f"command {self.name!r} {told}")
        if request.deadline is not None and now >= request.deadline:
            return error_body("deadline_exceeded", "no time was left when the request's turn came")
        size = len(request.data)
        if size > payload_limit or (request.attachments and size + sum(map(len, request.attachments)) > payload_limit):
            return error_body("payload_too_large", f"the request is over the limit of {payload_limit} bytes")
        return None

    def call(self, request: Request) -> Any:
        """Checks the arguments, then calls the function. What an async one gives is for the caller to await, or to iterate over.

        Raises `InvalidArgument` before any of it has run, and whatever the function raises.
        """
        if self._takes_bare_bytes and request.content_type is BYTES_TYPE:
            return self.function(request.data)
        positional, named = self._arguments(request.content_type, request.data)
        signature = self.signature
        if signature.wants_context:
            index = signature.context_index
            if 0 <= index < len(positional):
                positional = (*positional[:index], Context(request), *positional[index:])
            else:
                named[CONTEXT] = Context(request)
        return self.function(*positional, **named)

    def _read_annotations(self) -> Dict[str, Kinds]:
        from .annotations import accepted_by  # With the first call: annotations may name what is defined after the function.

        signature = self.signature
        names = (*signature.positional, *signature.by_name)
        self._accepted = accepted = accepted_by(self.function, names, signature.null_by_default)
        if signature.positional and not signature.wants_context and signature.fewest <= 1 <= signature.most:
            name = signature.positional[0]
            self._takes_bare_bytes = name not in accepted or bytes in accepted[name]
        return accepted

    def _check_kinds(self, positional: Tuple[Any, ...], named: Dict[str, Any]) -> None:
        accepted = self._read_annotations() if self._accepted is None else self._accepted
        if not accepted:
            return
        for name, value in zip(self.signature.positional, positional):
            if name in accepted and type(value) not in accepted[name]:
                raise self._wrong_kind(name, value, accepted[name])
        for name, value in named.items():
            if name in accepted and type(value) not in accepted[name]:
                raise self._wrong_kind(name, value, accepted[name])

    def _wrong_kind(self, name: str, value: Any, kinds: Kinds) -> InvalidArgument:
        from .annotations import got, wanted

        return InvalidArgument(f"{self.name}() takes {wanted(kinds)} as {name!r}, not {got(value)}")

    def _arguments(self, content_type: str, data: bytes) -> Arguments:
        positional: Tuple[Any, ...] = ()
        if content_type is not JSON_TYPE and content_type != MSGPACK_TYPE and not _is_json(content_type):
            positional = (data,)
        elif data:
            value = self._message_pack(data) if content_type == MSGPACK_TYPE else self._json(data)
            if type(value) is dict:
                # Names and kinds say all that is checked: what has passed once need not be looked at again.
                looks = (*value, *map(type, value.values()))
                if looks in self._fitting:
                    return (), value
                positional, named = self._named(value)
                self._check_kinds(positional, named)
                if self.signature.is_plain and len(self._fitting) < FITTING_KEPT:
                    self._fitting.add(looks)
                return positional, named
            if type(value) is list:
                positional = tuple(value)
            elif value is not None:
                raise InvalidArgument(f"the arguments of {self.name}() must be an object, an array or null, not {_name(value)}")
        if not self.signature.fewest <= len(positional) <= self.signature.most:
            positional, _ = self._checked(positional, {})
        self._check_kinds(positional, {})
        return positional, {}

    def _named(self, value: Dict[str, Any]) -> Arguments:
        if not all(type(name) is str for name in value):
            raise InvalidArgument(f"the arguments of {self.name}() are named by something other than text")
        signature = self.signature
        if signature.is_plain and value.keys() <= signature.by_name and signature.required <= value.keys():
            return (), value
        return self._checked((), value)

    def _json(self, data: bytes) -> Any:
        try:
            return loads(data)
        except (ValueError, RecursionError) as error:
            raise InvalidArgument(f"the arguments of {self.name}() are not JSON: {error}") from None

    def _message_pack(self, data: bytes) -> Any:
        try:
            return message_pack.loads(data)
        except message_pack.NotInstalled as error:
            raise InvalidArgument(str(error)) from None
        except (ValueError, RecursionError) as error:
            raise InvalidArgument(f"the arguments of {self.name}() are not MessagePack: {error}") from None

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


def _is_json(content_type: str) -> bool:
    bare = content_type.partition(";")[0].strip().lower()
    return bare == "application/json" or bare.endswith("+json")


def _name(value: Any) -> str:
    names = {str: "a string", bool: "true or false", int: "a number", float: "a number", bytes: "bytes"}
    return names.get(type(value), f"a {type(value).__name__}")


def _count(number: int) -> str:
    return "no arguments" if number == 0 else "1 argument" if number == 1 else f"{number} arguments"


def _arguments_named(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:8]) + (", .." if len(names) > 8 else "")
    return f"argument{'s' if len(names) > 1 else ''} {shown}"
