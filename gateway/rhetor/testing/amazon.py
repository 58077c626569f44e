"""How the models of Amazon Bedrock sound in its own language: what they hear, and what they say."""

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
from rhetor.testing.eventstream import STREAM_TYPE, message
from rhetor.testing.google import PATH
from rhetor.testing.voices import Asked, Rendered, rendered
from rhetor.wire.base import WholeRenderer
from rhetor.wire.lenient import parse, thing, things, word

_ADDRESS = re.compile(r"/model/([^/]+)/([a-z-]+)")
_NAMES: Mapping[Code, str] = {
    Code.UNAUTHENTICATED: "UnrecognizedClientException",
    Code.FORBIDDEN: "AccessDeniedException",
    Code.MODEL_NOT_FOUND: "ResourceNotFoundException",
    Code.RATE_LIMITED: "ThrottlingException",
    Code.UNAVAILABLE: "ServiceUnavailableException",
    Code.INTERNAL: "InternalServerException",
    Code.UPSTREAM_ERROR: "InternalServerException",
}
_STOPS: Mapping[FinishReason, str] = {
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_USE: "tool_use",
    FinishReason.REFUSAL: "content_filtered",
    FinishReason.STOP_SEQUENCE: "stop_sequence",
}


def refuse(error: RhetorError, id: str) -> bytes:
    """An exception of AWS, named in the body; what the service has no name for is told by its status."""
    name = _NAMES.get(error.code) or ("ValidationException" if error.status == 400 else None)
    said = {"message": error.message}
    return orjson.dumps(said if name is None else {"__type": name, **said})


class AmazonVoice:
    """One action of the language."""

    stream_type = STREAM_TYPE

    def __init__(self, capability: Capability) -> None:
        self.capability = capability

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Asked:
        found = _ADDRESS.search(headers.get(PATH, ""))
        said = parse(body)
        if found is None or said is None:
            raise BadRequest("no JSON, or nothing that a model can do")
        model, stream = unquote(found[1]), found[2].endswith("stream")
        if self.capability is Capability.EMBEDDINGS:
            texts = said.get("texts")
            count = len(texts) if isinstance(texts, list) else 1
            asked: Chat | Embed = Embed(inputs=("",) * count)
        else:
            count, asked = 1, _chat(said)
        request = Request(id="", capability=self.capability, model=model, input=asked, stream=stream)
        return Asked(model, stream, count, request)

    def say(self, asked: Asked, events: Sequence[Event], model: str, id: str) -> Rendered:
        renderer = _Frames() if asked.stream else _Whole(self.capability)
        return rendered(renderer, asked.stream, events, lambda error: refuse(error, id))

    def refuse(self, error: RhetorError, id: str) -> bytes:
        return refuse(error, id)


def _chat(said: Json) -> Chat:
    """As much of a conversation as tells what a model must be able to do."""
    if not things(said, "messages"):
        raise BadRequest("messages must not be empty")
    messages = tuple(
        Message(
            Role.ASSISTANT if word(it, "role") == "assistant" else Role.USER,
            tuple(part for block in things(it, "content") for part in _parts(block)),
        )
        for it in things(said, "messages")
    )
    specs = [thing(it, "toolSpec") for it in things(thing(said, "toolConfig"), "tools")]
    tools = tuple(Tool(word(it, "name"), word(it, "description") or None) for it in specs if it)
    wanted = thing(thing(said, "outputConfig"), "textFormat")
    schema = word(thing(thing(wanted, "structure"), "jsonSchema"), "schema")
    format = ResponseFormat("json_schema", schema=parse(schema)) if schema else None
    return Chat(messages=messages, tools=tools, response_format=format)


def _parts(block: Json) -> Iterator[Part]:
    if "text" in block:
        yield Text(word(block, "text"))
    kinds: Mapping[str, type[Image | Audio | File]] = {"image": Image, "audio": Audio, "document": File}
    for key, kind in kinds.items():
        if key in block:
            data = word(thing(thing(block, key), "source"), "bytes")
            yield kind(Inline(word(thing(block, key), "format"), data))


