"""Events → chat completion replies, streamed and whole.

https://platform.openai.com/docs/api-reference/chat/streaming (read 2026-11-20).
Thoughts travel as `reasoning_content`, which the language does not know but
most clients do. Proofs of thoughts and opaque parts have no place and are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import orjson

from rhetor.core.content import JsonValue
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    Folded,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import STREAM_TYPE, ReplyInfo, WholeRenderer
from rhetor.wire.openai.errors import error_body
from rhetor.wire.openai.vocabulary import FINISH_WORDS, write_usage
from rhetor.wire.sse import frame

DONE = frame(b"[DONE]")


class ChatStreamRenderer:
    """Renders a chat completion as server-sent events; all frames of one call are one piece of bytes."""

    content_type = STREAM_TYPE

    def __init__(self, request: Request, info: ReplyInfo) -> None:
        self._info = info
        self._tell_usage = request.stream_usage
        self._usage: Usage | None = None
        self._silent_calls: set[int] = set()  # opened, and without arguments so far
        self._head = self._opening(info.id, info.model)

    def render(self, events: Iterable[Event]) -> bytes:
        return b"".join([self._frames(event) for event in events])

    def _frames(self, event: Event) -> bytes:
        writer = _WRITERS.get(type(event))
        return b"" if writer is None else writer(self, event)

    def _opening(self, id: str, model: str) -> bytes:
        """How every chunk begins, up to its choices."""
        common = orjson.dumps(
            {"id": id, "object": "chat.completion.chunk", "created": self._info.created_s, "model": model}
        )
        return b'data: %b,"choices":[' % common[:-1]

    def _chunk(self, delta: bytes, logprobs: bytes = b"null", finish: bytes = b"null") -> bytes:
        choice = b'{"index":0,"delta":%b,"logprobs":%b,"finish_reason":%b}' % (delta, logprobs, finish)
        return b"%b%b]}\n\n" % (self._head, choice)

    def _started(self, event: Started) -> bytes:
        self._head = self._opening(event.id or self._info.id, event.model or self._info.model)
        return self._chunk(b'{"role":"assistant","content":""}')

    def _text(self, event: TextDelta) -> bytes:
        delta = b'{"content":%b}' % orjson.dumps(event.text)
        if event.logprobs is None:
            return self._chunk(delta)
        return self._chunk(delta, orjson.dumps({"content": event.logprobs, "refusal": None}))

    def _refusal(self, event: RefusalDelta) -> bytes:
        return self._chunk(b'{"refusal":%b}' % orjson.dumps(event.text))

    def _thinking(self, event: ThinkingDelta) -> bytes:
        return self._chunk(b'{"reasoning_content":%b}' % orjson.dumps(event.text))

    def _tool_started(self, event: ToolUseStarted) -> bytes:
        self._silent_calls.add(event.index)
        function = {"name": event.name, "arguments": ""}
        call = {"index": event.index, "id": event.id, "type": "function", "function": function}
        return self._chunk(b'{"tool_calls":[%b]}' % orjson.dumps(call))

    def _tool_delta(self, event: ToolUseDelta) -> bytes:
        self._silent_calls.discard(event.index)
        return self._chunk(
            b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'
            % (event.index, orjson.dumps(event.arguments))
        )

    def _usage_report(self, event: UsageReport) -> bytes:
        self._usage = event.usage
        return b""

    def _finished(self, event: Finished) -> bytes:
        # Clients parse arguments as JSON: a call without any is a call with no arguments.
        out = [self._tool_delta(ToolUseDelta(index, "{}")) for index in sorted(self._silent_calls)]
        out.append(self._chunk(b"{}", finish=b'"%b"' % FINISH_WORDS[event.reason].encode()))
        if self._tell_usage and self._usage is not None:
            out.append(b'%b],"usage":%b}\n\n' % (self._head, orjson.dumps(write_usage(self._usage))))
        return b"".join(out) + DONE

    def _failed(self, event: Failed) -> bytes:
        """The error, and no [DONE]: the reply is not complete."""
        return frame(error_body(event.error))


_WRITERS: Mapping[type, Callable[..., bytes]] = {
    Started: ChatStreamRenderer._started,
    TextDelta: ChatStreamRenderer._text,
    RefusalDelta: ChatStreamRenderer._refusal,
    ThinkingDelta: ChatStreamRenderer._thinking,
    ToolUseStarted: ChatStreamRenderer._tool_started,
    ToolUseDelta: ChatStreamRenderer._tool_delta,
    UsageReport: ChatStreamRenderer._usage_report,
    Finished: ChatStreamRenderer._finished,
    Failed: ChatStreamRenderer._failed,
}


class ChatWholeRenderer(WholeRenderer):
    """Renders a chat completion in one piece."""

    def __init__(self, info: ReplyInfo) -> None:
        super().__init__()
        self._info = info

    def write(self, folded: Folded) -> bytes:
        assert folded.finish is not None
        choice: dict[str, JsonValue] = {
            "index": 0,
            "message": _message(folded),
            "logprobs": {"content": folded.logprobs, "refusal": None} if folded.logprobs else None,
            "finish_reason": FINISH_WORDS[folded.finish],
        }
        reply: dict[str, JsonValue] = {
            "id": folded.id or self._info.id,
            "object": "chat.completion",
            "created": self._info.created_s,
            "model": folded.model or self._info.model,
            "choices": [choice],
        }
        if folded.usage is not None:
            reply["usage"] = write_usage(folded.usage)
        return orjson.dumps(reply)


def _message(folded: Folded) -> dict[str, JsonValue]:
    calls: list[JsonValue] = [
        {"id": use.id, "type": "function", "function": {"name": use.name, "arguments": use.arguments or "{}"}}
        for use in folded.tool_uses
    ]
    refusal = folded.refusal or None
    message: dict[str, JsonValue] = {
        "role": "assistant",
        "content": folded.text or (None if calls or refusal else ""),
        "refusal": refusal,
    }
    if thinking := folded.thinking:
        message["reasoning_content"] = thinking
    if calls:
        message["tool_calls"] = calls
    return message
