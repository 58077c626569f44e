"""A provider's reply → events, streamed or whole.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html (read
2026-11-21). After the message has stopped one more event tells the usage; a stream that said why it stopped
is complete without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from rhetor.core.content import Json, Opaque
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    OpaquePart,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.wire.anthropic.vocabulary import NAME as ANTHROPIC
from rhetor.wire.base import Chunk, Follow, Narrator, WholeDecoder
from rhetor.wire.bedrock.errors import error_inside, error_named
from rhetor.wire.bedrock.frames import Message, StreamSplitter
from rhetor.wire.bedrock.vocabulary import NAME, ending_of, read_usage
from rhetor.wire.lenient import parse, thing, things, word
from rhetor.wire.refusals import page_text

REQUEST_ID = "x-amzn-requestid"


@dataclass(slots=True)
class _Call:
    number: int
    has_said: bool = False


class StreamDecoder:
    """The event stream of `ConverseStream`."""

    in_step = False
    has_frames = False  # nobody calls in this language

    def __init__(self) -> None:
        self._splitter = StreamSplitter()
        self._narrator = Narrator()
        self._id = ""
        self._calls: dict[int, _Call] = {}
        self._tools = 0
        self._ending: Json | None = None
        self._handlers: dict[str, Callable[[Json], None]] = {
            "messageStart": self._on_start,
            "contentBlockStart": self._on_block,
            "contentBlockDelta": self._on_delta,
            "contentBlockStop": self._on_block_end,
            "messageStop": self._on_stop,
            "metadata": self._on_metadata,
        }

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self._id = headers.get(REQUEST_ID, "")

    def feed(self, data: bytes) -> Chunk:
        try:
            messages = self._splitter.feed(data)
        except UpstreamError as error:
            self._narrator.end(Failed(error))
            return Chunk(self._narrator.take())
        for message in messages:
            self._read(message)
        return Chunk(self._narrator.take())

    def close(self) -> Chunk:
        if not self._narrator.ended and self._ending is not None:
            self._narrator.end(ending_of(self._ending))
        self._narrator.hang_up()
        return Chunk(self._narrator.take())

    def abandon(self) -> Follow | None:
        return None

    def _read(self, message: Message) -> None:
        if message.kind != "event":
            self._narrator.end(Failed(error_named(message.name, message.said, message.text)))
        elif message.said is not None and (on_event := self._handlers.get(message.name)):
            on_event(message.said)

    def _on_start(self, said: Json) -> None:
        self._narrator.start(self._id, "")

    def _on_block(self, said: Json) -> None:
        start = thing(said, "start")
        if "toolUse" in start:
            use = thing(start, "toolUse")
            call = self._calls[_index(said)] = _Call(self._tools)
            self._tools += 1
            self._narrator.emit(ToolUseStarted(call.number, word(use, "toolUseId"), word(use, "name")))

    def _on_delta(self, said: Json) -> None:
        delta = thing(said, "delta")
        if text := word(delta, "text"):
            self._narrator.emit(TextDelta(text))
        elif "toolUse" in delta:
            call = self._calls.get(_index(said))
            if call is not None and (text := word(thing(delta, "toolUse"), "input")):
                call.has_said = True
                self._narrator.emit(ToolUseDelta(call.number, text))
        elif "reasoningContent" in delta:
            for event in _thoughts(thing(delta, "reasoningContent")):
                self._narrator.emit(event)
        elif delta and "text" not in delta:
            self._narrator.emit(OpaquePart(Opaque(NAME, delta)))

    def _on_block_end(self, said: Json) -> None:
        call = self._calls.pop(_index(said), None)
        if call is not None and not call.has_said:
            self._narrator.emit(ToolUseDelta(call.number, "{}"))

    def _on_stop(self, said: Json) -> None:
        self._ending = said

    def _on_metadata(self, said: Json) -> None:
        usage = read_usage(thing(said, "usage"))
        if usage is not None:
            self._narrator.emit(UsageReport(usage))
        if self._ending is not None:
            self._narrator.end(ending_of(self._ending))


def _index(said: Json) -> int:
    index = said.get("contentBlockIndex")
    return index if isinstance(index, int) else -1


def _thoughts(said: Json) -> list[Event]:
    """A thought, or a piece of one. What is blacked out in it is told as Anthropic's own language does."""
    events: list[Event] = []
    if text := word(said, "text"):
        events.append(ThinkingDelta(text))
    if signature := word(said, "signature"):
        events.append(ThinkingSigned(signature))
    if redacted := word(said, "redactedContent"):
        events.append(OpaquePart(Opaque(ANTHROPIC, {"type": "redacted_thinking", "data": redacted})))
    return events


class ReplyDecoder(WholeDecoder):
    """The JSON reply of `Converse`."""

    def __init__(self) -> None:
        super().__init__()
        self._id = ""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self._id = headers.get(REQUEST_ID, "")

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said = parse(body)
        message = thing(thing(said or {}, "output"), "message")
        if said is None:
            narrator.fail(f"the provider's reply is not JSON: {page_text(body)}", Code.PROTOCOL)
        elif error := error_inside(said):
            narrator.end(Failed(error))
        elif not isinstance(message.get("content"), list):
            narrator.fail("the provider's reply holds no message", Code.PROTOCOL)
        else:
            narrator.start(self._id, "")
            _tell(narrator, things(message, "content"))
            if usage := read_usage(thing(said, "usage")):
                narrator.emit(UsageReport(usage))
            narrator.end(ending_of(said))
        return narrator.take()


def _tell(narrator: Narrator, blocks: list[Json]) -> None:
    tools = 0
    for block in blocks:
        if text := word(block, "text"):
            narrator.emit(TextDelta(text))
        elif "toolUse" in block:
            use = thing(block, "toolUse")
            narrator.emit(ToolUseStarted(tools, word(use, "toolUseId"), word(use, "name")))
            narrator.emit(ToolUseDelta(tools, orjson.dumps(thing(use, "input")).decode()))
            tools += 1
        elif "reasoningContent" in block:
            thought = thing(block, "reasoningContent")
            for event in _thoughts({**thought, **thing(thought, "reasoningText")}):
                narrator.emit(event)
        elif "text" not in block and block:
            narrator.emit(OpaquePart(Opaque(NAME, block)))
