"""Responses → events, streamed and whole.

https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rhetor.core.content import Json, JsonValue, Opaque
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    OpaquePart,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.wire.base import BodyDecoder, Chunk, Narrator, WholeDecoder
from rhetor.wire.lenient import parse, thing, things, word
from rhetor.wire.openai.errors import error_inside
from rhetor.wire.openai.reply import instead_of_stream
from rhetor.wire.openai.responses.vocabulary import NAME, finish_of, proof_of, read_usage
from rhetor.wire.refusals import page_text
from rhetor.wire.sse import Frame, SseSplitter

_PARAGRAPH = "\n\n"


Place: TypeAlias = int | str
"""Which item is meant: its number in the output, else its id, which llama.cpp (10/2026) tells alone."""


class Items:
    """Tells the items of a reply, each thing that is said in them once."""

    def __init__(self, narrator: Narrator) -> None:
        self._narrator = narrator
        self._calls: dict[Place, int] = {}
        """Number of the call at each place of the output."""
        self._said: set[Place] = set()
        """Places whose items have said something."""
        self._done: set[Place] = set()
        self._thought: tuple[Place, int] | None = None
        """Place and number of the paragraph that was thought last."""

    @property
    def called(self) -> bool:
        return bool(self._calls)

    def place_of(self, place: int, item: Json) -> Place:
        """Where an item of the whole output stands, as it was called in the stream."""
        id = word(item, "id")
        return id if id in self._said or id in self._done or id in self._calls else place

    def on_added(self, place: Place, item: Json) -> None:
        if word(item, "type") == "function_call":
            self._begin_call(place, item)

    def on_text(self, place: Place, text: str, logprobs: JsonValue) -> None:
        tokens = logprobs if isinstance(logprobs, list) and logprobs else None
        if text or tokens:
            self._said.add(place)
            self._narrator.emit(TextDelta(text, tokens))

    def on_refusal(self, place: Place, text: str) -> None:
        if text:
            self._said.add(place)
            self._narrator.emit(RefusalDelta(text))

    def on_thought(self, place: Place, paragraph: int, text: str) -> None:
        if not text:
            return
        self._said.add(place)
        if self._thought is not None and self._thought[0] == place and self._thought[1] != paragraph:
            text = _PARAGRAPH + text
        self._thought = place, paragraph
        self._narrator.emit(ThinkingDelta(text))

    def on_arguments(self, place: Place, text: str) -> None:
        if text and place in self._calls:
            self._said.add(place)
            self._narrator.emit(ToolUseDelta(self._calls[place], text))

    def on_done(self, place: Place, item: Json) -> None:
        """The item is complete: what of it was not said piece by piece is said now."""
        if place in self._done:
            return
        self._done.add(place)
        kind = word(item, "type")
        if kind == "function_call":
            self._begin_call(place, item)
            if place not in self._said:
                self.on_arguments(place, word(item, "arguments"))
        elif kind == "message":
            if place not in self._said:
                self._tell_message(place, item)
        elif kind == "reasoning":
            self._tell_thought(place, item)
        elif kind:
            self._narrator.emit(OpaquePart(Opaque(NAME, item)))

    def _begin_call(self, place: Place, item: Json) -> None:
        if place in self._calls:
            return
        number = self._calls[place] = len(self._calls)
        id = word(item, "call_id") or word(item, "id") or self._narrator.call_id(number)
        self._narrator.emit(ToolUseStarted(number, id, word(item, "name")))

    def _tell_message(self, place: Place, item: Json) -> None:
        for part in things(item, "content"):
            if word(part, "type") == "refusal":
                self.on_refusal(place, word(part, "refusal"))
            else:
                self.on_text(place, word(part, "text"), part.get("logprobs"))

    def _tell_thought(self, place: Place, item: Json) -> None:
        if place not in self._said:
            parts = things(item, "summary") or things(item, "content")
            for number, part in enumerate(parts):
                self.on_thought(place, number, word(part, "text"))
        if encrypted := word(item, "encrypted_content"):
            self._narrator.emit(ThinkingSigned(proof_of(encrypted)))


class ResponseStream(BodyDecoder):
    """Decodes a streamed response."""

    in_step = False  # nothing tells a renderer the provider's numbers of events and ids of items

    def __init__(self) -> None:
        self._splitter = SseSplitter()
        self._narrator = Narrator()
        self._items = Items(self._narrator)

    def feed(self, data: bytes) -> Chunk:
        try:
            frames = self._splitter.feed(data)
        except UpstreamError as error:
            self._narrator.end(Failed(error))
            return Chunk(self._narrator.take())
        raw = [it.raw for it in frames if self._read(it)]
        return Chunk(self._narrator.take(), b"".join(raw))

    def close(self) -> Chunk:
        """What a last frame without its blank line says, and the ending.

        In a reply that broke off no half frame passes: there the caller has to be told by a frame of our own.
        """
        narrator = self._narrator
        raw = b""
        if not narrator.ended:
            for last in self._splitter.close():
                if self._read(last) and narrator.ended:
                    raw = last.raw + b"\n\n"
                elif not narrator.started and (error := instead_of_stream(last.raw)):
                    narrator.end(Failed(error))
        narrator.hang_up()
        return Chunk(narrator.take(), raw)

    def _read(self, frame: Frame) -> bool:
        """Tell what a frame says; False when its bytes are not for the caller."""
        if not frame.data:
            return True
        said = parse(frame.data)
        if said is None:
            return frame.data.strip() == b"[DONE]"  # some servers say it here too
        reader = _READERS.get(word(said, "type") or frame.event)
        if reader is not None:
            reader(self, said)
        elif not self._narrator.ended and (error := error_inside(said, frame.event)):
            self._narrator.end(Failed(error))
        return True

    def _on_begun(self, said: Json) -> None:
        response = thing(said, "response")
        self._narrator.start(word(response, "id"), word(response, "model"))

    def _on_text(self, said: Json) -> None:
        self._items.on_text(_place(said), word(said, "delta"), said.get("logprobs"))

    def _on_refusal(self, said: Json) -> None:
        self._items.on_refusal(_place(said), word(said, "delta"))

    def _on_thought(self, said: Json) -> None:
        paragraph = said.get("summary_index", said.get("content_index"))
        self._items.on_thought(
            _place(said), paragraph if isinstance(paragraph, int) else 0, word(said, "delta")
        )

    def _on_arguments(self, said: Json) -> None:
        self._items.on_arguments(_place(said), word(said, "delta"))

    def _on_added(self, said: Json) -> None:
        self._items.on_added(_place(said), thing(said, "item"))

    def _on_done(self, said: Json) -> None:
        self._items.on_done(_place(said), thing(said, "item"))

    def _on_end(self, said: Json) -> None:
        _end(self._narrator, self._items, thing(said, "response"))

    def _on_error(self, said: Json) -> None:
        self._narrator.end(Failed(_failure(thing(said, "error") or said)))


def _place(said: Json) -> Place:
    index = said.get("output_index")
    return index if isinstance(index, int) else word(said, "item_id") or word(thing(said, "item"), "id")


_READERS: dict[str, Callable[[ResponseStream, Json], None]] = {
    "response.output_text.delta": ResponseStream._on_text,
    "response.function_call_arguments.delta": ResponseStream._on_arguments,
    "response.reasoning_summary_text.delta": ResponseStream._on_thought,
    "response.reasoning_text.delta": ResponseStream._on_thought,
    "response.refusal.delta": ResponseStream._on_refusal,
    "response.output_item.added": ResponseStream._on_added,
    "response.output_item.done": ResponseStream._on_done,
    "response.created": ResponseStream._on_begun,
    "response.queued": ResponseStream._on_begun,
    "response.in_progress": ResponseStream._on_begun,
    "response.completed": ResponseStream._on_end,
    "response.incomplete": ResponseStream._on_end,
    "response.failed": ResponseStream._on_end,
    "response.cancelled": ResponseStream._on_end,
    "error": ResponseStream._on_error,
}


class ResponseWhole(WholeDecoder):
    """Decodes a response that comes in one piece."""

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said = parse(body)
        if said is None:
            narrator.fail(f"the provider's reply is not JSON: {page_text(body)}", Code.PROTOCOL)
        elif not isinstance(said.get("output"), list):
            error = error_inside(said)
            narrator.end(
                Failed(error or UpstreamError("the provider's reply holds no output", Code.PROTOCOL))
            )
        else:
            _end(narrator, Items(narrator), said)
        return narrator.take()


def _end(narrator: Narrator, items: Items, response: Json) -> None:
    """The response as its last event or its body tells it."""
    narrator.start(word(response, "id"), word(response, "model"))
    status = word(response, "status")
    if status in ("failed", "cancelled") or response.get("error"):
        narrator.end(Failed(_failure(thing(response, "error"))))
        return
    if status not in ("completed", "incomplete"):
        narrator.fail(f"the provider ended its reply with the status {status!r}", Code.PROTOCOL)
        return
    for place, item in enumerate(things(response, "output")):
        items.on_done(items.place_of(place, item), item)
    if (usage := read_usage(thing(response, "usage"))) is not None:
        narrator.emit(UsageReport(usage))
    narrator.end(Finished(finish_of(response, items.called)))


def _failure(error: Json) -> UpstreamError:
    told = error_inside({"error": error}) if error else None
    return told or UpstreamError("the provider says that its reply failed")
