"""How Google's models sound in their own language: what they hear, and what they say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Audio, File, Image, Inline, Json, JsonValue, Part, Text
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Folded,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.request import Chat, Embed, Message, Request, ResponseFormat, Role, Tool
from rhetor.core.usage import Usage
from rhetor.testing.voices import Asked, Rendered, rendered
from rhetor.wire.base import STREAM_TYPE, WholeRenderer
from rhetor.wire.lenient import parse, thing, things, word
from rhetor.wire.sse import frame

PATH = ":path"
"""Where a request went, among its headers, as HTTP/2 has it."""
_ADDRESS = re.compile(r"/models/([^/:]+):(\w+)")
_WORDS: Mapping[Code, str] = {
    Code.UNAUTHENTICATED: "UNAUTHENTICATED",
    Code.FORBIDDEN: "PERMISSION_DENIED",
    Code.MODEL_NOT_FOUND: "NOT_FOUND",
    Code.RATE_LIMITED: "RESOURCE_EXHAUSTED",
    Code.UNAVAILABLE: "UNAVAILABLE",
    Code.OVERLOADED: "UNAVAILABLE",
}
_REASONS: Mapping[FinishReason, str] = {
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.REFUSAL: "SAFETY",
    FinishReason.OTHER: "OTHER",
}


def refuse(error: RhetorError, id: str) -> bytes:
    """An error as `google.rpc.Status`."""
    own = "INVALID_ARGUMENT" if 400 <= error.status < 500 else "INTERNAL"
    busy = " The model is overloaded." if error.code is Code.OVERLOADED else ""
    said = {
        "code": error.status,
        "message": error.message + busy,
        "status": _WORDS.get(error.code, own),
    }
    return orjson.dumps({"error": said})


def models(ids: Sequence[str]) -> object:
    return {
        "models": [
            {"name": f"models/{id}", "supportedGenerationMethods": ["generateContent", "countTokens"]}
            for id in ids
        ]
    }


class GoogleVoice:
    """One method of the language."""

    stream_type = STREAM_TYPE

    def __init__(self, capability: Capability) -> None:
        self.capability = capability

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        found = _ADDRESS.search(headers.get(PATH, ""))
        said = parse(body)
        if found is None or said is None:
            raise BadRequest("no JSON, or nothing that a model can do")
        model, stream = unquote(found[1]), found[2].startswith("stream")
        if self.capability is Capability.EMBEDDINGS:
            texts = [*things(said, "requests"), *things(said, "instances")]
            asked = Embed(inputs=tuple("" for _ in texts))
            return Asked(model, False, len(texts), _request(self.capability, model, asked))
        chat = _chat(thing(said, "generateContentRequest") or said)
        return Asked(model, stream, 1, _request(self.capability, model, chat, stream))

    def say(self, asked: Asked, events: Sequence[Event], model: str, id: str) -> Rendered:
        renderer = _Frames(id, model) if asked.stream else _Whole(self.capability, id, model)
        return rendered(renderer, asked.stream, events, lambda error: refuse(error, id))

    def refuse(self, error: RhetorError, id: str) -> bytes:
        return refuse(error, id)


def _request(capability: Capability, model: str, said: Chat | Embed, stream: bool = False) -> Request:
    return Request(id="", capability=capability, model=model, input=said, stream=stream)


def _chat(said: Json) -> Chat:
    """As much of a conversation as tells what a model must be able to do."""
    if not things(said, "contents"):
        raise BadRequest("contents is not specified")
    messages = tuple(
        Message(
            Role.ASSISTANT if word(it, "role") == "model" else Role.USER,
            tuple(part for written in things(it, "parts") for part in _parts(written)),
        )
        for it in things(said, "contents")
    )
    declared = [it for tool in things(said, "tools") for it in things(tool, "functionDeclarations")]
    tools = tuple(
        Tool(word(it, "name"), word(it, "description") or None, thing(it, "parametersJsonSchema"))
        for it in declared
    )
    schema = thing(thing(said, "generationConfig"), "responseJsonSchema")
    wanted = ResponseFormat("json_schema", schema=schema) if schema else None
    return Chat(messages=messages, tools=tools, response_format=wanted)


def _parts(written: Json) -> Iterator[Part]:
    if "text" in written:
        yield Text(word(written, "text"))
    data = thing(written, "inlineData")
    if data:
        source = Inline(word(data, "mimeType"), word(data, "data"))
        kinds: Mapping[str, type[Image | Audio | File]] = {"image": Image, "audio": Audio}
        yield kinds.get(source.media_type.partition("/")[0], File)(source)


class _Frames:
    """Events → frames of `streamGenerateContent?alt=sse`. Calls come whole, so they wait for their end."""

    content_type = STREAM_TYPE

    def __init__(self, id: str, model: str) -> None:
        self._common: dict[str, JsonValue] = {"modelVersion": model, "responseId": id}
        self._usage: Usage | None = None
        self._calls: dict[int, ToolUseStarted] = {}
        self._arguments: dict[int, list[str]] = {}

    def render(self, events: Iterable[Event]) -> bytes:
        return b"".join(self._frame(event) for event in events)

    def _frame(self, event: Event) -> bytes:
        match event:
            case Started():
                return b""
            case UsageReport(usage):
                self._usage = usage
                return b""
            case ToolUseStarted(index):
                self._calls[index] = event
                self._arguments[index] = []
                return b""
            case ToolUseDelta(index, arguments):
                self._arguments[index].append(arguments)
                return b""
            case Failed(error):
                return frame(refuse(error, ""))
            case Finished(reason):
                return self._said([*self._waiting()], _REASONS.get(reason, "STOP"))
        part = _part_of(event)
        return self._said([part]) if part is not None else b""

    def _waiting(self) -> Iterator[JsonValue]:
        for index, call in self._calls.items():
            args = parse("".join(self._arguments[index])) or {}
            yield {"functionCall": {"id": call.id, "name": call.name, "args": args}}

    def _said(self, parts: list[JsonValue], reason: str | None = None) -> bytes:
        candidate: dict[str, JsonValue] = {"content": {"role": "model", "parts": parts}, "index": 0}
        if reason is not None:
            candidate["finishReason"] = reason
        said: dict[str, JsonValue] = {"candidates": [candidate], **self._common}
        if reason is not None and self._usage is not None:
            said["usageMetadata"] = _usage(self._usage)
        return frame(orjson.dumps(said))


def _part_of(event: Event) -> Json | None:
    match event:
        case TextDelta(text) | RefusalDelta(text):
            return {"text": text}
        case ThinkingDelta(text):
            return {"text": text, "thought": True}
        case ThinkingSigned(signature):
            return {"text": "", "thought": True, "thoughtSignature": signature}
    return None


def _usage(usage: Usage) -> Json:
    said = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "cachedContentTokenCount": usage.cache_read_tokens,
        "totalTokenCount": usage.total_tokens,
    }
    return {name: number for name, number in said.items() if number}


class _Whole(WholeRenderer):
    def __init__(self, capability: Capability, id: str, model: str) -> None:
        super().__init__()
        self._capability = capability
        self._id = id
        self._model = model

    def write(self, folded: Folded) -> bytes:
        usage = folded.usage
        if self._capability is Capability.COUNT_TOKENS:
            return orjson.dumps({"totalTokens": usage.input_tokens if usage is not None else 0})
        if self._capability is Capability.EMBEDDINGS:
            said: dict[str, object] = {"embeddings": [{"values": it} for it in folded.vectors.values()]}
            return orjson.dumps({**said, **({"usageMetadata": _usage(usage)} if usage else {})})
        return orjson.dumps(self._content(folded))

    def _content(self, folded: Folded) -> Json:
        parts: list[JsonValue] = []
        if folded.thinking:
            parts.append({"text": folded.thinking, "thought": True})
        if folded.text or folded.refusal:
            parts.append({"text": folded.text or folded.refusal})
        for use in folded.tool_uses:
            call: Json = {"id": use.id, "name": use.name, "args": parse(use.arguments) or {}}
            parts.append({"functionCall": call})
        reason = _REASONS.get(folded.finish or FinishReason.STOP, "STOP")
        content: Json = {"role": "model", "parts": parts}
        candidate: Json = {"content": content, "finishReason": reason, "index": 0}
        said: dict[str, JsonValue] = {
            "candidates": [candidate],
            "modelVersion": self._model,
            "responseId": self._id,
        }
        return {**said, "usageMetadata": _usage(folded.usage)} if folded.usage is not None else said
