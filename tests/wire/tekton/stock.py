"""What the published clients accept, and how they read it: the strictness that our bytes must survive.

The models' fields are those of `tekton_llm_client.models`; pydantic refuses a
null where a string is required, as it does there. `read_…` turn bytes back
into events, for the laws.
"""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from rhetor.core.content import Text, Thinking, ToolUse
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Event, Finished, FinishReason, Folded, TextDelta, ThinkingDelta, fold, unfold
from rhetor.core.usage import Usage


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class CompletionResponse(_Strict):
    content: str
    model: str
    provider: str
    finish_reason: str | None = None
    usage: dict[str, int] | None = None
    context_id: str
    fallback: bool = False
    timestamp: str
    error: str | None = None


class StreamingChunk(_Strict):
    chunk: str
    context_id: str
    model: str
    provider: str
    timestamp: str
    done: bool
    fallback: bool = False
    error: str = Field(default="")
    """Never null when present: the clients copy it into a text."""


class ProviderModel(_Strict):
    id: str
    name: str
    context_length: int | None = None
    pricing: dict[str, float] | None = None
    capabilities: list[str] | None = None


class ListedProvider(_Strict):
    name: str
    available: bool
    default_model: str
    models: list[ProviderModel]


class AvailableProviders(_Strict):
    providers: dict[str, ListedProvider]
    default_provider: str
    default_model: str


def lines_of(stream: bytes) -> list[bytes]:
    """The lines that carry something, as both clients split them."""
    return [line for line in stream.split(b"\n") if line]


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream; it must end with `done` and `[DONE]`, once each."""
    *lines, last = lines_of(stream)
    assert last == b"data: [DONE]"
    chunks = []
    for line in lines:
        assert line.startswith(b"data: ")
        chunks.append(orjson.loads(line.removeprefix(b"data: ")))
    assert [chunk["done"] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    return chunks


def read_stream(stream: bytes) -> list[Event]:
    return read_chunks(chunks_of(stream))


def read_chunks(chunks: list[dict[str, Any]]) -> list[Event]:
    """The events that these chunks tell."""
    said: list[Event] = []
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        StreamingChunk.model_validate(chunk)
        if chunk["chunk"]:
            said.append(TextDelta(chunk["chunk"]))
        if "thinking" in chunk:
            said.append(ThinkingDelta(chunk["thinking"]))
        for number, call in enumerate(chunk.get("tool_calls", ())):
            _join(calls, call.get("index", number), call)
    folded = fold([*said, Finished(FinishReason.OTHER)])
    folded.parts += [_tool_use(call) for call in calls.values()]
    return unfold(_ended(folded, chunks[-1]))


def read_whole(body: bytes) -> Folded:
    """The reply that one JSON object tells."""
    said = orjson.loads(body)
    CompletionResponse.model_validate(said)
    folded = Folded()
    if "thinking" in said:
        folded.parts.append(Thinking(said["thinking"]))
    if said["content"]:
        folded.parts.append(Text(said["content"]))
    folded.parts += [_tool_use(call) for call in said.get("tool_calls", ())]
    return _ended(folded, said)


def _join(calls: dict[int, dict[str, Any]], index: int, call: dict[str, Any]) -> None:
    if index in calls:
        calls[index]["function"]["arguments"] += call["function"]["arguments"]
    else:
        calls[index] = call


def _tool_use(call: dict[str, Any]) -> ToolUse:
    assert call["type"] == "function"
    return ToolUse(call["id"], call["function"]["name"], call["function"]["arguments"])


_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_USE,
    "content_filter": FinishReason.REFUSAL,
    "pause": FinishReason.PAUSE,
}


def _ended(folded: Folded, said: dict[str, Any]) -> Folded:
    folded.id, folded.model = said["meta"]["generation_id"], said["model"]
    folded.usage = _usage(said)
    folded.stop_sequence = said.get("stop_sequence")
    folded.finish = _REASONS.get(said.get("finish_reason", ""), FinishReason.OTHER)
    if folded.stop_sequence is not None:
        folded.finish = FinishReason.STOP_SEQUENCE
    if "error" in said:
        folded.error = RhetorError(said["error"], Code(said["code"]))
    return folded


def _usage(said: dict[str, Any]) -> Usage | None:
    if "usage" not in said:
        return None
    counts, details = said["usage"], said.get("usage_details", {})
    assert counts["total_tokens"] == counts["prompt_tokens"] + counts["completion_tokens"]
    return Usage(
        input_tokens=counts["prompt_tokens"],
        output_tokens=counts["completion_tokens"],
        cache_read_tokens=details.get("cache_read_tokens", 0),
        cache_write_tokens=details.get("cache_write_tokens", 0),
        reasoning_tokens=details.get("reasoning_tokens", 0),
        source="estimated" if details.get("estimated") else "provider",
    )
