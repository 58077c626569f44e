"""Events → the frames that Tekton's WebSocket clients read.

The same fields as over HTTP (`reply`), with a `type` and the `request_id` in
front. Every frame stays below the 1 MiB that the stock client accepts.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Event, Failed, Finished, Folder
from rhetor.wire.base import ReplyInfo
from rhetor.wire.socket import FRAME_LIMIT_BYTES, PONG, text, with_id
from rhetor.wire.tekton.ask import DEFAULT_CONTEXT
from rhetor.wire.tekton.chunks import Chunks
from rhetor.wire.tekton.reply import error_fields, stamp, whole

__all__ = [
    "FRAME_LIMIT_BYTES",
    "Responder",
    "Streamer",
    "error_frame",
    "pong",
    "register_ack",
    "with_id",
]


class Responder:
    """Answers GENERATE and CHAT: one RESPONSE with everything, or one ERROR."""

    def __init__(self, request_id: str, info: ReplyInfo, context_id: str) -> None:
        self._request_id = request_id
        self._info = info
        self._context_id = context_id
        self._folder = Folder()

    def frames(self, events: Iterable[Event]) -> list[str]:
        """The frame that these events complete, if they do."""
        for event in events:
            self._folder.add(event)
            if isinstance(event, Failed):
                return [self._error(event.error)]
            if isinstance(event, Finished):
                return [self._response()]
        return []

    def _response(self) -> str:
        reply = whole(self._folder.result(), self._info, self._context_id)
        frame = _frame("RESPONSE", self._request_id, reply)
        if len(frame) <= FRAME_LIMIT_BYTES:
            return frame.decode()
        size = f"the reply fills {len(frame)} bytes, a frame takes {FRAME_LIMIT_BYTES}: ask with STREAM"
        return self._error(BadRequest(size, Code.UNSUPPORTED))

    def _error(self, error: RhetorError) -> str:
        return error_frame(error, self._request_id, self._info, self._context_id)


class Streamer:
    """Answers STREAM and CHAT_STREAM: CHUNKs, the last with `done`; a failure is an ERROR, and the end."""

    def __init__(self, request_id: str, info: ReplyInfo, context_id: str) -> None:
        # A chunk is written without its frame's first two fields, and gets them put in front.
        self._head = _frame("CHUNK", request_id, {})[:-1] + b","
        self._chunks = Chunks(info, context_id, FRAME_LIMIT_BYTES - len(self._head))
        self._request_id = request_id
        self._info = info
        self._context_id = context_id

    def frames(self, events: Iterable[Event]) -> list[str]:
        """The frames that these events make, in order."""
        out: list[str] = []
        for event in events:
            if isinstance(event, Failed):
                out.append(error_frame(event.error, self._request_id, self._info, self._context_id))
            else:
                out += [(self._head + chunk[1:]).decode() for chunk in self._chunks.of(event)]
        return out


def error_frame(
    error: RhetorError, request_id: str, info: ReplyInfo, context_id: str = DEFAULT_CONTEXT
) -> str:
    """An error that ends a request; also for a frame that could not be read, with what little is known."""
    said = {**error_fields(error), **stamp(info, context_id)}
    if info.meta:
        said["meta"] = {"generation_id": info.id, **info.meta}
    frame = _frame("ERROR", request_id, said)
    if len(frame) > FRAME_LIMIT_BYTES:
        said["meta"] = {"generation_id": info.id}
        frame = _frame("ERROR", request_id, said)
    return frame.decode()


def register_ack(component_id: str) -> str:
    return text({"type": "REGISTER_ACK", "component_id": component_id, "status": "registered"})


def pong() -> str:
    return PONG


def _frame(kind: str, request_id: str, said: Json) -> bytes:
    return orjson.dumps({"type": kind, "request_id": request_id, **said})
