"""The form of common values that JSON, or MessagePack, has no word for. Loaded when the first of them is met.

The types are looked for only in modules that are loaded: of any other module no value can be at hand.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List


def json_form(value: Any) -> Any:
    """A value one step nearer to JSON; what is inside it may need a step of its own. Raises TypeError where there is none.

    Dataclasses are objects, sets and tuples arrays, bytes base64; dates and times ISO 8601, timedeltas seconds, UUIDs,
    Decimals and paths their text; an Enum is its value; scalars and arrays of numpy are numbers and arrays of numbers.
    """
    kind = type(value)
    if isinstance(value, (set, frozenset)):
        return _in_order(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        from binascii import b2a_base64

        return b2a_base64(bytes(value), newline=False).decode("ascii")
    if isinstance(value, tuple):
        return list(value)
    if hasattr(kind, "__dataclass_fields__"):
        return {field.name: getattr(value, field.name) for field in sys.modules["dataclasses"].fields(value)}
    if hasattr(kind, "__fspath__"):
        from os import fsdecode

        return fsdecode(value)
    if _is(value, "enum", "Enum"):
        return value.value
    if _is(value, "datetime", "date", "time"):
        return value.isoformat()
    if _is(value, "datetime", "timedelta"):
        return value.total_seconds()
    if _is(value, "uuid", "UUID") or _is(value, "decimal", "Decimal"):
        return str(value)
    if _is(value, "numpy", "ndarray"):
        return value.tolist()
    if _is(value, "numpy", "generic"):
        return _python_scalar(value)
    raise TypeError(f"a value of type {_type_name(kind)} has no form")


def message_pack_form(value: Any) -> Any:
    """The same for MessagePack, which has a word for bytes."""
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else json_form(value)


def _is(value: Any, module_name: str, *type_names: str) -> bool:
    module = sys.modules.get(module_name)
    return module is not None and any(isinstance(value, getattr(module, name, ())) for name in type_names)


def _in_order(items: Iterable[Any]) -> List[Any]:
    # The same set is the same text every time, wherever its items can be compared.
    try:
        return sorted(items)
    except TypeError:
        return list(items)


def _python_scalar(value: Any) -> Any:
    item = value.item()
    # A long double has no Python type of its own, and gives itself.
    return float(item) if type(item) is type(value) else item


def _type_name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
