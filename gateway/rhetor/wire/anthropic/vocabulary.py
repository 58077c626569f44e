"""Words of the language that both directions need: stop reasons, usage, cache marks."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.content import CacheTtl, Json, JsonValue
from rhetor.core.events import FinishReason
from rhetor.core.usage import Usage
from rhetor.wire.lenient import count, thing

NAME = "anthropic"

STOP_REASONS: Mapping[FinishReason, str] = {
    FinishReason.STOP: "end_turn",
    FinishReason.STOP_SEQUENCE: "stop_sequence",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_USE: "tool_use",
    FinishReason.REFUSAL: "refusal",
    FinishReason.PAUSE: "pause_turn",
    FinishReason.OTHER: "end_turn",
}
FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_USE,
    "refusal": FinishReason.REFUSAL,
    "pause_turn": FinishReason.PAUSE,
}
"""https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (read 2026-11-20)."""

INVALID_JSON = "INVALID_JSON"
"""The key under which arguments travel that are not a JSON object, where the language demands one.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming (read 2026-11-20).
"""


def read_usage(fields: Json) -> Usage:
    """A provider's usage. Its `input_tokens` leaves the cached ones out; ours counts everything."""
    cache_read = count(fields, "cache_read_input_tokens")
    cache_write = count(fields, "cache_creation_input_tokens")
    return Usage(
        input_tokens=count(fields, "input_tokens") + cache_read + cache_write,
        output_tokens=count(fields, "output_tokens"),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        reasoning_tokens=count(thing(fields, "output_tokens_details"), "thinking_tokens"),
    )


def write_usage(usage: Usage | None) -> dict[str, JsonValue]:
    """The language's usage object; clients demand the two totals, so what is unknown is 0."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    written: dict[str, JsonValue] = {
        "input_tokens": max(fresh, 0),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written


def cache_control(ttl: CacheTtl) -> dict[str, JsonValue]:
    """The mark that ends a cached prefix; five minutes is the language's default."""
    return {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
