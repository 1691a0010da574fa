"""JSON to values and back, strict (no NaN, no Infinity), without importing `json`.

`import json` brings in `re`, which takes longer than all other imports of a worker together. The two C functions that do
the work need neither; where an interpreter lacks them, the `json` module is used. Large bodies go to `fast_json`, if it can be had.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Tuple

LARGE = 4096
"""Bytes from which on the faster way is worth its price."""

def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _form_of(value: Any) -> Any:
    from .values import json_form  # Late: most workers answer with what JSON knows.

    return json_form(value)


def _accelerated() -> Tuple[Callable[[str, int], Tuple[Any, int]], Callable[[Any], str]]:
    from _json import encode_basestring, make_encoder, make_scanner

    class Rules:
        """What json.JSONDecoder would tell the scanner."""

        strict = True
        object_hook = None
        object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = staticmethod(_refuse_constant)
        memo: Any = {}

    # No table of markers: a circular value ends in RecursionError, and a table would keep entries of a failed call.
    encoder = make_encoder(None, _form_of, encode_basestring, None, ":", ",", False, False, False)
    join = "".join

    def dumps(value: Any) -> str:
        return join(encoder(value, 0))

    rules: Any = Rules
    return make_scanner(rules), dumps


def _portable() -> Tuple[Callable[[str, int], Tuple[Any, int]], Callable[[Any], str]]:
    import json

    decoder: Any = json.JSONDecoder(parse_constant=_refuse_constant)
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), default=_form_of)
    return decoder.scan_once, encoder.encode


try:
    _scan, _dumps = _accelerated()
    if _scan('{"a":[1,null]}', 0)[0] != {"a": [1, None]} or _dumps({"a": [1, None, "é"]}) != '{"a":[1,null,"é"]}':
        raise ValueError("the accelerators answer otherwise than expected")
except Exception:
    _scan, _dumps = _portable()


class _Fast:
    """`fast_json` if it can be had: asked for once, when the first large body is met."""

    module: Any = None
    was_asked_for = False


def _fast() -> Any:
    if not _Fast.was_asked_for:
        try:
            from . import fast_json

            _Fast.module = fast_json
        except Exception:
            # Not installed, or not made for this interpreter: nothing depends on it.
            pass
        _Fast.was_asked_for = True
    return _Fast.module


def dumps(value: Any) -> bytes:
    """The UTF-8 text of `value`. Raises TypeError, ValueError or RecursionError for what JSON cannot say."""
    fast = _Fast.module
    if fast is not None:
        text: bytes = fast.dumps(value)
        if text is not None:
            return text
    text = _dumps(value).encode("utf-8")
    if fast is None and len(text) >= LARGE:
        # How large a value is shows only in its text: this one is done, the next is quicker.
        _fast()
    return text


def loads(raw: bytes) -> Any:
    """The value of a UTF-8 text. Raises ValueError (also for bytes that are not UTF-8) or RecursionError."""
    if len(raw) >= LARGE and _fast() is not None:
        found = _Fast.module.loads(raw)
        if found is not None:
            return found[0]
    text = str(raw, "utf-8")
    try:
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except (StopIteration, ValueError, SystemError):
        # SystemError: the accelerator wants to raise an exception of `json.decoder`, which is not imported.
        pass
    return _loads_patiently(text)


def _loads_patiently(text: str) -> Any:
    """For text with blanks around it, and for a good account of what is wrong with it."""
    import json

    return json.loads(text, parse_constant=_refuse_constant)
