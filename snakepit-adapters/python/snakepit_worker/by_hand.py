"""A worker started by a person: says what it would serve, or runs one command and prints its result."""

from __future__ import annotations

import os
import sys

from .alone import Alone, Refused, body_of
from .frame import DEFAULT_PAYLOAD_LIMIT
from .invocation import InvalidArgument
from .json_text import dumps
from .request import JSON_TYPE, Request
from .voice import Voice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from .invocation import Command
    from .payload import Payload
    from .registry import Registry

DONE, FAILED, MISUSED = 0, 1, 2


def run_by_hand(registry: Registry, argv: List[str]) -> int:
    """The exit code: 0 done, 1 the command failed (its error is on stderr, as JSON), 2 it could not be called."""
    program, arguments = argv[0] if argv else "worker.py", argv[1:]
    if arguments[:1] != ["--call"]:
        _show(registry, program)
        return DONE
    if not 2 <= len(arguments) <= 3:
        print(f"usage: python3 {program} --call NAME [JSON]", file=sys.stderr)
        return MISUSED
    return _call(registry, arguments[1], arguments[2] if len(arguments) == 3 else "")


def _call(registry: Registry, name: str, text: str) -> int:
    command, alone = registry.find(name), Alone(registry)
    request = Request(1, command is not None and command.is_stream, name, text.encode("utf-8", "surrogateescape"))
    request.session_id, request.session = "by-hand", {}
    request.voice = _ToStderr()
    try:
        if command is not None:
            alone.open()
        try:
            for payload in alone.payloads(request, DEFAULT_PAYLOAD_LIMIT):
                _print(payload)
        finally:
            alone.close()
    except (Refused, InvalidArgument) as error:
        return _fail(error, MISUSED)
    except BrokenPipeError:
        # The reader of the pipe has seen enough. What the interpreter flushes at its end must not fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return 130
    except BaseException as error:
        return _fail(error, FAILED)
    return DONE


def _print(payload: Payload) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(payload.data + (b"\n" if payload.content_type == JSON_TYPE else b""))
    sys.stdout.buffer.flush()


def _fail(error: BaseException, code: int) -> int:
    print(body_of(error).decode("utf-8"), file=sys.stderr)
    return code


class _ToStderr(Voice):
    """What a host would be told beside the answer goes to stderr, a line each."""

    def say(self, kind: int, request_id: int, fields: Dict[str, Any]) -> None:
        print(dumps(fields).decode("utf-8"), file=sys.stderr)


def _show(registry: Registry, program: str) -> None:
    import inspect

    commands = sorted(registry, key=lambda command: command.name)
    print(f"{program} is a worker of a snakepit pool; its host starts it. It would serve:\n")
    for command in commands:
        print(f"  {command.name}{_shown_signature(inspect, command)}{'   a stream' if command.is_stream else ''}")
        if command.summary:
            print(f"      {command.summary}")
    if not commands:
        print("  nothing: no function is marked with @worker.command")
        return
    print(f"\nTo try one: python3 {program} --call NAME '{{\"argument\": value}}'")


class _Bare:
    """An annotation that is shown as it was written, without the quotes of a string."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _shown_signature(inspect: Any, command: Command) -> str:
    def bare(annotation: Any) -> Any:
        return _Bare(annotation) if isinstance(annotation, str) else annotation

    try:
        signature = inspect.signature(command.function)
    except ValueError:
        return "(..)"
    shown = list(signature.parameters.values())[int(command.takes_self):]
    parameters = [each.replace(annotation=bare(each.annotation)) for each in shown if each.name != "ctx"]
    return str(signature.replace(parameters=parameters, return_annotation=bare(signature.return_annotation)))
