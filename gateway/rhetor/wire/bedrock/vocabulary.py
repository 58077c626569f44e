"""Words of the language that several of its modules need: where things are asked, why replies end, usage.

The shapes are those of the service's own description, `bedrock-runtime/2023-09-30` in botocore 1.44, which
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html is made
from (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import Event, Failed, Finished, FinishReason
from rhetor.core.usage import Usage
from rhetor.wire.lenient import count, thing, word

NAME = "bedrock"
FAMILY = "Bedrock"
"""How people call the language."""

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_USE,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "guardrail_intervened": FinishReason.REFUSAL,
    "content_filtered": FinishReason.REFUSAL,
}
_FAILURES = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Endings that are none: the model stumbled, and another attempt may not."""

STOP_SEQUENCE = "/stop_sequence"
STREAMED_STOP_SEQUENCE = "/delta/stop_sequence"
"""What Claude is asked to tell beside its answer: where it stands in its own reply, or in its last frame."""


def path_of(model: str, action: str) -> str:
    """Where something is asked of a model: an id, the id of an inference profile, or an ARN of either."""
    return f"/model/{quote(model, safe='')}/{action}"


def is_claude(model: str) -> bool:
    return "claude" in model.lower()


def is_gpt(model: str) -> bool:
    """OpenAI's own models, of which those that are open take more."""
    return "openai." in model.lower() and "gpt-oss" not in model.lower()


def is_nova(model: str) -> bool:
    return "amazon.nova" in model.lower()


def ending_of(said: Json) -> Event:
    """How a reply has ended, by its `stopReason`."""
    reason = word(said, "stopReason")
    if reason in _FAILURES:
        message = f"the provider ended its reply with {reason}"
        return Failed(UpstreamError(message, Code.UPSTREAM_ERROR))
    more = thing(said, "additionalModelResponseFields")
    met = word(more, "stop_sequence") or word(thing(more, "delta"), "stop_sequence")
    return Finished(_FINISH_REASONS.get(reason, FinishReason.OTHER), met or None)


def read_usage(said: Json) -> Usage | None:
    """`usage`; None where it says nothing. Its `inputTokens` leaves the cached ones out; ours counts all.

    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html (read 2026-11-21).
    """
    cache_read = count(said, "cacheReadInputTokens")
    cache_write = count(said, "cacheWriteInputTokens")
    usage = Usage(
        input_tokens=count(said, "inputTokens") + cache_read + cache_write,
        output_tokens=count(said, "outputTokens"),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
    )
    return usage if usage.total_tokens else None
