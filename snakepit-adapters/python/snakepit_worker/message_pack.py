"""MessagePack with `msgpack`, where it is installed: for callers that write their arguments so, and are answered so.

It is loaded with the first request that is written in it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class NotInstalled(ValueError):
    """This worker cannot read or write MessagePack."""


class _Found:
    """What of `msgpack` is used, once it was asked for: a look into a class is quicker than an import that does nothing."""

    unpack: Any = None
    pack: Any = None
    form: Any = None


def _find() -> None:
    try:
        from msgpack import packb, unpackb
    except ImportError:
        raise NotInstalled("this worker has no MessagePack: install msgpack, or send JSON") from None
    from .values import message_pack_form  # Late, as `msgpack` is.

    _Found.unpack, _Found.pack, _Found.form = unpackb, packb, message_pack_form


def loads(raw: bytes) -> Any:
    """The value. Raises ValueError for what is no MessagePack, and for maps with keys other than texts and bytes."""
    if _Found.unpack is None:
        _find()
    try:
        return _Found.unpack(raw)
    except ValueError:
        raise
    except Exception as error:
        # Its own exceptions are not all ValueErrors.
        raise ValueError(f"{type(error).__name__}: {error}") from None


def dumps(value: Any) -> bytes:
    """The bytes of `value`. Raises TypeError, ValueError or OverflowError for what has no form."""
    if _Found.pack is None:
        _find()
    packed: bytes = _Found.pack(value, default=_Found.form)
    return packed
