"""A provider's reply → events, streamed or whole.

https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11-20).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from rhetor.core.content import Json, JsonValue, Opaque
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaquePart,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.wire.anthropic.blocks import tool_input
from rhetor.wire.anthropic.errors import is_status, read_error_object
from rhetor.wire.anthropic.vocabulary import FINISH_REASONS, NAME, read_usage
from rhetor.wire.base import BodyDecoder, Chunk, Narrator, WholeDecoder
from rhetor.wire.fields import as_integer
from rhetor.wire.lenient import parse, thing, things, word
from rhetor.wire.sse import Frame, SseSplitter, frame

STOP = frame(b'{"type":"message_stop"}', "message_stop")


class StreamDecoder(BodyDecoder):
    """Server-sent events of `/v1/messages`."""

    def __init__(self) -> None:
        self._splitter = SseSplitter()
        self._narrator = Narrator()
        self._blocks: dict[int, _Block] = {}
        self._kinds: list[str] = []
        self._has_thought = False
        self._tools = 0
        self._usage: dict[str, JsonValue] = {}
        self._told: Usage | None = None
        self._ending: Json = {}
        self._handlers: dict[str, Callable[[Json], None]] = {
            "content_block_delta": self._on_delta,
            "content_block_start": self._on_block,
            "content_block_stop": self._on_block_end,
            "message_start": self._on_start,
            "message_delta": self._on_message_delta,
            "message_stop": self._on_stop,
            "error": self._on_error,
        }

    @property
    def in_step(self) -> bool:
        """Whether one text block is open, with nothing before it but a thought.

        Events do not tell where one text ends and the next begins, and of an empty block they tell nothing.
        """
        expected = ["thinking", "text"] if self._has_thought else ["text"]
        return self._kinds == expected and any(block.kind == "text" for block in self._blocks.values())

    def feed(self, data: bytes) -> Chunk:
        try:
            frames = self._splitter.feed(data)
        except UpstreamError as error:
            self._narrator.end(Failed(error))
            return Chunk(self._narrator.take())
        return self._read(frames)

    def close(self) -> Chunk:
        """What a last frame without its blank line says, and the ending.

        A reply that said why it ended is complete, and gets the last frame that
        it lacks. In one that broke off nothing more passes: there the caller
        has to be told by a frame of our own.
        """
        left = self._splitter.close()
        chunk = self._read(left)
        if self._narrator.ended:
            return chunk
        raw = b""
        if word(self._ending, "stop_reason"):
            self._on_stop({})
            raw = b"".join(it.raw + b"\n\n" for it in left if parse(it.data) is not None) + STOP
        self._narrator.hang_up()
        return Chunk(chunk.events + self._narrator.take(), raw)

    def _read(self, frames: list[Frame]) -> Chunk:
        for it in frames:
            said = parse(it.data) if it.data else None
            if said is not None and (on_event := self._handlers.get(word(said, "type") or it.event)):
                on_event(said)
        return Chunk(self._narrator.take(), b"".join([it.raw for it in frames]))

    def _on_start(self, said: Json) -> None:
        message = thing(said, "message")
        self._narrator.start(word(message, "id"), word(message, "model"))
        self._count(thing(message, "usage"))

    def _on_block(self, said: Json) -> None:
        start = thing(said, "content_block")
        kind = word(start, "type")
        if not kind:
            return
        block = self._blocks[_index(said)] = _Block(kind, start)
        self._kinds.append(kind)
        if kind == "tool_use":
            block.tool = self._tools
            self._tools += 1
            self._narrator.emit(ToolUseStarted(block.tool, word(start, "id"), word(start, "name")))
        elif kind == "text" and (text := word(start, "text")):
            self._narrator.emit(TextDelta(text))
        elif kind == "thinking":
            self._think(word(start, "thinking"), word(start, "signature"))

    def _on_delta(self, said: Json) -> None:
        delta = thing(said, "delta")
        block = self._blocks.get(_index(said))
        kind = word(delta, "type")
        if block is not None and block.kind not in _TOLD_BY_EVENTS:
            block.grow(delta)
        elif kind == "text_delta":
            if text := word(delta, "text"):
                self._narrator.emit(TextDelta(text))
        elif kind == "input_json_delta":
            if block is not None and block.tool is not None and (text := word(delta, "partial_json")):
                block.pieces.append(text)
                self._narrator.emit(ToolUseDelta(block.tool, text))
        elif kind in ("thinking_delta", "signature_delta"):
            self._think(word(delta, "thinking"), word(delta, "signature"))

    def _think(self, text: str, signature: str) -> None:
        self._has_thought |= bool(text or signature)
        if text:
            self._narrator.emit(ThinkingDelta(text))
        if signature:
            self._narrator.emit(ThinkingSigned(signature))

    def _on_block_end(self, said: Json) -> None:
        block = self._blocks.pop(_index(said), None)
        if block is None:
            return
        if block.kind not in _TOLD_BY_EVENTS:
            self._narrator.emit(OpaquePart(Opaque(NAME, block.whole())))
        elif block.tool is not None and not block.pieces:
            # A call without arguments says none; some servers give all of them with the start.
            self._narrator.emit(ToolUseDelta(block.tool, _json_text(thing(block.start, "input"))))

    def _on_message_delta(self, said: Json) -> None:
        self._ending = thing(said, "delta")
        self._count(thing(said, "usage"))

    def _count(self, usage: Json) -> None:
        """Counts are cumulative: a later one replaces the earlier, and what it does not name stays."""
        self._usage |= {key: value for key, value in usage.items() if value is not None}
        told = _usage_of(self._usage)
        if told is not None and told != self._told:
            self._told = told
            self._narrator.emit(UsageReport(told))

    def _on_stop(self, said: Json) -> None:
        self._narrator.end(_finished(self._ending))

    def _on_error(self, said: Json) -> None:
        self._narrator.end(Failed(read_error_object(said)))


@dataclass(slots=True)
class _Block:
    """A content block that is open."""

    kind: str
    start: Json
    tool: int | None = None
    """Its number among the tool calls, if it is one."""
    pieces: list[str] = field(default_factory=list)
    """JSON text of its input."""
    grown: dict[str, JsonValue] = field(default_factory=dict)
    """What deltas added to its fields."""

    def grow(self, delta: Json) -> None:
        """A delta of a block that only this language knows: strings and arrays are continued."""
        for key, value in delta.items():
            if key == "partial_json" and isinstance(value, str):
                self.pieces.append(value)
            elif key != "type":
                self.grown[key] = _continued(self.grown.get(key, self.start.get(key)), value)

    def whole(self) -> Json:
        block: dict[str, JsonValue] = {**self.start, **self.grown}
        if self.pieces:
            block["input"] = tool_input("".join(self.pieces))
        return block


def _continued(before: JsonValue, value: JsonValue) -> JsonValue:
    if isinstance(before, str) and isinstance(value, str):
        return before + value
    if isinstance(before, list) and isinstance(value, list):
        return before + value
    return value


_TOLD_BY_EVENTS = frozenset({"text", "thinking", "tool_use"})


def _index(said: Json) -> int:
    index = said.get("index")
    return index if isinstance(index, int) else -1


class MessageDecoder(WholeDecoder):
    """The JSON reply of `/v1/messages`."""

    def read(self, body: bytes) -> list[Event]:
        said = parse(body)
        narrator = Narrator()
        if said is None or not isinstance(said.get("content"), list):
            narrator.end(Failed(_read_failure(said, "a message")))
            return narrator.take()
        narrator.start(word(said, "id"), word(said, "model"))
        tools = 0
        for block in things(said, "content"):
            for event in _events_of(block, tools):
                narrator.emit(event)
            tools += block.get("type") == "tool_use"
        usage = _usage_of(thing(said, "usage"))
        if usage is not None:
            narrator.emit(UsageReport(usage))
        narrator.end(_finished(said))
        return narrator.take()


class CountDecoder(WholeDecoder):
    """The JSON reply of `/v1/messages/count_tokens`: a reply that is only usage."""

    def read(self, body: bytes) -> list[Event]:
        said = parse(body)
        narrator = Narrator()
        tokens = None if said is None else as_integer(said.get("input_tokens"))
        if tokens is None:
            narrator.end(Failed(_read_failure(said, "a count of tokens")))
        else:
            narrator.emit(UsageReport(Usage(input_tokens=tokens)))
            narrator.end(Finished(FinishReason.STOP))
        return narrator.take()


def _read_failure(said: Json | None, expected: str) -> UpstreamError:
    """Why a reply with a good status is none: an error in its place, or nothing we know."""
    if said is not None and (word(said, "type") == "error" or is_status(said)):
        return read_error_object(said)
    return UpstreamError(f"the provider's reply is not {expected}", Code.PROTOCOL)


def _events_of(block: Json, tool: int) -> list[Event]:
    match word(block, "type"):
        case "text":
            text = word(block, "text")
            return [TextDelta(text)] if text else []
        case "thinking":
            thought, signature = word(block, "thinking"), word(block, "signature")
            events: list[Event] = [ThinkingDelta(thought)] if thought else []
            return [*events, ThinkingSigned(signature)] if signature else events
        case "tool_use":
            return [
                ToolUseStarted(tool, word(block, "id"), word(block, "name")),
                ToolUseDelta(tool, _json_text(thing(block, "input"))),
            ]
        case _:
            return [OpaquePart(Opaque(NAME, block))]


def _json_text(value: Json) -> str:
    return orjson.dumps(value).decode()


def _usage_of(said: Json) -> Usage | None:
    """Usage that says something: renderers write bare zeros where they know nothing."""
    return read_usage(said) if any(said.values()) or "cache_read_input_tokens" in said else None


def _finished(ending: Json) -> Finished:
    reason = FINISH_REASONS.get(word(ending, "stop_reason"), FinishReason.OTHER)
    return Finished(reason, word(ending, "stop_sequence") or None)
