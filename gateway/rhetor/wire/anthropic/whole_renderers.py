"""Events → the language's JSON replies."""

from __future__ import annotations

import orjson

from rhetor.core.content import JsonValue, Opaque, Part, Refusal, Text, Thinking, ToolUse
from rhetor.core.events import FinishReason, Folded
from rhetor.core.usage import Usage
from rhetor.wire.anthropic.blocks import tool_input
from rhetor.wire.anthropic.vocabulary import NAME, STOP_REASONS, write_usage
from rhetor.wire.base import ReplyInfo, WholeRenderer


class MessageRenderer(WholeRenderer):
    """The reply of `/v1/messages`.

    https://platform.claude.com/docs/en/api/messages/create (read 2026-11-20).
    """

    def __init__(self, info: ReplyInfo) -> None:
        super().__init__()
        self._info = info

    def write(self, folded: Folded) -> bytes:
        reason = folded.finish or FinishReason.OTHER
        refused = reason is FinishReason.STOP and bool(folded.refusal)
        content = [block for block in map(_block, folded.parts) if block is not None]
        return orjson.dumps(
            {
                "id": self._info.id,
                "type": "message",
                "role": "assistant",
                "model": self._info.model,
                "content": content,
                "stop_reason": "refusal" if refused else STOP_REASONS[reason],
                "stop_sequence": folded.stop_sequence,
                "usage": write_usage(folded.usage),
            }
        )


class CountRenderer(WholeRenderer):
    """The reply of `/v1/messages/count_tokens`."""

    def write(self, folded: Folded) -> bytes:
        usage = folded.usage or Usage()
        return orjson.dumps({"input_tokens": usage.input_tokens})


def _block(part: Part) -> dict[str, JsonValue] | None:
    match part:
        case Text(text) | Refusal(text):
            return {"type": "text", "text": text}
        case Thinking(text, signature):
            return {"type": "thinking", "thinking": text, "signature": signature or ""}
        case ToolUse(id, name, arguments):
            return {"type": "tool_use", "id": id, "name": name, "input": tool_input(arguments)}
        case Opaque(wire, data) if wire == NAME:
            return dict(data)
        case _:
            return None
