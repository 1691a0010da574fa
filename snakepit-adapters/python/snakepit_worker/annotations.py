"""What annotations say of arguments that came as JSON: its own few kinds are checked, everything else is the function's affair.

Only the outermost kind counts: `list[int]` wants an array. An annotation that cannot be evaluated, or that names anything but
these kinds, `None` and unions of them, allows every value.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, FrozenSet, Iterable, Optional

    Kinds = FrozenSet[type]

NOTHING = type(None)
ACCEPTED = {
    # A whole number is a number, as to type checkers; `true` is none, whatever Python says.
    int: frozenset((int,)), float: frozenset((int, float)), bool: frozenset((bool,)), str: frozenset((str,)), bytes: frozenset((bytes,)),
    list: frozenset((list,)), dict: frozenset((dict,)), NOTHING: frozenset((NOTHING,)),
}
WANTED = {
    int: "a whole number", float: "a number", bool: "true or false", str: "a string", bytes: "bytes", list: "an array", dict: "an object",
    NOTHING: "null",
}
SHOWN = 60


def accepted_by(function: Callable[..., Any], names: Iterable[str], may_be_null: Iterable[str]) -> Dict[str, Kinds]:
    """Which kinds of value each argument takes; one that takes any is left out. `may_be_null`: those whose default is None."""
    innermost: Any = function
    while hasattr(innermost, "__wrapped__"):
        innermost = innermost.__wrapped__
    innermost = innermost if hasattr(innermost, "__globals__") else getattr(type(innermost), "__call__", innermost)
    try:
        annotations = innermost.__annotations__
    except Exception:
        # Annotations that are evaluated when they are asked for may fail then.
        return {}
    accepted = {}
    for name in names:
        kinds = _kinds(_evaluated(annotations.get(name, Ellipsis), getattr(innermost, "__globals__", {})))
        if kinds is not None:
            accepted[name] = kinds | ACCEPTED[NOTHING] if name in may_be_null else kinds
    return accepted


def wanted(kinds: Kinds) -> str:
    """The kinds in words: what the argument must be."""
    if kinds >= ACCEPTED[float]:
        kinds = kinds - {int}
    *others, last = [text for kind, text in WANTED.items() if kind in kinds]
    return f"{', '.join(others)} or {last}" if others else last


def got(value: Any) -> str:
    """The value in words: what the argument was."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        # Turning a very long one into text takes long, and beyond 4,300 digits it fails.
        return f"the number {value!r}" if isinstance(value, float) or value.bit_length() <= 64 else "a very large number"
    if isinstance(value, str):
        return f"the string {value[:SHOWN]!r}{'..' if len(value) > SHOWN else ''}"
    return WANTED[type(value)]


def _evaluated(annotation: Any, names: Dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        # The program's own text, as `typing.get_type_hints` would read it.
        return eval(annotation, names)
    except Exception:
        return Ellipsis


def _kinds(annotation: Any) -> Optional[Kinds]:
    if annotation is None:
        return ACCEPTED[NOTHING]
    origin = getattr(annotation, "__origin__", None)
    if _is_union(annotation, origin):
        parts = [_kinds(part) for part in annotation.__args__]
        return None if None in parts else frozenset().union(*(part for part in parts if part is not None))
    kind = annotation if origin is None else origin
    return ACCEPTED.get(kind) if isinstance(kind, type) else None


def _is_union(annotation: Any, origin: Any) -> bool:
    typing = sys.modules.get("typing")
    # `int | None` has a type of its own, which is named without loading the module that names it.
    return type(annotation).__name__ == "UnionType" or (typing is not None and origin is typing.Union)
