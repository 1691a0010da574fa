"""JSON with `orjson`, for large bodies and where it is installed: the same texts and values, in a tenth to a third of the time.

It is loaded with the first large body: loading takes as long as some ten thousand small bodies, which are as quick without.
Wherever its answer could differ from that of `json_text` it gives none, and the other is asked.
"""

from __future__ import annotations

import orjson

from .values import json_form

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple

# Their forms are the business of `values`, so that they do not depend on what is installed.
OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

DIGITS = bytes(ord("0") if chr(code) in "0123456789" else ord(" ") for code in range(256))
LONG_INTEGER = b"0" * 19
"""A whole number of so many digits may not fit in 64 bits, and would come back as the nearest float."""


def dumps(value: Any) -> Optional[bytes]:
    """The text, or None where `json_text` is to make it, or to say why it cannot."""
    try:
        text: bytes = orjson.dumps(value, json_form, OPTIONS)
    except TypeError:
        return None
    # NaN and Infinity come out as null, which must not pass; whether it was None that did is not to be seen.
    return None if b"null" in text else text


def loads(raw: bytes) -> Optional[Tuple[Any]]:
    """The value, in a tuple since it may be None, or None where `json_text` is to find it, or to say what is wrong."""
    if LONG_INTEGER in raw.translate(DIGITS):
        return None
    try:
        return (orjson.loads(raw),)
    except ValueError:
        return None
