"""Chat completion replies → events, streamed and whole.

https://platform.openai.com/docs/api-reference/chat/streaming (read 2026-11-20).
Only the choice with index 0 is told; a caller who asked for more gets the
others in the provider's own frames.
"""

from __future__ import annotations

import orjson

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
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.wire.base import BodyDecoder, Chunk, Narrator, WholeDecoder
from rhetor.wire.lenient import parse, thing, things, word
from rhetor.wire.openai.calls import Calls, arguments_of
from rhetor.wire.openai.errors import error_inside
from rhetor.wire.openai.vocabulary import FAILED_WORDS, NAME, finish_of, read_usage
from rhetor.wire.refusals import page_text
from rhetor.wire.sse import Frame, SseSplitter, frame

DONE = frame(b"[DONE]")
_THOUGHTS = ("reasoning_content", "reasoning")
_UNTOLD = ("audio", "images")  # content without events of its own, which commits the provider all the same


class ChatStream(BodyDecoder):
    """Decodes a streamed chat completion.

    Args:
        withhold_usage: leave the frame that tells nothing but usage out of the raw bytes,
            since it was asked for by us.
    """

    in_step = True  # a chunk says nothing of those before it

    def __init__(self, withhold_usage: bool = False) -> None:
        self._splitter = SseSplitter()
        self._narrator = Narrator()
        self._calls = Calls(self._narrator)
        self._finish: str | None = None
        self._withhold_usage = withhold_usage

    def feed(self, data: bytes) -> Chunk:
        try:
            frames = self._splitter.feed(data)
        except UpstreamError as error:
            self._narrator.end(Failed(error))
            return Chunk(self._narrator.take())
        raw = [it.raw for it in frames if self._read(it)]
        return Chunk(self._narrator.take(), raw[0] if len(raw) == 1 else b"".join(raw))

    def close(self) -> Chunk:
        """What a last frame without its blank line says, and the ending.

        The frame goes into the raw bytes when the reply is complete with it,
        then with the [DONE] that is missing. In a reply that broke off it does
        not: there the caller has to be told by a frame of our own.
        """
        narrator = self._narrator
        raw = b""
        if not narrator.ended:
            for last in self._splitter.close():
                passes = self._read(last)
                if last.data.strip() == b"[DONE]":
                    raw = last.raw
                elif passes and parse(last.data) is not None:
                    raw = last.raw + b"\n\n"
                elif not narrator.started and (error := instead_of_stream(last.raw)):
                    narrator.end(Failed(error))
        if not narrator.ended and self._finish is not None:
            self._end()
            raw += DONE
        elif not narrator.ended:
            narrator.hang_up()
            raw = b""
        return Chunk(narrator.take(), raw)

    def _read(self, frame: Frame) -> bool:
        """Tell what a frame says; False when its bytes are not for the caller."""
        if self._narrator.ended:
            return False
        try:
            said = orjson.loads(frame.data) if frame.data else None
        except orjson.JSONDecodeError:
            if frame.data.strip() != b"[DONE]":
                return False  # callers' parsers break at it, and what it says is lost anyway
            self._end()
            return True
        if not isinstance(said, dict):
            return True
        if ("error" in said or frame.event == "error") and (error := error_inside(said, frame.event)):
            self._narrator.end(Failed(error))
            return True
        if not self._narrator.started:
            self._start(said)
        choices = said.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict) and not choice.get("index"):
                    self._read_choice(choice)
        usage = said.get("usage")
        if not usage or not isinstance(usage, dict):
            return True
        self._narrator.emit(UsageReport(read_usage(usage)))
        return bool(choices) or not self._withhold_usage

    def _start(self, said: Json) -> None:
        """Azure's first frame tells only what its filter thinks of the prompt, and no name."""
        id, model = word(said, "id"), word(said, "model")
        if id or model:
            self._narrator.start(id, model)

    def _read_choice(self, choice: Json) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            logprobs = choice.get("logprobs")
            text = delta.get("content")
            if text and not logprobs and len(delta) == 1 and isinstance(text, str):
                self._narrator.emit(TextDelta(text))  # what nearly every frame is
            else:
                self._read_delta(delta, logprobs)
        if finish := word(choice, "finish_reason"):
            self._finish = finish
            if error := _failure_of(choice):
                self._narrator.end(Failed(error))

    def _read_delta(self, delta: Json, logprobs: JsonValue) -> None:
        for event in _said(delta, logprobs):
            self._narrator.emit(event)
        for piece in things(delta, "tool_calls"):
            if "function" in piece:
                self._calls.add(piece)
            else:
                self._narrator.emit(OpaquePart(Opaque(NAME, piece)))
        if function := delta.get("function_call"):
            self._calls.add({"index": 0, "function": function})

    def _end(self) -> None:
        self._calls.finish()
        self._narrator.end(Finished(finish_of(self._finish or "", self._calls.any)))