class _Frames:
    """Events → messages of `ConverseStream`."""

    content_type = STREAM_TYPE

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._kind = ""
        self._block = -1
        self._last = -1
        self._calls: dict[int, int] = {}

    def render(self, events: Iterable[Event]) -> bytes:
        return b"".join(self._frame(event) for event in events)

    def _frame(self, event: Event) -> bytes:
        match event:
            case Started():
                return _said("messageStart", {"role": "assistant"})
            case UsageReport(usage):
                self._usage = usage
                return b""
            case TextDelta(text) | RefusalDelta(text):
                return self._delta("text", {"text": text})
            case ThinkingDelta(text):
                return self._delta("thought", {"reasoningContent": {"text": text}})
            case ThinkingSigned(signature):
                return self._delta("thought", {"reasoningContent": {"signature": signature}})
            case ToolUseStarted(index, id, name):
                self._last += 1
                self._calls[index] = self._last
                self._kind = "call"
                start: Json = {"toolUse": {"toolUseId": id, "name": name}}
                return _said("contentBlockStart", {"start": start, "contentBlockIndex": self._last})
            case ToolUseDelta(index, arguments):
                delta: Json = {"toolUse": {"input": arguments}}
                return _said("contentBlockDelta", {"delta": delta, "contentBlockIndex": self._calls[index]})
            case Failed(error):
                name = _NAMES.get(error.code, "validationException")
                return message("exception", name[:1].lower() + name[1:], refuse(error, ""))
            case Finished(reason):
                return self._end(reason)
        return b""

    def _delta(self, kind: str, delta: Json) -> bytes:
        if kind != self._kind:
            self._kind = kind
            self._last += 1
            self._block = self._last
        return _said("contentBlockDelta", {"delta": delta, "contentBlockIndex": self._block})

    def _end(self, reason: FinishReason) -> bytes:
        stops = b"".join(_said("contentBlockStop", {"contentBlockIndex": n}) for n in range(self._last + 1))
        stop = _said("messageStop", {"stopReason": _STOPS.get(reason, "end_turn")})
        told: Json = {"usage": _usage(self._usage)} if self._usage is not None else {}
        return stops + stop + _said("metadata", {**told, "metrics": {"latencyMs": 1}})


def _said(name: str, payload: Json) -> bytes:
    return message("event", name, orjson.dumps(payload))


def _usage(usage: Usage) -> Json:
    fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    said: dict[str, JsonValue] = {
        "inputTokens": fresh,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.total_tokens,
    }
    cached = {
        "cacheReadInputTokens": usage.cache_read_tokens,
        "cacheWriteInputTokens": usage.cache_write_tokens,
    }
    return said | {name: number for name, number in cached.items() if number}


class _Whole(WholeRenderer):
    def __init__(self, capability: Capability) -> None:
        super().__init__()
        self._capability = capability

    def write(self, folded: Folded) -> bytes:
        usage = folded.usage
        if self._capability is Capability.EMBEDDINGS:
            vectors = list(folded.vectors.values())
            tokens = usage.input_tokens if usage is not None else 0
            many = {"embeddings": {"float": vectors}, "inputTextTokenCount": tokens}
            one = {"embedding": vectors[0], "inputTextTokenCount": tokens}
            return orjson.dumps(one if len(vectors) == 1 else many)
        blocks: list[Json] = []
        if folded.thinking:
            blocks.append({"reasoningContent": {"reasoningText": {"text": folded.thinking}}})
        if folded.text or folded.refusal:
            blocks.append({"text": folded.text or folded.refusal})
        for use in folded.tool_uses:
            call: Json = {"toolUseId": use.id, "name": use.name, "input": parse(use.arguments) or {}}
            blocks.append({"toolUse": call})
        said: dict[str, object] = {
            "output": {"message": {"role": "assistant", "content": blocks}},
            "stopReason": _STOPS.get(folded.finish or FinishReason.STOP, "end_turn"),
            "metrics": {"latencyMs": 1},
        }
        return orjson.dumps({**said, "usage": _usage(usage)} if usage is not None else said)
