"""`logging` to the host: every record becomes a Log frame with its level, its logger and the request that runs.

`logging` takes long to import, and many workers never use it: where it is not loaded yet, it is hooked when it is.
"""

from __future__ import annotations

import os
import sys

from .failure import shortened
from .frame import LOG, encode
from .json_text import dumps
from .outgoing import HostGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from typing import Any, Callable

    from .outgoing import Outgoing

MESSAGE_LIMIT = 32_768
"""Characters; six bytes each at worst, so that a Log frame is never cut."""


class LogFrames:
    """The way from a log record to the host."""

    def __init__(self, outgoing: Outgoing, running_id: Callable[[], int]) -> None:
        self._outgoing = outgoing
        self._running_id = running_id
        self._pid = os.getpid()

    def install(self) -> None:
        """Hooks `logging` now, or when it is first imported."""
        if "logging" in sys.modules:
            self._hook()
        else:
            sys.meta_path.insert(0, _WhenLoggingIsImported(self))

    def _hook(self) -> None:
        import logging

        class ToHost(logging.Handler):
            """Stands for the console: a worker's console is its host."""

            def emit(handler, record: logging.LogRecord) -> None:  # noqa: N805
                try:
                    self._send(record.levelno, record.name, handler.format(record))
                except Exception:
                    handler.handleError(record)

        root = logging.getLogger()
        if root.handlers:
            # Configured by the user: the level stays. A plain console handler would say everything twice.
            for handler in list(root.handlers):
                if type(handler) is logging.StreamHandler and handler.stream in (sys.stderr, sys.stdout):
                    root.removeHandler(handler)
        else:
            root.setLevel(logging.INFO)
        root.addHandler(ToHost())

    def _send(self, level: int, logger: str, message: str) -> None:
        if os.getpid() != self._pid:
            # A forked child has no frames of its own; its stderr reaches the host's log all the same.
            sys.stderr.write(f"{_level_name(level)} {logger}: {message}\n")
            return
        fields: Any = {"level": _level_name(level), "logger": logger, "message": shortened(message, MESSAGE_LIMIT)}
        try:
            body = dumps(fields)
        except UnicodeEncodeError:
            body = dumps({key: text.encode("utf-8", "backslashreplace").decode("utf-8") for key, text in fields.items()})
        try:
            self._outgoing.put(encode(LOG, self._running_id(), body))
            self._outgoing.flush()
        except HostGone:
            pass  # The end of the input says the same, and the reading thread acts on it.


class _WhenLoggingIsImported:
    """An entry of `sys.meta_path` that steps aside, lets the others find `logging`, and hooks it once it is loaded."""

    def __init__(self, log_frames: LogFrames) -> None:
        self._log_frames = log_frames

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                loader, log_frames = spec.loader, self._log_frames
                execute = loader.exec_module

                def exec_module(module: Any) -> None:
                    execute(module)
                    log_frames._hook()

                loader.exec_module = exec_module  # type: ignore[method-assign]
                return spec
        return None


def _level_name(level: int) -> str:
    if level >= 40:
        return "error"
    if level >= 30:
        return "warn"
    if level >= 20:
        return "info"
    return "debug" if level >= 10 else "trace"
