"""Two WebSockets without ceremony.

The second Rhetor's, and the LLM adapter client's on `/ws/generate`: a request
is a bare body, perhaps with a `request_id`, and is always streamed.

    {"messages": […], "request_id": "r", "model": …}
    {"chunk": "Hel", "content": "Hel", "done": false, "request_id": "r", …}
    {"type": "stream_complete", "request_id": "r"}   or   {"type": "error", "error": …}

Athena's, which opens a connection for each request:

    {"type": "generate", "data": {"prompt": …}}
    {"type": "content", "content": "Hel"}
    {"type": "done"}   or   {"type": "error", "error": …}
"""

from __future__ import annotations

from collections.abc import Iterable

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, RhetorError
from rhetor.core.events import Event, Failed, Finished
from rhetor.core.request import Request
from rhetor.wire import fields
from rhetor.wire.base import ReplyInfo
from rhetor.wire.rhetor.asking import request_of
from rhetor.wire.rhetor.replies import OldChunks
from rhetor.wire.socket import (
    FRAME_LIMIT_BYTES,
    Asker,
    BadFrame,
    Cancel,
    ClientFrame,
    Dialect,
    Generate,
    Voice,
    text,
)
from rhetor.wire.tekton.ask import NAME_LIMIT, context_of, short_name
from rhetor.wire.tekton.reply import error_fields, stamp

ROOM_BYTES = 6 * NAME_LIMIT + 100  # for what is added to a chunk: the id, escaped, and a type
CANCEL = "cancel"
ATHENAS = frozenset({"generate", "chat"})
"""The types of Athena's frames."""


class _Bare:
    name = "bare-ws"
    resumes = False

    def parse(self, said: Json, body: bytes, now_s: int) -> ClientFrame:
        request_id = ""
        try:
            request_id = short_name(said, "request_id") or ""
            action = fields.optional_text(said, "action")
            if action == CANCEL:
                return Cancel(request_id)
            if action is not None or said.get("type") is not None:
                raise BadRequest("expected a request: an object with messages, and without a type or action")
            request = request_of(said, body, ("request_id",))
        except BadRequest as error:
            raise BadFrame(error, request_id) from error
        request.stream = True
        return Generate(request_id, request)

    def voice(self, to: Asker, request: Request, info: ReplyInfo) -> Voice:
        return _BareVoice(to, info, context_of(request))

    def failed(self, error: RhetorError, to: Asker, info: ReplyInfo, context_id: str) -> list[str]:
        """An error that is also a last chunk, for clients that wait for their id and `done` only."""
        said: dict[str, JsonValue] = {"type": "error", **error_fields(error), "chunk": "", "content": ""}
        return [text({**said, **stamp(info, context_id), "done": True, **_id_of(to)})]


class _BareVoice:
    def __init__(self, to: Asker, info: ReplyInfo, context_id: str) -> None:
        self._to = to
        self._info = info
        self._context_id = context_id
        self._id = _id_of(to)
        self._chunks = OldChunks(info, context_id, FRAME_LIMIT_BYTES - ROOM_BYTES)

    def frames(self, events: Iterable[Event]) -> list[str]:
        out: list[str] = []
        for event in events:
            if isinstance(event, Failed):
                out += BARE.failed(event.error, self._to, self._info, self._context_id)
                continue
            out += (text({**chunk, **self._id}) for chunk in self._chunks.of(event))
            if isinstance(event, Finished):
                out.append(text({"type": "stream_complete", **self._id}))
        return out


BARE: Dialect = _Bare()


def _id_of(to: Asker) -> Json:
    return {"request_id": to.request_id} if to.request_id else {}


class _Athena:
    name = "athena-ws"
    resumes = False

    def parse(self, said: Json, body: bytes, now_s: int) -> ClientFrame:
        try:
            kind = fields.text(said, "type")
            if kind not in ATHENAS:
                raise BadRequest(f"type: expected generate or chat, got {kind!r}", param="type")
            request = request_of(fields.mapping(said, "data"), body)
        except BadRequest as error:
            raise BadFrame(error, "") from error
        request.stream = True
        return Generate("", request)

    def voice(self, to: Asker, request: Request, info: ReplyInfo) -> Voice:
        return _AthenaVoice(to, info, context_of(request))

    def failed(self, error: RhetorError, to: Asker, info: ReplyInfo, context_id: str) -> list[str]:
        return [text({"type": "error", **error_fields(error), **stamp(info, context_id)})]


class _AthenaVoice:
    def __init__(self, to: Asker, info: ReplyInfo, context_id: str) -> None:
        self._to = to
        self._info = info
        self._context_id = context_id
        self._chunks = OldChunks(info, context_id, FRAME_LIMIT_BYTES - ROOM_BYTES)

    def frames(self, events: Iterable[Event]) -> list[str]:
        out: list[str] = []
        for event in events:
            if isinstance(event, Failed):
                out += ATHENA.failed(event.error, self._to, self._info, self._context_id)
            else:
                out += map(_spoken, self._chunks.of(event))
        return out


ATHENA: Dialect = _Athena()


def _spoken(chunk: Json) -> str:
    return text({**chunk, "type": "done" if chunk["done"] else "content"})
