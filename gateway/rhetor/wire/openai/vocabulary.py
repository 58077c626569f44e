"""Words of the language that both directions need: finish reasons, usage, cache marks."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.content import CacheTtl, Json, JsonValue
from rhetor.core.events import FinishReason
from rhetor.core.usage import Usage
from rhetor.wire.lenient import count, thing

NAME = "openai"

FINISH_WORDS: Mapping[FinishReason, str] = {
    FinishReason.STOP: "stop",
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_USE: "tool_calls",
    FinishReason.REFUSAL: "content_filter",
    FinishReason.PAUSE: "stop",
    FinishReason.OTHER: "stop",
}
FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_USE,
    "function_call": FinishReason.TOOL_USE,
    "content_filter": FinishReason.REFUSAL,
    "eos": FinishReason.STOP,  # Together
    "end_turn": FinishReason.STOP,
    "model_length": FinishReason.LENGTH,  # Mistral: the context is full
}
"""https://platform.openai.com/docs/api-reference/chat/object (read 2026-11-20), and others' words."""

FAILED_WORDS = frozenset({"error", "insufficient_system_resource"})
"""Finish reasons that report a failure: OpenRouter's and Mistral's, and DeepSeek's."""


def finish_of(word: str, called: bool) -> FinishReason:
    """What a finish reason means.

    A reply that calls tools ends with "stop" at Gemini, and everywhere when
    the request named the tool; who runs tools needs to hear TOOL_USE.
    """
    reason = FINISH_REASONS.get(word, FinishReason.OTHER)
    return FinishReason.TOOL_USE if called and reason is FinishReason.STOP else reason


def read_usage(fields: Json) -> Usage:
    """A provider's usage; cached and reasoning tokens are parts of the two totals, as ours are.

    xAI and Gemini leave thoughts out of `completion_tokens` and count them in
    `total_tokens` only (https://docs.x.ai/docs/key-information/consumption-and-rate-limits,
    read 2026-11-20): what the total has beyond the sum was thought.
    """
    prompt = count(fields, "prompt_tokens")
    completion = count(fields, "completion_tokens")
    given = thing(fields, "prompt_tokens_details")
    beyond = max(count(fields, "total_tokens") - prompt - completion, 0)
    return Usage(
        input_tokens=prompt,
        output_tokens=completion + beyond,
        cache_read_tokens=count(given, "cached_tokens") or _cached_elsewhere(fields),
        cache_write_tokens=count(given, "cache_write_tokens"),  # OpenRouter's
        reasoning_tokens=max(count(thing(fields, "completion_tokens_details"), "reasoning_tokens"), beyond),
    )


def _cached_elsewhere(fields: Json) -> int:
    return count(fields, "prompt_cache_hit_tokens") or count(fields, "cached_tokens")  # DeepSeek, Moonshot


def write_usage(usage: Usage) -> dict[str, JsonValue]:
    given: dict[str, JsonValue] = {"cached_tokens": usage.cache_read_tokens}
    if usage.cache_write_tokens:
        given["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": given,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def read_cache(part: Json) -> CacheTtl | None:
    """Anthropic's mark on a part, as OpenRouter and LiteLLM take it; anything else says nothing."""
    mark = thing(part, "cache_control")
    if mark.get("type") != "ephemeral":
        return None
    return "1h" if mark.get("ttl") == "1h" else "5m"


def cache_control(ttl: CacheTtl) -> dict[str, JsonValue]:
    return {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
