"""Tekton's language, as the published `tekton-llm-client` packages speak it: doors only.

No provider speaks it. Its Python client answers every slip of a server with
text of its own invention, so this wire is exact about types, nulls and line
lengths; the golden files in `tests/golden/tekton` are what it promises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rhetor.core.capability import Capability
from rhetor.core.errors import RhetorError, UpstreamError
from rhetor.core.request import Request
from rhetor.wire import refusals
from rhetor.wire.base import KEEPALIVE, Door, ModelEntry, Renderer, ReplyInfo, Upstream
from rhetor.wire.tekton.ask import WIRE, context_of, parse_chat
from rhetor.wire.tekton.chunks import StreamReply
from rhetor.wire.tekton.reply import WholeReply, error_body


class ChatDoor:
    """`/api/v1/chat` and `/api/v1/chat/stream`."""

    keepalive = KEEPALIVE

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return parse_chat(body, headers)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        context_id = context_of(request)
        return StreamReply(info, context_id) if request.stream else WholeReply(info, context_id)


class Tekton:
    """The language, as its constant below is handed around."""

    name = WIRE
    upstream: Mapping[Capability, Upstream] = {}
    doors: Mapping[Capability, Door] = {Capability.CHAT: ChatDoor()}
    models_path = None

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        said = refusals.error_object(body)
        text = refusals.message_of(said) if said is not None else refusals.page_text(body)
        return UpstreamError(refusals.refused(status, text), refusals.code_of_status(status))

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        return error_body(error, request_id)

    def error_status(self, error: RhetorError) -> int:
        return error.status

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        return []


TEKTON = Tekton()
