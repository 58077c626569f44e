"""The first Rhetor's WebSocket, which the LLM adapter's pages speak: everything in envelopes.

    {"type": "LLM_REQUEST", "source": "UI", "req_id": …, "payload": {"message": …, "context": …, …}}

    {"type": "UPDATE", "source": "LLM", "target": "UI", "req_id": …, "payload": {"chunk": "Hel", …}}

Its server never repeated the `req_id` that its own clients wait for; here it
comes back in every answer, and inside an ERROR's payload too, where the page's
client looks for it. Pages show that somebody is typing between two UPDATEs
with `isTyping`, and take a chunk with text for one in the middle: the last one
has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import ENDINGS, Event, Failed, Finished, Folder
from rhetor.core.request import Request
from rhetor.wire import fields
from rhetor.wire.base import ReplyInfo
from rhetor.wire.rhetor.asking import request_of
from rhetor.wire.rhetor.replies import OldChunks, whole_reply
from rhetor.wire.socket import (
    FRAME_LIMIT_BYTES,
    Asker,
    BadFrame,
    Cancel,
    ClientFrame,
    Dialect,
    Facts,
    Generate,
    Ping,
    Pong,
    Register,
    Status,
    Voice,
    text,
)
from rhetor.wire.tekton.ask import context_of, short_name
from rhetor.wire.tekton.reply import error_fields, timestamp

ENVELOPE_BYTES = 16_384  # source and id have at most a thousand characters, each six bytes once escaped
REPLY_LIMIT_BYTES = 4_000_000
"""aiohttp's clients close the connection over a frame of more than 4 MiB."""
UNKNOWN_SOURCE = "UI"


@dataclass(frozen=True, slots=True)
class _To:
    request_id: str
    source: str


class _Envelopes:
    name = "rhetor-ws"
    resumes = False

    def parse(self, said: Json, body: bytes, now_s: int) -> ClientFrame:
        to, context_id = _To("", ""), None
        try:
            to = _To("", short_name(said, "source") or "")
            to = _To(short_name(said, "req_id") or short_name(said, "request_id") or "", to.source)
            payload = fields.optional_mapping(said, "payload") or {}
            context_id = short_name(payload, "context", "payload")
            return _reader(said)(to, payload, body, now_s)
        except BadRequest as error:
            raise BadFrame(error, to.request_id, to.source, context_id) from error

    def voice(self, to: Asker, request: Request, info: ReplyInfo) -> Voice:
        kind = _Streamer if request.stream else _Responder
        return kind(to, info, context_of(request))

    def failed(self, error: RhetorError, to: Asker, info: ReplyInfo, context_id: str) -> list[str]:
        payload: dict[str, JsonValue] = {**error_fields(error), "context": context_id}
        if to.request_id:
            payload["req_id"] = to.request_id
        at = timestamp(info.created_s)
        return [
            _frame("ERROR", to, at, payload),
            typing(to, at, context_id, False),
        ]


class _Streamer:
    """UPDATEs, the last with `done` and without text; a failure is an ERROR, and the end."""

    def __init__(self, to: Asker, info: ReplyInfo, context_id: str) -> None:
        self._to = to
        self._info = info
        self._context_id = context_id
        self._at = timestamp(info.created_s)
        self._chunks = OldChunks(info, context_id, FRAME_LIMIT_BYTES - ENVELOPE_BYTES)

    def frames(self, events: Iterable[Event]) -> list[str]:
        out: list[str] = []
        for event in events:
            if isinstance(event, Failed):
                out += ENVELOPES.failed(event.error, self._to, self._info, self._context_id)
                continue
            out += (self._update(chunk) for chunk in self._chunks.of(event))
            if isinstance(event, Finished):
                out.append(typing(self._to, self._at, self._context_id, False))
        return out

    def _update(self, chunk: Json) -> str:
        return _frame("UPDATE", self._to, self._at, chunk)


