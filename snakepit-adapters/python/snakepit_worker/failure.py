"""What went wrong, as an Error body (proto/README.md, section 5): bounded in depth and size, and never itself a failure."""

from __future__ import annotations

from .json_text import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Set

CAUSE_DEPTH = 8
MESSAGE_LIMIT = 8_192
TRACEBACK_LIMIT = 32_768
DETAILS_LIMIT = 65_536


class CommandError(Exception):
    """An error that a command raises on purpose, with what a caller needs to act on it.

    `kind` is a word of the command's own, or one of the contract's; `retryable` says that another try may succeed;
    `details` is any value that JSON can say.
    """

    def __init__(self, message: str, *, kind: str = "error", retryable: bool = False, details: Any = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable
        self.details = details


def error_body(kind: str, message: str, *, details: Any = None, retryable: bool = False, type_name: Optional[str] = None) -> bytes:
    """The body of an error that the worker itself found."""
    fields: Dict[str, Any] = {"kind": kind, "message": shortened(message, MESSAGE_LIMIT)}
    if type_name is not None:
        fields["type"] = type_name
    if retryable:
        fields["retryable"] = True
    if details is not None:
        fields["details"] = details
    return _encoded(fields)


def exception_body(error: BaseException) -> bytes:
    """The body of what a command raised, with its traceback and its causes."""
    try:
        return _encoded(_described(error, CAUSE_DEPTH, set()))
    except BaseException:
        # Out of memory or of stack, or an exception whose own methods fail: the caller still gets its answer.
        return _encoded({"kind": "error", "type": _type_name(error), "message": "the error could not be described"})


def shortened(text: str, limit: int) -> str:
    """The text with its middle left out where it is over the limit: the start says what, the end says where."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n.. {len(text) - 2 * half} characters left out ..\n{text[-half:]}"


def _described(error: BaseException, depth: int, seen: Set[int]) -> Dict[str, Any]:
    seen.add(id(error))
    fields: Dict[str, Any] = {
        "kind": "error", "type": _type_name(error), "message": shortened(_message(error), MESSAGE_LIMIT),
        "traceback": _traceback(error), "retryable": getattr(error, "retryable", False) is True,
        "details": None, "cause": None,
    }
    if isinstance(error, CommandError):
        fields["kind"] = str(error.kind) or "error"
        fields["details"] = _details(error.details)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth > 0 and id(cause) not in seen:
        fields["cause"] = _described(cause, depth - 1, seen)
    return fields


def _type_name(error: BaseException) -> str:
    kind = type(error)
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the command called exit({error.code!r})"
    try:
        return str(error)
    except Exception as failed:
        return f"(its text could not be made: {type(failed).__name__})"


def _traceback(error: BaseException) -> Optional[str]:
    import traceback  # Late: it takes longer to import than the whole worker, and most workers never need it.

    frames = error.__traceback__
    # From the first frame of the user's: those of the SDK, and of the loop that it runs, help nobody.
    while frames is not None and frames.tb_frame.f_globals.get("__package__") in (__package__, "asyncio"):
        frames = frames.tb_next
    if frames is None and error.__traceback__ is not None:
        return None
    try:
        lines = traceback.format_exception(type(error), error, frames, chain=False)
    except Exception as failed:
        return f"(the traceback could not be made: {type(failed).__name__})"
    return shortened("".join(lines), TRACEBACK_LIMIT)


def _details(details: Any) -> Any:
    try:
        return details if len(dumps(details)) <= DETAILS_LIMIT else f"(details over {DETAILS_LIMIT} bytes were left out)"
    except (TypeError, ValueError, RecursionError) as error:
        return f"(details left out: {error})"


def _encoded(fields: Dict[str, Any]) -> bytes:
    try:
        return dumps(fields)
    except UnicodeEncodeError:
        # Half a surrogate pair, as in a file name of unknown encoding: shown, since JSON cannot carry it.
        return dumps(_printable(fields))


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_printable(item) for item in value]
    return value