class ChatWhole(WholeDecoder):
    """Decodes a chat completion that comes in one piece."""

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said = parse(body)
        if said is None:
            narrator.fail(f"the provider's reply is not JSON: {page_text(body)}", Code.PROTOCOL)
        elif error := error_inside(said):
            narrator.end(Failed(error))
        else:
            narrator.start(word(said, "id"), word(said, "model"))
            _tell(narrator, said)
        return narrator.take()


def _tell(narrator: Narrator, said: Json) -> None:
    choices = things(said, "choices")
    if not choices or not isinstance(choices[0].get("message"), dict):
        narrator.fail("the provider's reply holds no message", Code.PROTOCOL)
        return
    choice = choices[0]
    message = thing(choice, "message")
    for event in _said(message, choice.get("logprobs")):
        narrator.emit(event)
    calls = things(message, "tool_calls")
    if function := thing(message, "function_call"):
        calls = [*calls, {"function": function}]
    functions = 0
    for call in calls:
        if "function" in call:
            _tell_call(narrator, functions, call)
            functions += 1
        else:
            narrator.emit(OpaquePart(Opaque(NAME, call)))
    if isinstance(usage := said.get("usage"), dict):
        narrator.emit(UsageReport(read_usage(usage)))
    if error := _failure_of(choice):
        narrator.end(Failed(error))
    narrator.end(Finished(finish_of(word(choice, "finish_reason"), functions > 0)))


def _tell_call(narrator: Narrator, number: int, call: Json) -> None:
    function = thing(call, "function")
    id = word(call, "id") or narrator.call_id(number)
    narrator.emit(ToolUseStarted(number, id, word(function, "name")))
    if arguments := arguments_of(function):
        narrator.emit(ToolUseDelta(number, arguments))


def _said(message: Json, logprobs: JsonValue) -> list[Event]:
    """What a message, or a delta of one, says beside its tool calls."""
    events: list[Event] = []
    for name in _THOUGHTS:
        if (thought := message.get(name)) and isinstance(thought, str):
            events.append(ThinkingDelta(thought))
            break
    content = message.get("content")
    if isinstance(content, list):
        events += _said_in_parts(content)
    elif isinstance(content, str) and (content or logprobs):
        tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
        if content or tokens:
            events.append(TextDelta(content, tokens if isinstance(tokens, list) else None))
    if (refusal := message.get("refusal")) and isinstance(refusal, str):
        events.append(RefusalDelta(refusal))
    for name in _UNTOLD:
        if untold := message.get(name):
            events.append(OpaquePart(Opaque(NAME, {"type": name, name: untold})))
    return events


def _said_in_parts(content: list[JsonValue]) -> list[Event]:
    """Mistral's reasoning models: content is a list of thoughts and texts.

    https://docs.mistral.ai/capabilities/reasoning/ (read 2026-11-20).
    """
    events: list[Event] = []
    for part in content:
        if not isinstance(part, dict):
            continue
        if text := word(part, "text"):
            events.append(TextDelta(text))
        events += [ThinkingDelta(text) for it in things(part, "thinking") if (text := word(it, "text"))]
    return events


def _failure_of(choice: Json) -> UpstreamError | None:
    """The failure that a choice ends with."""
    if error := error_inside(choice):
        return error
    finish = word(choice, "finish_reason")
    if finish in FAILED_WORDS:
        return UpstreamError(f"the provider ended its reply with finish reason {finish!r}")
    return None


def instead_of_stream(body: bytes) -> UpstreamError | None:
    """What came where a stream was asked for; None when it was only comments."""
    if body.lstrip().startswith(b":"):
        return None
    said = parse(body)
    if said is not None and (error := error_inside(said)):
        return error
    return UpstreamError(f"the provider sent no event stream: {page_text(body)}", Code.PROTOCOL)
