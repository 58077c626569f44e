"""Events → the language's stream, in which at most one content block is open.

https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11-20).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

import orjson

from rhetor.core.content import JsonValue, Opaque
from rhetor.core.events import (
    BESIDES_CHAT,
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaquePart,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.wire.anthropic.errors import error_fields
from rhetor.wire.anthropic.vocabulary import NAME, STOP_REASONS, write_usage
from rhetor.wire.base import STREAM_TYPE, ReplyInfo
from rhetor.wire.lenient import parse
from rhetor.wire.sse import frame


class StreamRenderer:
    """Renders a reply as it comes.

    Other languages let tool calls grow in turns. Here the first call streams,
    and what follows it waits until the call's arguments are a whole JSON object
    or the reply ends; then it goes out in the order in which it began.
    """

    content_type = STREAM_TYPE

    def __init__(self, info: ReplyInfo) -> None:
        self._info = info
        self._out: list[bytes] = []
        self._start_due = False
        self._usage: Usage | None = None
        self._refused = False
        self._written = 0  # content blocks that were opened
        self._open: _Block | None = None
        self._waiting: deque[_Block] = deque()
        self._calls: dict[int, _Block] = {}

    def render(self, events: Iterable[Event]) -> bytes:
        for event in events:
            if isinstance(event, TextDelta):
                self._extend("text", event.text)
            elif isinstance(event, ToolUseDelta):
                self._grow(self._calls[event.index], event.arguments)
            else:
                self._see(event)
        self._start()  # usage that came with the start is told with it
        out, self._out = b"".join(self._out), []
        return out

    def _see(self, event: Event) -> None:
        if isinstance(event, BESIDES_CHAT):
            return
        match event:
            case Started():
                self._start_due = True
            case UsageReport(usage):
                self._usage = usage
            case ThinkingDelta(text):
                self._extend("thinking", text)
            case ThinkingSigned(signature):
                self._sign(signature)
            case ToolUseStarted(index, id, name):
                use: dict[str, JsonValue] = {"type": "tool_use", "id": id, "name": name, "input": {}}
                self._calls[index] = self._add(_Block("tool_use", use))
            case RefusalDelta(text):
                self._refused = True
                self._extend("text", text)
            case OpaquePart(part):
                self._pass_on(part)
            case Finished(reason, stop_sequence):
                self._finish(reason, stop_sequence)
            case Failed(error):
                self._start_due = False  # an error may stand alone
                self._say("error", error_fields(error))
            case TextDelta() | ToolUseDelta():
                pass  # they are rendered before they come here
            case _:
                assert_never(event)

    def _extend(self, kind: str, text: str) -> None:
        last = self._last()
        if last is None or last.kind != kind or last.signature:
            last = self._add(_Block(kind, dict(_EMPTY[kind])))
        self._grow(last, text)

    def _sign(self, signature: str) -> None:
        last = self._last()
        if last is None or last.kind != "thinking" or last.signature:
            last = self._add(_Block("thinking", dict(_EMPTY["thinking"])))
        last.signature = signature
        if last is self._open:
            self._say_signature(last)

    def _pass_on(self, part: Opaque) -> None:
        if part.wire == NAME:
            self._add(_Block(part.kind, dict(part.data)))

    def _last(self) -> _Block | None:
        """The block that text goes on in: the one that began last."""
        return self._waiting[-1] if self._waiting else self._open

    def _add(self, block: _Block) -> _Block:
        self._waiting.append(block)
        self._advance()
        return block

    def _grow(self, block: _Block, text: str) -> None:
        if block is self._open:
            self._put(b"%b%b}}\n\n" % (block.delta_head, orjson.dumps(text)))
            if block.kind == "tool_use":
                block.pieces.append(text)
        elif not block.ended:
            block.pieces.append(text)
        if self._waiting:
            self._advance()

    def _advance(self) -> None:
        """Opens what waits, as far as the open block lets it."""
        while self._waiting and (self._open is None or self._open.may_end()):
            self._turn_over()

    def _turn_over(self) -> None:
        self._end()
        self._begin(self._waiting.popleft())

    def _begin(self, block: _Block) -> None:
        self._open = block
        block.index = self._written
        self._written += 1
        self._say("content_block_start", {"index": block.index, "content_block": block.start})
        if block.kind not in _DELTA_HEADS:
            return
        block.delta_head = _DELTA_HEADS[block.kind] % block.index
        if text := "".join(block.pieces):
            self._put(b"%b%b}}\n\n" % (block.delta_head, orjson.dumps(text)))
        if block.signature:
            self._say_signature(block)

    def _end(self) -> None:
        if self._open is not None:
            self._say("content_block_stop", {"index": self._open.index})
            self._open.ended = True
            self._open = None

    def _say_signature(self, block: _Block) -> None:
        delta: dict[str, JsonValue] = {"type": "signature_delta", "signature": block.signature}
        self._say("content_block_delta", {"index": block.index, "delta": delta})

    def _finish(self, reason: FinishReason, stop_sequence: str | None) -> None:
        while self._waiting:
            self._turn_over()
        self._end()
        refused = self._refused and reason is FinishReason.STOP
        word = "refusal" if refused else STOP_REASONS[reason]
        usage: dict[str, JsonValue] = (
            {"output_tokens": 0} if self._usage is None else write_usage(self._usage)
        )
        delta: dict[str, JsonValue] = {"stop_reason": word, "stop_sequence": stop_sequence}
        self._say("message_delta", {"delta": delta, "usage": usage})
        self._say("message_stop", {})

    def _start(self) -> None:
        if not self._start_due:
            return
        self._start_due = False
        message: dict[str, JsonValue] = {
            "id": self._info.id,
            "type": "message",
            "role": "assistant",
            "model": self._info.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(self._usage),
        }
        self._say("message_start", {"message": message})

    def _say(self, event: str, fields: dict[str, JsonValue]) -> None:
        self._put(frame(orjson.dumps({"type": event, **fields}), event))

    def _put(self, data: bytes) -> None:
        if self._start_due:
            self._start()
        self._out.append(data)


_EMPTY: Mapping[str, dict[str, JsonValue]] = {
    "text": {"type": "text", "text": ""},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}

_DELTA_HEADS: Mapping[str, bytes] = {
    # A delta's frame up to its text: most frames of a stream are these, and only the text is new in them.
    kind: b"event: content_block_delta\ndata: "
    b'{"type":"content_block_delta","index":%%d,"delta":{"type":"%b","%b":' % (delta, key)
    for kind, delta, key in (
        ("text", b"text_delta", b"text"),
        ("thinking", b"thinking_delta", b"thinking"),
        ("tool_use", b"input_json_delta", b"partial_json"),
    )
}


@dataclass(slots=True)
class _Block:
    """A content block: waiting, open or ended."""

    kind: str
    start: dict[str, JsonValue]
    pieces: list[str] = field(default_factory=list)
    """What was said while it waited; of a tool call, all its arguments so far."""
    signature: str = ""
    index: int = -1
    delta_head: bytes = b""
    ended: bool = False

    def may_end(self) -> bool:
        """Whether the next block may open: a tool call must have its arguments, everything else is done."""
        if self.kind != "tool_use":
            return True
        self.pieces = ["".join(self.pieces)]
        return self.pieces[0].rstrip().endswith("}") and parse(self.pieces[0]) is not None
