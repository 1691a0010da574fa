"""MessagePack with `msgpack`, where it is installed: for callers that write their arguments so, and are answered so.

It is loaded with the first request that is written in it.
"""

from __future__ import annotations

from .values import message_pack_form

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NotInstalled(ValueError):
    """This worker cannot read or write MessagePack."""


def _msgpack() -> Any:
    try:
        import msgpack
    except ImportError:
        raise NotInstalled("this worker has no MessagePack: install msgpack, or send JSON") from None
    return msgpack


def loads(raw: bytes) -> Any:
    """The value. Raises ValueError for what is no MessagePack, and for maps with keys other than texts and bytes."""
    msgpack = _msgpack()
    try:
        return msgpack.unpackb(raw)
    except ValueError:
        raise
    except Exception as error:
        # Its own exceptions are not all ValueErrors.
        raise ValueError(f"{type(error).__name__}: {error}") from None


def dumps(value: Any) -> bytes:
    """The bytes of `value`. Raises TypeError, ValueError or OverflowError for what has no form."""
    packed: bytes = _msgpack().packb(value, default=message_pack_form)
    return packed
