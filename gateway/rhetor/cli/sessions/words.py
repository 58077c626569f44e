"""Events and sessions in a line each, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rhetor.cli.sessions.calls import IN_TURN, Told
from rhetor.cli.terminal import printable
from rhetor.core.content import Json

SALIENT = (
    "command", "file_path", "filePath", "notebook_path", "path", "pattern", "query", "url", "description",
    "prompt",
)  # fmt: skip
"""The fields of a tool's input of which one says what it is about."""
MICROS = 1_000_000
LINE_CHARS = 200
CHANGES = {"create": "created", "edit": "changed", "delete": "deleted"}


def tool_line(event: Told) -> str:
    """`Bash(ls -la)`"""
    return called(str(event.data.get("name") or "a tool"), event.data.get("input"))


def called(name: str, input: object) -> str:
    return f"{name}({about(input)})"


def about(input: object) -> str:
    """What a tool's input is about, in one line."""
    if not isinstance(input, Mapping):
        return "" if input is None else one_line(str(input))
    for field in SALIENT:
        if isinstance(said := input.get(field), str) and said:
            return one_line(said)
    return one_line(json.dumps(input, ensure_ascii=False)) if input else ""


def whole(input: object) -> str:
    """All of a tool's input: nobody shall allow what they have not seen."""
    if not isinstance(input, Mapping):
        return "" if input is None else printable(str(input))
    said = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in input.items()]
    if len(said) == 1:
        return printable(said[0][1])
    return printable("\n".join(f"{name}: {value}" for name, value in said))


def result_line(event: Told) -> str:
    """The first line of what came of it, and how many there are."""
    lines = [line for line in event.content.splitlines() if line.strip()]
    if not lines:
        return "nothing" if not event.data.get("is_error") else "failed"
    more = f"  (+{len(lines) - 1} lines)" if len(lines) > 1 else ""
    return f"{one_line(lines[0], LINE_CHARS - len(more))}{more}"


def file_line(event: Told) -> str:
    kind = str(event.data.get("kind") or "")
    return f"{CHANGES.get(kind, kind or 'changed')} {event.data.get('path') or event.content}"


def question(request: Mapping[str, Any]) -> str:
    """What is asked, from the data of the event."""
    return f"May it use {called(str(request.get('tool') or 'a tool'), request.get('input'))}?"


def state_line(event: Told) -> str | None:
    """`idle (interrupted)`; None: it is as everybody expects."""
    reason = str(event.data.get("reason") or "")
    state = str(event.data.get("to") or event.content)
    if state in IN_TURN or (state == "idle" and reason in EXPECTED):
        return None
    return state if reason in ("", state) else f"{state} ({reason})"


EXPECTED = frozenset({"", "created", "end"})
"""Reasons for being idle that need no words."""


def resolved_line(event: Told) -> str:
    decision = str(event.data.get("decision") or event.content)
    by = " by a rule" if event.data.get("by") == "rule" else ""
    said = event.data.get("message")
    return f"{ANSWERS.get(decision, decision)}{by}{f': {one_line(str(said))}' if said else ''}"


ANSWERS = {"allow": "allowed", "deny": "denied"}


def shortened(path: str, home: str | None, limit: int = 32) -> str:
    """The end of a path, or with `~` for the home."""
    if home and (path == home or path.startswith(f"{home.rstrip('/')}/")):
        path = f"~{path[len(home.rstrip('/')) :]}"
    return path if len(path) <= limit else f"…{path[1 - limit :]}"


def cost(micros: object) -> str:
    return f"${micros / MICROS:.4f}" if isinstance(micros, int) else "cost unknown"


def used(usage: object) -> str:
    """`3 calls, 1,234 tokens, $0.0123`"""
    if not isinstance(usage, Mapping) or not usage.get("calls"):
        return "nothing used yet"
    tokens = int(usage.get("input_tokens") or 0) + int(usage.get("output_tokens") or 0)
    calls = int(usage["calls"])
    return f"{calls} call{'s' if calls != 1 else ''}, {tokens:,} tokens, {cost(usage.get('cost_micros'))}"


def ago(timestamp: object, now: datetime | None = None) -> str:
    """`5 min` since then."""
    try:
        seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(str(timestamp))).total_seconds()
    except (ValueError, TypeError):
        return "?"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def one_line(text: str, limit: int = LINE_CHARS) -> str:
    """Without line ends and what a terminal would obey."""
    text = " ".join(printable(text).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def name_of(session: Json) -> str:
    """`claude_code · anthropic/claude-haiku-4-5`"""
    said = [str(session.get("backend") or ""), str(session.get("model") or "")]
    return " · ".join(part for part in said if part)
