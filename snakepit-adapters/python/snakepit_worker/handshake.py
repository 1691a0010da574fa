"""Hello and Ready (proto/README.md, section 3)."""

from __future__ import annotations

from .frame import DEFAULT_PAYLOAD_LIMIT, Breach
from .json_text import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

PROTOCOL = 1
FEATURES = ("started",)


class NoCommonProtocol(Exception):
    """Host and worker have no version of the protocol in common; starting again would not help."""


class Hello:
    """What the host says of itself. Unknown keys are left alone."""

    def __init__(self, body: bytes) -> None:
        fields = _object(body)
        protocol = _typed(fields, "protocol", list, None)
        if PROTOCOL not in protocol:
            raise NoCommonProtocol(f"the host speaks the protocol versions {protocol}, this worker speaks {PROTOCOL}")
        offered = _typed(fields, "features", list, [])
        self.features = [feature for feature in FEATURES if feature in offered]
        self.payload_limit: int = _typed(fields, "payload_limit", int, DEFAULT_PAYLOAD_LIMIT)


def ready_body(hello: Hello, agent: str, capacity: int, commands: List[Dict[str, Any]]) -> bytes:
    """The body of Ready."""
    return dumps({"protocol": PROTOCOL, "features": hello.features, "capacity": capacity, "agent": agent, "commands": commands})


def _object(body: bytes) -> Dict[str, Any]:
    try:
        fields = loads(body)
    except (ValueError, RecursionError) as error:
        raise Breach("json", f"Hello is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Breach("json", "Hello is not a JSON object")
    return fields


def _typed(fields: Dict[str, Any], key: str, wanted: type, default: Any) -> Any:
    value = fields.get(key, default)
    if type(value) is not wanted:
        raise Breach("json", f"Hello has no {key!r} that is a {wanted.__name__}")
    return value
