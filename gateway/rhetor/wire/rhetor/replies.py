"""A reply as the older callers read it: Tekton's, with what they call differently said twice.

The text is `content`, `message` and `response`; in streams `chunk` and
`content`. The tag is `context_id` and `context`. No reader minds the others'
words, so that one reply serves all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import RhetorError
from rhetor.core.events import ENDINGS, Event, Failed, Folded
from rhetor.wire.base import STREAM_TYPE, ReplyInfo, WholeRenderer
from rhetor.wire.tekton.chunks import DONE, LINE_LIMIT_BYTES, Chunks
from rhetor.wire.tekton.reply import error_fields, timestamp, whole

FRAME = b"event: message\ndata: %b\n\n"
SAID_TWICE_BYTES = 64  # the names of what is added to a chunk
ROOM_BYTES = SAID_TWICE_BYTES + len(FRAME)


def whole_reply(folded: Folded, info: ReplyInfo, context_id: str) -> dict[str, JsonValue]:
    """A reply in one object."""
    said = whole(folded, info, context_id)
    text = said["content"]
    return {**said, "message": text, "response": text, "context": context_id, "finished": True}


class OldChunks:
    """Events → the chunks of one reply, as objects of at most so many bytes."""

    def __init__(self, info: ReplyInfo, context_id: str, limit_bytes: int) -> None:
        self._chunks = Chunks(info, context_id, (limit_bytes - SAID_TWICE_BYTES) // 2)

    def of(self, event: Event) -> Iterator[dict[str, JsonValue]]:
        """The chunks that this event completes."""
        for chunk in self._chunks.of(event):
            said = orjson.loads(chunk)
            yield {**said, "content": said["chunk"], "context": said["context_id"]}


class WholeReply(WholeRenderer):
    """The answer in one piece."""

    def __init__(self, info: ReplyInfo, context_id: str) -> None:
        super().__init__()
        self._info = info
        self._context_id = context_id

    def write(self, folded: Folded) -> bytes:
        return orjson.dumps(whole_reply(folded, self._info, self._context_id))


class StreamReply:
    """The answer as events called `message`: chunks, the last with `done`, then `[DONE]` in any case."""

    content_type = STREAM_TYPE

    def __init__(self, info: ReplyInfo, context_id: str) -> None:
        self._chunks = OldChunks(info, context_id, LINE_LIMIT_BYTES - ROOM_BYTES)

    def render(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            out += (FRAME % orjson.dumps(chunk) for chunk in self._chunks.of(event))
            if isinstance(event, ENDINGS):
                out.append(DONE)
        return b"".join(out)


def soft_error(error: RhetorError, info: ReplyInfo, context_id: str, stream: bool) -> bytes:
    """An error in a reply whose status says that all is well."""
    if stream:
        return StreamReply(info, context_id).render([Failed(error)])
    said: Json = {
        **error_fields(error),
        "context": context_id,
        "context_id": context_id,
        "timestamp": timestamp(info.created_s),
        "request_id": info.id,
    }
    return orjson.dumps(said)
