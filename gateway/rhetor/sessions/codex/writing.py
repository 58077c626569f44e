"""What is said to Codex: JSON-RPC without its version, one object a line, on its standard input.

The methods are those of `codex app-server generate-json-schema`. Seen running, version 0.169.0, 2026-11-21.
"""

from __future__ import annotations

import orjson

from rhetor.core.content import Json, JsonValue

CLIENT: Json = {"name": "rhetor", "title": "Rhetor", "version": "1"}
NOT_SUPPORTED = -32601  # JSON-RPC's own number for methods that nobody knows


def request(id: str, method: str, params: Json) -> bytes:
    return _line({"id": id, "method": method, "params": dict(params)})


def initialized() -> bytes:
    return _line({"method": "initialized"})


def message(id: str, thread: str, text: str) -> bytes:
    """Begin a turn."""
    return request(id, "turn/start", {"threadId": thread, "input": _said(text)})


def remark(id: str, thread: str, turn: str, text: str) -> bytes:
    """Say something while a turn is under way; it is heard before the next model call."""
    return request(id, "turn/steer", {"threadId": thread, "expectedTurnId": turn, "input": _said(text)})


def interrupt(id: str, thread: str, turn: str) -> bytes:
    """Refused before the turn has started."""
    return request(id, "turn/interrupt", {"threadId": thread, "turnId": turn})


def decision(id: JsonValue, decided: JsonValue) -> bytes:
    """The answer to a request for approval."""
    return _line({"id": id, "result": {"decision": decided}})


def refusal(id: JsonValue, method: str) -> bytes:
    return _line({"id": id, "error": {"code": NOT_SUPPORTED, "message": f"not supported: {method}"}})


def _said(text: str) -> list[JsonValue]:
    return [{"type": "text", "text": text}]


def _line(fields: Json) -> bytes:
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
