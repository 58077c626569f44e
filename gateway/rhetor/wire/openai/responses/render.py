"""Events → responses, streamed and whole.

https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11-21).
Each event has its number. Thoughts are told as summaries, the form that clients
show. A text or a thought is closed by what follows it. Tool calls, which other
languages let grow in turns, are told one after the other as OpenAI does, since
LangChain loses arguments otherwise: a call waits until the arguments of the one
before are complete, at the latest until the end of the reply.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

import orjson

from rhetor.core.content import Json, JsonValue, Opaque
from rhetor.core.errors import RhetorError
from rhetor.core.events import (
    BESIDES_CHAT,
    Event,
    Failed,
    Finished,
    FinishReason,
    Folded,
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
from rhetor.wire.base import STREAM_TYPE, WholeRenderer
from rhetor.wire.openai.errors import error_fields
from rhetor.wire.openai.responses.outline import (
    Outline,
    call_item,
    complete_logprobs,
    message_item,
    output_of,
    reasoning_item,
    refusal_part,
    summary_part,
    text_part,
)
from rhetor.wire.openai.responses.vocabulary import INCOMPLETE, NAME
from rhetor.wire.sse import frame


@dataclass(slots=True)
class _Item:
    """An item of the output that is open."""

    kind: str
    id: str
    index: int
    pieces: list[str] = field(default_factory=list)
    """Of its text, thought, arguments, or of the part of the message that is open."""
    part: str = ""
    """Which part of a message is open."""
    logprobs: list[JsonValue] = field(default_factory=list)
    content: list[JsonValue] = field(default_factory=list)
    """Parts of a message that are closed."""
    call_id: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class ResponseStreamRenderer:
    """Renders a response as server-sent events; all frames of one call are one piece of bytes."""

    content_type = STREAM_TYPE

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._out: list[bytes] = []
        self._number = 0
        self._begun = False
        self._usage: Usage | None = None
        self._output: list[JsonValue] = []
        self._open: _Item | None = None
        """The message or the thought that is being said."""
        self._calls: dict[int, _Item] = {}
        self._untold: deque[_Item] = deque()
        """The calls that are not closed: the first is told as it grows, the others wait."""
        self._delta_head = b""

    def render(self, events: Iterable[Event]) -> bytes:
        for event in events:
            if type(event) is TextDelta and not event.logprobs and self._delta_head:
                self._open.pieces.append(event.text)  # type: ignore[union-attr]  # there is a head: it is open
                self._out.append(b"%b%b,%b" % (self._delta_head, orjson.dumps(event.text), self._tail()))
            else:
                self._see(event)
        out, self._out = b"".join(self._out), []
        return out

    def _see(self, event: Event) -> None:
        if isinstance(event, BESIDES_CHAT):
            return
        match event:
            case TextDelta(text, logprobs):
                self._say("output_text", text, complete_logprobs(logprobs))
            case RefusalDelta(text):
                self._say("refusal", text, [])
            case ThinkingDelta(text):
                self._think(text)
            case ThinkingSigned(signature):
                self._sign(signature)
            case ToolUseStarted(index, id, name):
                self._begin_call(index, id, name)
            case ToolUseDelta(index, arguments):
                self._grow_call(self._calls[index], arguments)
            case OpaquePart(part):
                self._pass_on(part)
            case UsageReport(usage):
                self._usage = usage
            case Started(id, model):
                self._outline.on_started(id, model)
                self._begin()
            case Finished(reason):
                self._finish(reason)
            case Failed(error):
                self._fail(error)
            case _:
                assert_never(event)

    def _begin(self) -> None:
        self._begun = True
        response = self._outline.unfinished()
        self._tell("response.created", {"response": response})
        self._tell("response.in_progress", {"response": response})

    def _say(self, part: str, text: str, logprobs: list[JsonValue]) -> None:
        item = self._open
        if item is None or item.kind != "message":
            item = self._add("message")
            self._added(item, message_item(item.id, [], "in_progress"))
        if item.part != part:
            self._close_part(item)
            self._open_part(item, part)
        item.pieces.append(text)
        if part == "refusal":
            self._tell("response.refusal.delta", {**_place(item), "delta": text})
        else:
            item.logprobs += logprobs
            self._tell("response.output_text.delta", {**_place(item), "delta": text, "logprobs": logprobs})

    def _open_part(self, item: _Item, part: str) -> None:
        item.part = part
        empty = refusal_part("") if part == "refusal" else text_part("", [])
        self._tell("response.content_part.added", {**_place(item), "part": empty})
        if part == "output_text":
            said = {"type": "response.output_text.delta", **_place(item), "logprobs": []}
            head = b'event: response.output_text.delta\ndata: %b,"delta":' % orjson.dumps(said)[:-1]
            self._delta_head = head

    def _close_part(self, item: _Item) -> None:
        if not item.part:
            return
        place, text = _place(item), item.text
        if item.part == "refusal":
            part = refusal_part(text)
            self._tell("response.refusal.done", {**place, "refusal": text})
        else:
            part = text_part(text, item.logprobs)
            self._tell("response.output_text.done", {**place, "text": text, "logprobs": item.logprobs})
        self._tell("response.content_part.done", {**place, "part": part})
        item.content.append(part)
        item.part, item.pieces, item.logprobs = "", [], []
        self._delta_head = b""

    def _think(self, text: str) -> None:
        item = self._open
        if item is None or item.kind != "reasoning":
            item = self._begin_thought()
        if not item.part:
            item.part = "summary"
            part = summary_part("")
            self._tell("response.reasoning_summary_part.added", {**_summary_place(item), "part": part})
        item.pieces.append(text)
        self._tell("response.reasoning_summary_text.delta", {**_summary_place(item), "delta": text})

    def _sign(self, signature: str) -> None:
        item = self._open
        if item is None or item.kind != "reasoning":
            item = self._begin_thought()
        self._close(signature=signature)

    def _begin_thought(self) -> _Item:
        item = self._add("reasoning")
        self._added(item, reasoning_item(item.id, "", None))
        return item

    def _begin_call(self, index: int, call_id: str, name: str) -> None:
        self._close()
        item = self._calls[index] = self._new("function_call")
        item.call_id, item.name = call_id, name
        self._untold.append(item)
        if len(self._untold) == 1:
            self._tell_call(item)
        else:
            self._go_on()

    def _grow_call(self, item: _Item, arguments: str) -> None:
        item.pieces.append(arguments)
        if self._untold and item is self._untold[0]:
            self._tell_arguments(item, arguments)
            if arguments.rstrip().endswith("}"):
                self._go_on()

    def _go_on(self) -> None:
        """Tell the calls that wait for no other."""
        while len(self._untold) > 1 and _is_object(self._untold[0].text):
            self._close_call("completed")

    def _tell_call(self, item: _Item) -> None:
        """It begins, with the arguments that are here already."""
        self._added(item, call_item(item.id, item.call_id, item.name, "", "in_progress"))
        for piece in item.pieces:
            self._tell_arguments(item, piece)

    def _tell_arguments(self, item: _Item, arguments: str) -> None:
        said: Json = {"item_id": item.id, "output_index": item.index, "delta": arguments}
        self._tell("response.function_call_arguments.delta", said)

    def _close_call(self, status: str) -> None:
        """The one that is told is complete; the next one begins."""
        item = self._untold[0]
        if not item.pieces:  # clients parse arguments as JSON: a call without any has no arguments
            item.pieces.append("{}")
            self._tell_arguments(item, "{}")
        place: Json = {"item_id": item.id, "output_index": item.index}
        said: Json = {**place, "name": item.name, "arguments": item.text}
        self._tell("response.function_call_arguments.done", said)
        self._done(item, call_item(item.id, item.call_id, item.name, item.text, status))
        self._untold.popleft()
        if self._untold:
            self._tell_call(self._untold[0])

    def _pass_on(self, part: Opaque) -> None:
        if part.wire != NAME:
            return
        self._close()
        item = self._new(part.kind)
        self._added(item, part.data)
        self._done(item, part.data)

    def _close(self, status: str = "completed", signature: str | None = None) -> None:
        """Nothing is added to the message or the thought that was being said."""
        item, self._open = self._open, None
        if item is None:
            return
        if item.kind == "message":
            self._close_part(item)
            self._done(item, message_item(item.id, item.content, status))
            return
        if item.part:
            place, text = _summary_place(item), item.text
            self._tell("response.reasoning_summary_text.done", {**place, "text": text})
            part = summary_part(text)
            self._tell("response.reasoning_summary_part.done", {**place, "part": part})
        self._done(item, reasoning_item(item.id, item.text, signature))

    def _end_items(self, status: str) -> None:
        """Close what is open; what was said last is what was cut off, if anything was."""
        last = len(self._output) - 1
        self._close(status if self._open is not None and self._open.index == last else "completed")
        while self._untold:
            self._close_call(status if self._untold[0].index == last else "completed")

    def _finish(self, reason: FinishReason) -> None:
        cut = reason in INCOMPLETE
        self._end_items("incomplete" if cut else "completed")
        response = self._outline.ended(self._output, self._usage, reason)
        self._tell("response.incomplete" if cut else "response.completed", {"response": response})

    def _fail(self, error: RhetorError) -> None:
        """The error as SDKs raise it, and the end of the response.

        OpenAI sends both, the first with an object inside that its description does not have and that
        its own SDKs look for: https://github.com/openai/openai-dotnet/issues/881 (read 2026-11-21).
        """
        fields = error_fields(error)
        told = {key: fields[key] for key in ("code", "message", "param")}
        self._tell("error", {**told, "error": fields})
        response = self._outline.failed([it for it in self._output if it is not None], self._usage, error)
        self._tell("response.failed", {"response": response})

    def _new(self, kind: str) -> _Item:
        index = len(self._output)
        self._output.append(None)
        return _Item(kind, self._outline.item_id(kind, index), index)

    def _add(self, kind: str) -> _Item:
        self._close()
        self._open = self._new(kind)
        return self._open

    def _added(self, item: _Item, said: Json) -> None:
        self._tell("response.output_item.added", {"output_index": item.index, "item": said})

    def _done(self, item: _Item, said: Json) -> None:
        self._output[item.index] = said
        self._tell("response.output_item.done", {"output_index": item.index, "item": said})

    def _tail(self) -> bytes:
        number = self._number
        self._number += 1
        return b'"sequence_number":%d}\n\n' % number

    def _tell(self, kind: str, said: Json) -> None:
        number = self._number
        self._number += 1
        self._out.append(frame(orjson.dumps({"type": kind, **said, "sequence_number": number}), kind))


def _is_object(arguments: str) -> bool:
    """Whether nothing can follow: it is a whole object of JSON."""
    try:
        return isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        return False


def _place(item: _Item) -> dict[str, JsonValue]:
    return {"item_id": item.id, "output_index": item.index, "content_index": len(item.content)}


def _summary_place(item: _Item) -> dict[str, JsonValue]:
    return {"item_id": item.id, "output_index": item.index, "summary_index": 0}


class ResponseWholeRenderer(WholeRenderer):
    """Renders a response in one piece."""

    def __init__(self, outline: Outline) -> None:
        super().__init__()
        self._outline = outline

    def write(self, folded: Folded) -> bytes:
        return orjson.dumps(whole(self._outline, folded))


def whole(outline: Outline, folded: Folded) -> dict[str, JsonValue]:
    """The response object that a reply makes, also one that failed."""
    outline.on_started(folded.id, folded.model)
    reason = folded.finish or FinishReason.OTHER
    cut = folded.error is not None or reason in INCOMPLETE
    logprobs = complete_logprobs(folded.logprobs)
    output = output_of(folded.parts, logprobs, outline, "incomplete" if cut else "completed")
    if folded.error is not None:
        return outline.failed([*output], folded.usage, folded.error)
    return outline.ended([*output], folded.usage, reason)
