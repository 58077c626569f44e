"""What Ollama answers: objects, one a line or one in all → events.

https://docs.ollama.com/api/streaming and /api/errors (read 2026-11-20): every
line is a whole object with a piece of the message; the last has `done`, or is
`{"error": "text"}`, which comes with status 200 once the reply has begun.
What answers a prompt has its text under `response`, and no message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import BodyDecoder, Chunk, Narrator, WholeDecoder
from rhetor.wire.jsonlines import LineSplitter
from rhetor.wire.lenient import parse, thing, things, word
from rhetor.wire.ollama.errors import stream_error

FINISH_REASONS: Mapping[str, FinishReason] = {
    "": FinishReason.STOP,  # older servers do not say
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
}


class StreamDecoder(BodyDecoder):
    """A reply in lines."""

    in_step = True

    def __init__(self) -> None:
        self._splitter = LineSplitter()
        self._reader = ReplyReader()

    def feed(self, data: bytes) -> Chunk:
        try:
            lines = self._splitter.feed(data)
        except UpstreamError as error:
            self._reader.narrator.end(Failed(error))
            return Chunk(self._reader.narrator.take())
        return self._read(lines)

    def close(self) -> Chunk:
        chunk = self._read(self._splitter.close())
        self._reader.narrator.hang_up()
        return Chunk(chunk.events + self._reader.narrator.take(), chunk.raw)

    def _read(self, lines: list[bytes]) -> Chunk:
        for line in lines:
            # One broken line does not spoil a reply; a reply of nothing else never ends, and so fails.
            if (said := parse(line)) is not None:
                self._reader.read(said)
        return Chunk(self._reader.narrator.take(), b"".join(lines))


class ReplyDecoder(WholeDecoder):
    """A reply in one piece."""

    def read(self, body: bytes) -> list[Event]:
        reader = ReplyReader()
        reader.read(parse(body))
        reader.narrator.hang_up()
        return reader.narrator.take()


class ReplyReader:
    """Reads the objects of one reply."""

    def __init__(self) -> None:
        self.narrator = Narrator()
        self._calls = 0
        self._spoke = False

    def read(self, said: Json | None) -> None:
        if said is None:
            self.narrator.fail("the provider sent something that is not a JSON object", Code.PROTOCOL)
        elif said.get("error") is not None:
            self.narrator.end(Failed(stream_error(said)))
        else:
            self._read_message(said)
            if said.get("done") is True:
                self._finish(said)

    def _read_message(self, said: Json) -> None:
        self.narrator.start("", word(said, "model"))
        for event in self._events(said):
            self._spoke = True
            self.narrator.emit(event)

    def _events(self, said: Json) -> Iterator[Event]:
        message = thing(said, "message")
        thought = word(message, "thinking") or word(said, "thinking")
        text = word(message, "content") or word(said, "response")
        probabilities = _logprobs(things(said, "logprobs"))
        if thought:
            yield ThinkingDelta(thought)
        # Tokens that the server still holds back, say for a tool call, may come without their text.
        if text or (probabilities and not thought):
            yield TextDelta(text, probabilities)
        for call in things(message, "tool_calls"):
            yield from self._call(call)

    def _call(self, call: Json) -> Iterator[Event]:
        """One tool call, which always comes whole. Older servers give it no id."""
        function = thing(call, "function")
        if not function:
            return
        try:
            arguments = orjson.dumps(thing(function, "arguments")).decode()
        except orjson.JSONEncodeError:  # it reads deeper nesting than it writes
            self.narrator.fail("the provider sent arguments that are nested too deeply", Code.PROTOCOL)
            return
        index = self._calls
        self._calls += 1
        id = word(call, "id") or self.narrator.call_id(index)
        yield ToolUseStarted(index, id, word(function, "name"))
        yield ToolUseDelta(index, arguments)

    def _finish(self, said: Json) -> None:
        reason = word(said, "done_reason")
        if reason == "load" and not self._spoke:
            # The server only loaded the model; asked again, it would answer.
            self.narrator.fail("Ollama loaded the model and generated nothing", Code.UPSTREAM_ERROR)
            return
        usage = read_usage(said)
        if usage is not None:
            self.narrator.emit(UsageReport(usage))
        finish = FINISH_REASONS.get(reason, FinishReason.OTHER)
        if finish is FinishReason.STOP and self._calls:
            finish = FinishReason.TOOL_USE
        self.narrator.end(Finished(finish))


def read_usage(said: Json) -> Usage | None:
    """Counts of a reply; a prompt that was still in the cache may come without its count."""
    counts = [said.get(name) for name in ("prompt_eval_count", "eval_count")]
    read, written = (count if type(count) is int and count >= 0 else None for count in counts)
    if read is None and written is None:
        return None
    return Usage(input_tokens=read or 0, output_tokens=written or 0)


def _logprobs(entries: list[Json]) -> list[JsonValue] | None:
    """OpenAI's shape, with the lists that Ollama leaves out when they are empty."""
    empty: dict[str, JsonValue] = {"bytes": None, "top_logprobs": []}
    return [{**empty, **entry} for entry in entries] or None
