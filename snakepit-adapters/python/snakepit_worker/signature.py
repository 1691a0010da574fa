"""What a function takes: read from its code object, or by `inspect` where that does not tell."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, FrozenSet, List, Sequence

HAS_REST = 0x04
HAS_KEYWORD_REST = 0x08
IS_GENERATOR = 0x20
IS_COROUTINE = 0x80
IS_ASYNC_GENERATOR = 0x200
"""co_flags, as in `inspect`"""

CONTEXT = "ctx"
UNREACHABLE = 1 << 62


class Signature:
    """Which arguments a function takes, without the context."""

    def __init__(
        self, positional: Sequence[str], positional_only: int, keyword_only: Sequence[str], required: FrozenSet[str],
        takes_rest: bool, takes_keyword_rest: bool, null_by_default: FrozenSet[str] = frozenset(),
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
        self.null_by_default = null_by_default
        self.takes_rest = takes_rest
        self.takes_keyword_rest = takes_keyword_rest
        # What a common call is held against in one step; everything else is checked step by step, to name what is wrong.
        self.is_plain = not (self.positional_only or takes_keyword_rest)
        needed = [place + 1 for place, name in enumerate(self.positional) if name in self.required]
        self.fewest = max(needed, default=0) if not self.keyword_only_required else UNREACHABLE
        self.most = UNREACHABLE if takes_rest else len(self.positional)


def flags_of(function: Callable[..., Any]) -> int:
    """The co_flags of the function, behind whatever wraps it."""
    innermost: Any = getattr(function, "__func__", function)
    while hasattr(innermost, "__wrapped__"):
        innermost = innermost.__wrapped__
    code = getattr(innermost, "__code__", None) or getattr(getattr(innermost, "__call__", None), "__code__", None)
    flags: int = 0 if code is None else code.co_flags
    return flags


def signature_of(function: Callable[..., Any], takes_self: bool = False) -> Signature:
    """`takes_self`: the first parameter is the object of a method that is not bound yet."""
    inner: Any = getattr(function, "__func__", function)
    code = getattr(inner, "__code__", None)
    if code is None or hasattr(function, "__wrapped__"):
        return _inspected(function, takes_self)
    names, count, keyword_count = code.co_varnames, code.co_argcount, code.co_kwonlyargcount
    positional: List[str] = list(names[:count])
    keyword_only = names[count:count + keyword_count]
    defaults = dict(zip(reversed(positional), reversed(inner.__defaults__ or ())))
    defaults.update(inner.__kwdefaults__ or {})
    positional_only = code.co_posonlyargcount
    if takes_self or inner is not function:
        # The first parameter of a method is filled by what it is bound to.
        positional, positional_only = positional[1:], max(0, positional_only - 1)
    required = frozenset((*positional, *keyword_only)) - defaults.keys()
    takes_rest, takes_keyword_rest = bool(code.co_flags & HAS_REST), bool(code.co_flags & HAS_KEYWORD_REST)
    return Signature(positional, positional_only, keyword_only, required, takes_rest, takes_keyword_rest, _null_by_default(defaults))


def _inspected(function: Callable[..., Any], takes_self: bool) -> Signature:
    import inspect  # Late: plain functions, nearly all commands, do without, and it takes longer than the interpreter's start.

    try:
        parameters = list(inspect.signature(function).parameters.values())[int(takes_self):]
    except ValueError:
        # Some functions written in C do not tell: anything goes, and their own TypeError is the answer.
        return Signature((), 0, (), frozenset(), True, True)
    positional_only = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
    positional = positional_only + [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keyword_only = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    required = frozenset(p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    kinds = {p.kind for p in parameters}
    takes_rest, takes_keyword_rest = inspect.Parameter.VAR_POSITIONAL in kinds, inspect.Parameter.VAR_KEYWORD in kinds
    null_by_default = _null_by_default({p.name: p.default for p in parameters})
    return Signature(positional, len(positional_only), keyword_only, required, takes_rest, takes_keyword_rest, null_by_default)


def _null_by_default(defaults: Dict[str, Any]) -> FrozenSet[str]:
    return frozenset(name for name, default in defaults.items() if default is None)
