"""The worker of the first example: reads Rust and Python source files, and counts lines and identifiers.

    python3 examples/workers/source_worker.py --call analyse '{"path": "snakepit-core/src/pool.rs"}'

`python_source` and `rust_source` beside this file do the reading.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

import python_source
import rust_source
from snakepit_worker import CommandError, Context, Worker

worker = Worker()

TOP = 50
"""Identifiers named in an answer: enough that the merged table of many files is right at its head."""

SIZE_LIMIT = 16 * 1024 * 1024

Reader = Callable[[str], Tuple[Set[int], Iterator[str]]]
READERS: Dict[str, Tuple[str, Reader]] = {".py": ("python", python_source.read), ".rs": ("rust", rust_source.read)}


@worker.command
def analyse(path: str) -> Dict[str, Any]:
    """Counts the lines and identifiers of one source file."""
    suffix = os.path.splitext(path)[1]
    if suffix not in READERS:
        raise CommandError(f"{path} is neither Rust nor Python", kind="unsupported_file", details={"path": path})
    language, read = READERS[suffix]
    text = _text_of(path)
    try:
        code_lines, identifiers = read(text)
        counted = Counter(identifiers)
    except SyntaxError as error:
        raise CommandError(f"{path} cannot be read as {language}: {error}", kind="unreadable_source", details={"path": path}) from error
    # Of names that are equally frequent the first in the alphabet, so that the answer does not depend on their order.
    ranked = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "path": path, "language": language, "lines": text.count("\n") + (not text.endswith("\n") and text != ""),
        "code_lines": len(code_lines), "identifiers": sum(counted.values()), "top": [list(pair) for pair in ranked[:TOP]],
    }


@worker.command
def scan(paths: List[str], ctx: Context) -> Iterator[Dict[str, Any]]:
    """A stream with one small item for each file, as it is analysed. A file that fails is an item too."""
    for index, path in enumerate(paths):
        if ctx.cancelled:
            return
        try:
            found = analyse(path)
        except CommandError as error:
            yield {"index": index, "of": len(paths), "path": path, "error": str(error)}
            continue
        del found["top"]
        yield {"index": index, "of": len(paths), **found}


@worker.command
def remember(key: str, value: Any, ctx: Context) -> Dict[str, Any]:
    """Keeps a value for this session, in this worker."""
    ctx.session[key] = value
    return {"pid": os.getpid(), "session": ctx.session_id, "kept": dict(ctx.session)}


@worker.command
def recall(ctx: Context) -> Dict[str, Any]:
    """What this worker has kept for this session."""
    return {"pid": os.getpid(), "session": ctx.session_id, "kept": dict(ctx.session)}


@worker.command
def nap(seconds: float, ctx: Context) -> Dict[str, Any]:
    """Is busy for so long, unless the caller gives up: time enough to kill it in the middle of its work."""
    began = time.monotonic()
    while time.monotonic() - began < seconds and not ctx.cancelled:
        time.sleep(min(0.01, max(0.0, seconds - (time.monotonic() - began))))
    return {"pid": os.getpid(), "napped": round(time.monotonic() - began, 3), "cancelled": ctx.cancelled}


def _text_of(path: str) -> str:
    try:
        if os.path.getsize(path) > SIZE_LIMIT:
            raise CommandError(f"{path} is over {SIZE_LIMIT} bytes", kind="unreadable_source", details={"path": path})
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {path}: {error}", kind="unreadable_source", details={"path": path}) from error


if __name__ == "__main__":
    worker.run()
