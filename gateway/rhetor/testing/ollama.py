"""How Ollama sounds: JSON lines for chats, one object for the rest.

The gateway has no door of this language, so what its server says is written
here; `rhetor.wire.ollama` has the sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, RhetorError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Folded,
    Folder,
    TextDelta,
    ThinkingDelta,
    fold,
)
from rhetor.testing.voices import Asked, Rendered, rendered
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.ollama import OLLAMA

CREATED_AT = "2026-01-01T00:00:00Z"
LINES_TYPE = "application/x-ndjson"


class ChatVoice:
    """`/api/chat`."""

    capability = Capability.CHAT
    stream_type = LINES_TYPE

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        fields = _fields(body)
        if not isinstance(fields.get("messages"), list):
            raise BadRequest("messages is required")
        return Asked(_model(fields), bool(fields.get("stream", True)))

    def say(self, asked: Asked, events: Sequence[Event], model: str, id: str) -> Rendered:
        renderer = _Lines(model) if asked.stream else _Whole(model)
        return rendered(renderer, asked.stream, events, lambda error: self.refuse(error, id))

    def refuse(self, error: RhetorError, id: str) -> bytes:
        return OLLAMA.render_error(error, id)


class EmbedVoice:
    """`/api/embed`."""

    capability = Capability.EMBEDDINGS
    stream_type = LINES_TYPE

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        fields = _fields(body)
        inputs = fields.get("input")
        return Asked(_model(fields), False, len(inputs) if isinstance(inputs, list) else 1)

    def say(self, asked: Asked, events: Sequence[Event], model: str, id: str) -> Rendered:
        return rendered(_Embeddings(model), False, events, lambda error: self.refuse(error, id))

    def refuse(self, error: RhetorError, id: str) -> bytes:
        return OLLAMA.render_error(error, id)


class _Lines:
    """One line for each delta. Tool calls come whole, before the last line."""

    content_type = LINES_TYPE

    def __init__(self, model: str) -> None:
        self._model = model
        self._folder = Folder()

    def render(self, events: Iterable[Event]) -> bytes:
        return b"".join(map(self._line, events))

    def _line(self, event: Event) -> bytes:
        self._folder.add(event)
        match event:
            case TextDelta(text, logprobs):
                line = _chat(self._model, {"role": "assistant", "content": text})
                return _dump({**line, "logprobs": logprobs} if logprobs else line)
            case ThinkingDelta(text):
                return _dump(_chat(self._model, {"role": "assistant", "content": "", "thinking": text}))
            case Failed(error):
                return OLLAMA.render_error(error, "") + b"\n"
            case Finished():
                return self._ending()
        return b""

    def _ending(self) -> bytes:
        folded = self._folder.result()
        calls = _tool_calls(folded)
        message = {"role": "assistant", "content": ""}
        asks = _dump(_chat(self._model, {**message, "tool_calls": calls})) if calls else b""
        folded.logprobs = []  # they were told with their words
        return asks + _dump({**_chat(self._model, message), **_done(folded)})


class _Whole:
    content_type = JSON_TYPE

    def __init__(self, model: str) -> None:
        self._model = model

    def render(self, events: Iterable[Event]) -> bytes:
        folded = fold(events)
        message: dict[str, JsonValue] = {"role": "assistant", "content": folded.text}
        if folded.thinking:
            message["thinking"] = folded.thinking
        if calls := _tool_calls(folded):
            message["tool_calls"] = calls
        return orjson.dumps({**_chat(self._model, message), **_done(folded)})


class _Embeddings:
    content_type = JSON_TYPE

    def __init__(self, model: str) -> None:
        self._model = model

    def render(self, events: Iterable[Event]) -> bytes:
        folded = fold(events)
        vectors = [folded.vectors[n] for n in sorted(folded.vectors)]
        counted = {"prompt_eval_count": folded.usage.input_tokens} if folded.usage else {}
        return orjson.dumps(
            {"model": self._model, "embeddings": vectors, "total_duration": 1_000_000, **counted}
        )


def _chat(model: str, message: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {"model": model, "created_at": CREATED_AT, "message": message, "done": False}


def _done(folded: Folded) -> dict[str, JsonValue]:
    done: dict[str, JsonValue] = {
        "done": True,
        "done_reason": "length" if folded.finish is FinishReason.LENGTH else "stop",
        "total_duration": 1_000_000,
    }
    if folded.logprobs:
        done["logprobs"] = folded.logprobs
    if folded.usage is not None:
        done["prompt_eval_count"] = folded.usage.input_tokens
        done["eval_count"] = folded.usage.output_tokens
    return done


def _tool_calls(folded: Folded) -> list[JsonValue]:
    return [
        {
            "id": tool.id,
            "function": {"index": n, "name": tool.name, "arguments": orjson.loads(tool.arguments)},
        }
        for n, tool in enumerate(folded.tool_uses)
    ]


def _dump(line: Mapping[str, JsonValue]) -> bytes:
    return orjson.dumps(line) + b"\n"


def _fields(body: bytes) -> dict[str, JsonValue]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"invalid JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadRequest("expected an object")
    return fields


def _model(fields: Mapping[str, JsonValue]) -> str:
    model = fields.get("model")
    if not isinstance(model, str):
        raise BadRequest("model is required")
    return model
