"""MessagePack with `msgpack`, where it is installed: for callers that write their arguments so, and are answered so.

It is loaded with the first request that is written in it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

LARGE = 262_144
"""Bytes from which on a packer is not kept: it would keep as many."""


class NotInstalled(ValueError):
    """This worker cannot read or write MessagePack."""


class _Found:
    """What of `msgpack` is used, once it was asked for: a look into a class is quicker than an import that does nothing."""

    unpack: Any = None
    packer: Any = None
    form: Any = None
    packers: List[Any] = []
    """Those that nobody packs with now: to make one costs more than to pack a small value with it."""


def _find() -> None:
    try:
        from msgpack import Packer, unpackb
    except ImportError:
        raise NotInstalled("this worker has no MessagePack: install msgpack, or send JSON") from None
    from .values import message_pack_form  # Late, as `msgpack` is.

    _Found.unpack, _Found.packer, _Found.form = unpackb, Packer, message_pack_form


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
    if _Found.packer is None:
        _find()
    # A value's own methods may pack something else in the middle, as other threads may: no packer is in two hands.
    try:
        packer = _Found.packers.pop()
    except IndexError:
        packer = _Found.packer(default=_Found.form)
    packed: bytes = packer.pack(value)
    if len(packed) < LARGE:
        _Found.packers.append(packer)
    return packed
