"""A reply as Tekton's callers read it: the fields of a whole answer, of its ending, and of an error.

Readers of this dialect are strict where it hurts: a null where a string
belongs, a number with a fraction in `usage` or an object under `error` makes
the stock client throw the reply away and answer with invented text. So every
field that is present has its type, and what is unknown is left out. Keys that
the clients do not know are ignored by them; ours are `fallback`, `thinking`,
`tool_calls`, `logprobs`, `stop_sequence`, `usage_details`, `code` and `meta`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import orjson

from rhetor.core.content import JsonValue, Opaque, Refusal, Text, ToolUse
from rhetor.core.errors import RhetorError
from rhetor.core.events import Finished, FinishReason, Folded
from rhetor.core.usage import Usage
from rhetor.wire.base import ReplyInfo, WholeRenderer

ERROR_LIMIT = 4_000  # characters of an error message: they fit into any line, however they are escaped

FINISH_WORDS: Mapping[FinishReason, str] = {
    FinishReason.STOP: "stop",
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_USE: "tool_calls",
    FinishReason.REFUSAL: "content_filter",
    FinishReason.PAUSE: "pause",
}
"""OpenAI's words, since tool calls have OpenAI's shape too; a reason without a word is left out."""


class WholeReply(WholeRenderer):
    """The answer to `/api/v1/chat`."""

    def __init__(self, info: ReplyInfo, context_id: str) -> None:
        super().__init__()
        self._info = info
        self._context_id = context_id

    def said(self, folded: Folded) -> dict[str, JsonValue]:
        return whole(folded, self._info, self._context_id)

    def write(self, folded: Folded) -> bytes:
        return orjson.dumps(self.said(folded))


def whole(folded: Folded, info: ReplyInfo, context_id: str) -> dict[str, JsonValue]:
    """A reply as one flat object. What the model said in refusing is content too."""
    said: dict[str, JsonValue] = {
        "content": "".join(part.text for part in folded.parts if isinstance(part, Text | Refusal)),
        **stamp(info, context_id),
    }
    if folded.thinking:
        said["thinking"] = folded.thinking
    if folded.tool_uses:
        said["tool_calls"] = tool_calls(folded.tool_uses)
    if folded.logprobs:
        said["logprobs"] = folded.logprobs
    unsaid = [unsayable(part) for part in folded.parts if isinstance(part, Opaque)]
    finished = Finished(folded.finish or FinishReason.OTHER, folded.stop_sequence)
    return said | ending(finished, folded.usage, info, unsaid)


def stamp(info: ReplyInfo, context_id: str) -> dict[str, JsonValue]:
    """The four strings that every message of this dialect carries, never null."""
    return {
        "context_id": context_id,
        "model": info.served_model or info.model,
        "provider": info.provider,
        "timestamp": timestamp(info.created_s),
    }


def timestamp(created_s: int) -> str:
    """Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ending(
    finished: Finished, usage: Usage | None, info: ReplyInfo, unsaid: Iterable[str] = ()
) -> dict[str, JsonValue]:
    """What only the end of a reply can tell.

    Args:
        unsaid: parts of the reply that this dialect has no field for; added to what the request lost.
    """
    said: dict[str, JsonValue] = {}
    if finished.reason in FINISH_WORDS:
        said["finish_reason"] = FINISH_WORDS[finished.reason]
    if finished.stop_sequence is not None:
        said["stop_sequence"] = finished.stop_sequence
    if usage is not None:
        said |= usage_fields(usage)
    meta: dict[str, JsonValue] = {"generation_id": info.id, **info.meta}
    if lost := list(unsaid):
        before = meta.get("dropped")
        meta["dropped"] = [*(before if isinstance(before, list | tuple) else ()), *lost]
    return {**said, "fallback": bool(meta.get("fallback")), "meta": meta}


def usage_fields(usage: Usage) -> dict[str, JsonValue]:
    """`usage` is flat and whole numbers only; everything else stands beside it."""
    counts: dict[str, JsonValue] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    details: dict[str, JsonValue] = {
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "estimated": usage.source == "estimated",
    }
    details = {name: value for name, value in details.items() if value}
    return {"usage": counts, "usage_details": details} if details else {"usage": counts}


def tool_calls(uses: Iterable[ToolUse]) -> list[JsonValue]:
    """Tool calls in OpenAI's shape."""
    return [
        {"id": use.id, "type": "function", "function": {"name": use.name, "arguments": use.arguments}}
        for use in uses
    ]


def unsayable(part: Opaque) -> str:
    return f"reply: opaque {part.kind}"


def error_fields(error: RhetorError) -> dict[str, JsonValue]:
    """An error: `error` is a string, always, and never empty."""
    return {"error": error.message[:ERROR_LIMIT] or error.code.value, "code": error.code.value}


def error_body(error: RhetorError, request_id: str) -> bytes:
    """The body of an error reply."""
    return orjson.dumps(whole_error(error, request_id))


def whole_error(error: RhetorError, request_id: str) -> dict[str, JsonValue]:
    """An error with all that is known of it. `detail` is for readers of the older dialects."""
    said = error_fields(error)
    said["detail"] = said["error"]
    extra: dict[str, JsonValue] = {
        "param": error.param,
        "provider": error.origin,
        "retry_after_s": error.retry_after_s,
        "request_id": request_id or None,
    }
    return said | {name: value for name, value in extra.items() if value is not None}
