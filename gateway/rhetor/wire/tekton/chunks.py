"""A streamed reply as Tekton's callers read it: events → chunks that fit into a line or a frame.

data: {"chunk":"Hel","context_id":…,"model":…,"provider":…,"timestamp":…,"done":false}

data: {"chunk":"",…,"done":true,"finish_reason":"stop","usage":{…},"fallback":false,"meta":{…}}

data: [DONE]

"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from rhetor.core.content import Json, JsonValue, ToolUse
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaquePart,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import STREAM_TYPE, ReplyInfo
from rhetor.wire.tekton.reply import ending, error_fields, stamp, tool_calls, unsayable

LINE_LIMIT_BYTES = 64 * 1024
"""No line of a stream gets longer: readers built on aiohttp fail at a few hundred KiB, older ones at 128."""
ESCAPE_BYTES = 6  # what one character becomes at most as JSON text in UTF-8: \u0000
DONE = b"data: [DONE]\n\n"


class Chunks:
    """Events → the chunks of one reply, as JSON objects.

    Text goes out as it comes, thoughts and logprobs as chunks without text. Tool calls wait
    for the last chunk; where they are too large for it they come before it, in
    pieces like OpenAI's stream deltas: pieces of one call share its `index`,
    their arguments are to be joined.

    Args:
        limit_bytes: of one chunk.
    """

    def __init__(self, info: ReplyInfo, context_id: str, limit_bytes: int) -> None:
        self._info = info
        self._limit_bytes = limit_bytes
        self._stamp = stamp(info, context_id)
        # What follows the text is the same in every chunk, so it is written once.
        self._tail = b"," + orjson.dumps({**self._stamp, "done": False})[1:]
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        self._usage: Usage | None = None
        self._unsaid: list[str] = []

    def of(self, event: Event) -> Iterator[bytes]:
        """The chunks that this event completes."""
        match event:
            case TextDelta(text, logprobs):
                yield from self._text(b'{"chunk":', text)
                if logprobs:
                    yield from self._logprobs(logprobs)
            case RefusalDelta(text):
                yield from self._text(b'{"chunk":', text)
            case ThinkingDelta(text):
                yield from self._text(b'{"chunk":"","thinking":', text)
            case ToolUseStarted(index, id, name):
                self._calls[index] = (id, name, [])
            case ToolUseDelta(index, arguments):
                self._calls[index][2].append(arguments)
            case OpaquePart(part):
                self._unsaid.append(unsayable(part))
            case UsageReport(usage):
                self._usage = usage
            case Finished():
                yield from self._finish(event)
            case Failed(error):
                yield self._last({**error_fields(error), **self._ending(Finished(FinishReason.OTHER))})

    def _text(self, head: bytes, text: str) -> Iterator[bytes]:
        for piece in pieces(text, self._limit_bytes - len(head) - len(self._tail)):
            yield head + piece + self._tail

    def _logprobs(self, logprobs: list[JsonValue]) -> Iterator[bytes]:
        """What was reported of a text's tokens, half of it at a time where all of it is too long."""
        said = orjson.dumps({"chunk": "", "logprobs": logprobs, **self._stamp, "done": False})
        if len(said) <= self._limit_bytes:
            yield said
        elif len(logprobs) > 1:
            yield from self._logprobs(logprobs[: len(logprobs) // 2])
            yield from self._logprobs(logprobs[len(logprobs) // 2 :])
        else:
            self._unsaid.append("reply: logprobs of a token")

    def _finish(self, finished: Finished) -> Iterator[bytes]:
        end = self._ending(finished)
        uses = [ToolUse(id, name, "".join(said)) for id, name, said in self._calls.values()]
        last = self._last({"tool_calls": tool_calls(uses), **end} if uses else end)
        if uses and len(last) > self._limit_bytes:
            yield from self._spread(uses)
            last = self._last(end)
        yield last

    def _ending(self, finished: Finished) -> dict[str, JsonValue]:
        return ending(finished, self._usage, self._info, self._unsaid)

    def _last(self, extra: Json) -> bytes:
        chunk = {"chunk": "", **self._stamp, "done": True, **extra}
        encoded = orjson.dumps(chunk)
        if len(encoded) > self._limit_bytes:  # the metadata is too large: better without than a broken line
            encoded = orjson.dumps({**chunk, "meta": {"generation_id": self._info.id}})
        return encoded

    def _spread(self, uses: Iterable[ToolUse]) -> Iterator[bytes]:
        """The tool calls in chunks of their own, as many as it takes."""
        for index, use in enumerate(uses):
            head: dict[str, JsonValue] = {"index": index, "id": use.id, "type": "function"}
            function: dict[str, JsonValue] = {"name": use.name}
            room = self._limit_bytes - len(self._piece({**head, "function": {**function, "arguments": ""}}))
            for piece in list(pieces(use.arguments, room)) or [b'""']:
                function["arguments"] = orjson.loads(piece)
                yield self._piece({**head, "function": function})
                head, function = {"index": index}, {}

    def _piece(self, call: Json) -> bytes:
        return orjson.dumps({"chunk": "", "tool_calls": [call], **self._stamp, "done": False})


def pieces(text: str, limit_bytes: int) -> Iterator[bytes]:
    """A text as JSON strings that are no longer than the limit; none for an empty text."""
    if not text:
        return
    encoded = orjson.dumps(text)
    if len(encoded) <= limit_bytes:
        yield encoded
        return
    step = max(1, (limit_bytes - len('""')) // ESCAPE_BYTES)
    for start in range(0, len(text), step):
        yield orjson.dumps(text[start : start + step])


class StreamReply:
    """The answer to `/api/v1/chat/stream`: chunks, the last with `done`, then `[DONE]` in any case."""

    content_type = STREAM_TYPE

    def __init__(self, info: ReplyInfo, context_id: str) -> None:
        self._chunks = Chunks(info, context_id, LINE_LIMIT_BYTES - len(b"data: \n"))

    def render(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            for chunk in self._chunks.of(event):
                out += (b"data: ", chunk, b"\n\n")
            if isinstance(event, Finished | Failed):
                out.append(DONE)
        return b"".join(out)
