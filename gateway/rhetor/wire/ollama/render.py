"""Events → replies of `/api/chat` and `/api/generate`: one object a line, or one in all.

https://docs.ollama.com/api/streaming (read 2026-11-20). Tool calls have no pieces in this language: they
come whole, before the last line. Proofs of thoughts and opaque parts have no place and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import orjson

from rhetor.core.content import Json, JsonValue, ToolUse
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
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.core.value import value
from rhetor.wire.base import ReplyInfo, WholeRenderer
from rhetor.wire.ollama.errors import error_body
from rhetor.wire.ollama.outgoing import as_object

LINES_TYPE = "application/x-ndjson"
KEEPALIVE = b" "
"""White space before the next line's object, which every parser of JSON skips. An empty line is no way:
Ollama's clients for Python and Go (read 2026-11-21) take it for an object, and fail."""
NS_PER_MS = 1_000_000


@value
class Form:
    """Where an endpoint puts what was said."""

    text: bytes
    """The field of a line with a piece of text, which is to be filled in as JSON."""
    thought: bytes
    message: str | None
    """The object that holds the fields of a whole reply; None: they stand at the top."""
    content: str
    """What the text is called there."""

    def said(self, text: str, thought: str = "", calls: Iterable[ToolUse] = ()) -> dict[str, JsonValue]:
        """The fields that say all this."""
        fields: dict[str, JsonValue] = {self.content: text}
        if thought:
            fields["thinking"] = thought
        if written := [_written(n, call) for n, call in enumerate(calls)]:
            fields["tool_calls"] = written
        return fields if self.message is None else {self.message: {"role": "assistant", **fields}}


CHAT = Form(
    text=b'"message":{"role":"assistant","content":%b}',
    thought=b'"message":{"role":"assistant","content":"","thinking":%b}',
    message="message",
    content="content",
)
PROMPT = Form(text=b'"response":%b', thought=b'"response":"","thinking":%b', message=None, content="response")


class Lines:
    """Renders a reply in lines."""

    content_type = LINES_TYPE

    def __init__(self, info: ReplyInfo, form: Form) -> None:
        self._info = info
        self._form = form
        self._calls: dict[int, tuple[str, str, list[str]]] = {}
        self._usage: Usage | None = None
        self._name(info.model)

    def render(self, events: Iterable[Event]) -> bytes:
        return _in_lines(b"".join([self._line(event) for event in events]))

    def _line(self, event: Event) -> bytes:
        match event:
            case TextDelta(text, None) | RefusalDelta(text):
                return self._piece(self._form.text, text)
            case TextDelta(text, logprobs):
                return self._object({**self._form.said(text), "logprobs": logprobs, "done": False})
            case ThinkingDelta(text):
                return self._piece(self._form.thought, text)
            case ToolUseStarted(index, id, name):
                self._calls[index] = (id, name, [])
            case ToolUseDelta(index, arguments):
                self._calls[index][2].append(arguments)
            case UsageReport(usage):
                self._usage = usage
            case Started(_, model):
                self._name(model or self._info.model)
            case Finished(reason):
                return self._asked() + self._object({**self._form.said(""), **self._ending(reason)})
            case Failed(error):
                return error_body(error) + b"\n"
        return b""

    def _name(self, model: str) -> None:
        """How every line begins."""
        self._head = orjson.dumps(stamp(model, self._info.created_s))[:-1] + b","

    def _piece(self, field: bytes, text: str) -> bytes:
        return b'%b%b,"done":false}\n' % (self._head, field % orjson.dumps(text))

    def _object(self, fields: Json) -> bytes:
        return b"%b%b\n" % (self._head, orjson.dumps(fields)[1:])

    def _asked(self) -> bytes:
        if not self._calls:
            return b""
        calls = [ToolUse(id, name, "".join(said)) for id, name, said in self._calls.values()]
        return self._object({**self._form.said("", calls=calls), "done": False})

    def _ending(self, reason: FinishReason) -> dict[str, JsonValue]:
        return ending(reason, self._usage, self._info)


class Whole(WholeRenderer):
    """Renders a reply in one object."""

    def __init__(self, info: ReplyInfo, form: Form) -> None:
        super().__init__()
        self._info = info
        self._form = form

    def write(self, folded: Folded) -> bytes:
        assert folded.finish is not None
        reply = {
            **stamp(folded.model or self._info.model, self._info.created_s),
            **self._form.said(folded.text + folded.refusal, folded.thinking, folded.tool_uses),
            **ending(folded.finish, folded.usage, self._info),
        }
        if folded.logprobs:
            reply["logprobs"] = folded.logprobs
        return orjson.dumps(reply)


def loaded(model: str, created_s: int, form: Form, unloads: bool) -> bytes:
    """The reply to who only wants a model in memory, or out of it."""
    reason = "unload" if unloads else "load"
    return orjson.dumps({**stamp(model, created_s), **form.said(""), "done": True, "done_reason": reason})


def stamp(model: str, created_s: int) -> dict[str, JsonValue]:
    created = datetime.fromtimestamp(created_s, UTC).isoformat().replace("+00:00", "Z")
    return {"model": model, "created_at": created}


def ending(reason: FinishReason, usage: Usage | None, info: ReplyInfo) -> dict[str, JsonValue]:
    """What the last object says beyond the others."""
    done: dict[str, JsonValue] = {
        "done": True,
        "done_reason": "length" if reason is FinishReason.LENGTH else "stop",
        **durations(info.meta),
    }
    if usage is not None:
        done["prompt_eval_count"] = usage.input_tokens
        done["eval_count"] = usage.output_tokens
    return done


def durations(meta: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """How long it took, in nanoseconds, as the attempts tell: a reply that is told again took as long.

    Who spoke is heard from when it was asked, so nothing is known of the prompt alone. What was lost before
    that, with others, counts as loading. Nothing takes no time at all: callers divide by it.
    """
    attempts = meta.get("attempts")
    spans = [_ms(attempt) for attempt in attempts] if isinstance(attempts, list) else []
    spoke_ns = max(spans[-1] if spans else 0, 1) * NS_PER_MS
    lost_ns = sum(spans[:-1]) * NS_PER_MS
    return {
        "total_duration": lost_ns + spoke_ns,
        "load_duration": lost_ns,
        "prompt_eval_duration": 0,
        "eval_duration": spoke_ns,
    }


def _ms(attempt: JsonValue) -> int:
    ms = attempt.get("ms") if isinstance(attempt, Mapping) else None
    return ms if isinstance(ms, int) else 0


def _written(number: int, use: ToolUse) -> JsonValue:
    return {
        "id": use.id,
        "function": {"index": number, "name": use.name, "arguments": as_object(use.arguments)},
    }


_ESCAPED = {"\x85".encode(): b"\\u0085", "\u2028".encode(): b"\\u2028", "\u2029".encode(): b"\\u2029"}


def _in_lines(data: bytes) -> bytes:
    """The same without what only Unicode takes for line ends: the `ollama` package would cut lines there."""
    if not data.isascii():
        for end, escape in _ESCAPED.items():
            data = data.replace(end, escape)
    return data
