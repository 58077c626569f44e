"""How parts become events: what a model would say, piece by piece."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rhetor.core.content import Opaque, Part, Refusal, Text, Thinking, ToolUse
from rhetor.core.events import (
    SILENT,
    Event,
    Failed,
    Finished,
    FinishReason,
    MediumStarted,
    OpaquePart,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.usage import Usage


def words(text: str) -> list[str]:
    """The words of a text with the space before each; joined they are the text."""
    return re.findall(r"\s*\S+(?:\s+\Z)?|\s+\Z", text)


def is_content(event: Event) -> bool:
    """Whether an event counts where points count: that a medium begins is no piece of it."""
    return not isinstance(event, (*SILENT, MediumStarted, Finished, Failed))


def deltas(parts: Iterable[str | Part]) -> list[list[Event]]:
    """The events of each part."""
    deltas: list[list[Event]] = []
    tools = 0
    for part in parts:
        if isinstance(part, ToolUse):
            deltas.append(_tool_deltas(tools, part))
            tools += 1
        else:
            deltas.append(_plain_deltas(part))
    return deltas


def _plain_deltas(part: str | Part) -> list[Event]:
    match part:
        case str(text) | Text(text):
            return [TextDelta(word) for word in words(text)]
        case Refusal(text):
            return [RefusalDelta(word) for word in words(text)]
        case Thinking(text, signature):
            thoughts: list[Event] = [ThinkingDelta(word) for word in words(text)]
            return thoughts if signature is None else [*thoughts, ThinkingSigned(signature)]
        case Opaque():
            return [OpaquePart(part)]
    raise ValueError(f"no provider answers with a part of this kind: {part!r}")


def _tool_deltas(index: int, tool: ToolUse) -> list[Event]:
    pieces = re.findall(r"[^:,]+[:,]*|[:,]+", tool.arguments)
    return [ToolUseStarted(index, tool.id, tool.name), *(ToolUseDelta(index, piece) for piece in pieces)]


def interleaved(deltas: list[list[Event]]) -> list[Event]:
    longest = max(map(len, deltas), default=0)
    return [events[n] for n in range(longest) for events in deltas if n < len(events)]


def ending(parts: Iterable[str | Part], usage: Usage | None, finish: FinishReason | None) -> list[Event]:
    usual = FinishReason.TOOL_USE if any(isinstance(part, ToolUse) for part in parts) else FinishReason.STOP
    reports: list[Event] = [] if usage is None else [UsageReport(usage)]
    return [*reports, Finished(finish or usual)]