class _Responder:
    """One RESPONSE with everything, or an ERROR."""

    def __init__(self, to: Asker, info: ReplyInfo, context_id: str) -> None:
        self._to = to
        self._info = info
        self._context_id = context_id
        self._folder = Folder()

    def frames(self, events: Iterable[Event]) -> list[str]:
        for event in events:
            self._folder.add(event)
            if isinstance(event, ENDINGS):
                return self._failed(event.error) if isinstance(event, Failed) else self._response()
        return []

    def _response(self) -> list[str]:
        at = timestamp(self._info.created_s)
        reply = whole_reply(self._folder.result(), self._info, self._context_id)
        frame = _frame("RESPONSE", self._to, at, reply)
        if (size_bytes := len(frame.encode())) > REPLY_LIMIT_BYTES:
            size = f"the reply fills {size_bytes} bytes, a frame takes {REPLY_LIMIT_BYTES}: stream it"
            return self._failed(BadRequest(size, Code.UNSUPPORTED))
        return [frame, typing(self._to, at, self._context_id, False)]

    def _failed(self, error: RhetorError) -> list[str]:
        return ENVELOPES.failed(error, self._to, self._info, self._context_id)


ENVELOPES: Dialect = _Envelopes()


def typing(to: Asker, at: str, context_id: str, is_typing: bool) -> str:
    payload: Json = {"status": "typing", "isTyping": is_typing, "context": context_id}
    return _frame("UPDATE", to, at, payload)


_Reader: TypeAlias = Callable[[_To, Json, bytes, int], ClientFrame]


def _reader(said: Json) -> _Reader:
    kind = fields.text(said, "type")
    if kind in SPECIALISTS:
        raise BadRequest(f"{kind}: there are no specialists here; send LLM_REQUEST", Code.UNSUPPORTED)
    if kind not in _READERS:
        expected = ", ".join(_READERS)
        raise BadRequest(f"type: expected one of {expected}, got {kind!r}", param="type")
    return _READERS[kind]


def _register(to: _To, payload: Json, body: bytes, now_s: int) -> Register:
    name = to.source or short_name(payload, "component_id", "payload") or ""
    answer = _frame("RESPONSE", to, timestamp(now_s), {"status": "registered"}, "SYSTEM")
    return Register(name, (), answer, to.request_id, to.source)


def _generate(to: _To, payload: Json, body: bytes, now_s: int) -> Generate:
    request = request_of(payload, body)
    request.component = request.component or to.source or None
    request.stream = fields.flag(payload, "streaming", "payload", default=True)
    return Generate(
        to.request_id, request, to.source, typing(to, timestamp(now_s), context_of(request), True)
    )


def _status(to: _To, payload: Json, body: bytes, now_s: int) -> Status:
    at = timestamp(now_s)
    return Status(
        lambda facts: _frame("RESPONSE", to, at, _service(facts), "SYSTEM"), to.request_id, to.source
    )


def _service(facts: Facts) -> Json:
    return {
        "status": "ok",
        "service": "rhetor",
        "version": facts.version,
        "providers": dict(facts.providers),
        "default_provider": facts.default_provider,
        "default_model": facts.default_model,
    }


_READERS: Mapping[str, _Reader] = {
    "REGISTER": _register,
    "LLM_REQUEST": _generate,
    "CHAT_REQUEST": _generate,
    "STATUS": _status,
    "CANCEL": lambda to, payload, body, now_s: Cancel(to.request_id),
    "PING": lambda to, payload, body, now_s: Ping(),
    "PONG": lambda to, payload, body, now_s: Pong(),
}
SPECIALISTS = frozenset({"AI_SPECIALIST_REQUEST", "AI_TEAM_CHAT"})
KINDS = frozenset({"LLM_REQUEST", "CHAT_REQUEST", "STATUS"}) | SPECIALISTS
"""The types of frames that nobody else has."""


def _frame(kind: str, to: Asker, at: str, payload: Json, source: str = "LLM") -> str:
    said: dict[str, JsonValue] = {
        "type": kind,
        "source": source,
        "target": to.source or UNKNOWN_SOURCE,
        "timestamp": at,
        "payload": payload,
    }
    if to.request_id:
        said["req_id"] = to.request_id
    return text(said)
