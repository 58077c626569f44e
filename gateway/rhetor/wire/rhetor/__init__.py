"""The older dialects, for callers that cannot change: doors only.

`asking` reads them, `replies` answers over HTTP, `envelopes` and `plain` over
WebSocket, and `dialects` tells there who speaks which.

Over HTTP they differ in how they hear of errors. Clients of the first Rhetor
repeat whatever has another status than 200, three times, and lose its words;
a page that streams from it never hears of it. So there a request that was
understood is answered with 200 and `error`, as its server did; unless it may
well be answered when it is repeated. All others go by the status.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rhetor.core.capability import Capability
from rhetor.core.content import Json
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.request import Request
from rhetor.wire.base import KEEPALIVE, Door, ModelEntry, Renderer, ReplyInfo, Upstream
from rhetor.wire.rhetor.asking import WIRE, parse_body
from rhetor.wire.rhetor.replies import StreamReply, WholeReply, soft_error
from rhetor.wire.tekton import TEKTON, ChatDoor
from rhetor.wire.tekton.ask import context_of

PASSING = frozenset({Code.POOL_FULL, Code.SHUTTING_DOWN})


class _Door:
    keepalive = KEEPALIVE

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return parse_body(body)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        kind = StreamReply if request.stream else WholeReply
        return kind(info, context_of(request))


class _Rhetor:
    name = WIRE
    upstream: Mapping[Capability, Upstream] = {}
    doors: Mapping[Capability, Door] = {Capability.CHAT: _Door()}
    models_path = None

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return TEKTON.read_error(status, headers, body)

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        return TEKTON.render_error(error, request_id)

    def error_status(self, error: RhetorError) -> int:
        return error.status

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        return []


RHETOR = _Rhetor()


class _SecondRhetorsDoor(ChatDoor):
    """Tekton's chat, whose whole replies say the text in the words of the second Rhetor as well."""

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return super().renderer(request, info) if request.stream else WholeReply(info, context_of(request))


_SECOND_RHETORS = _SecondRhetorsDoor()


def chat_door(said: Json) -> Door:
    """Who reads a chat on the path that Tekton and the second Rhetor share.

    Tekton's clients always name a provider; callers of the second Rhetor name a model at the top level only.
    """
    is_tektons = said.get("model") is None or said.get("provider_id") is not None
    return TEKTON.doors[Capability.CHAT] if is_tektons else _SECOND_RHETORS


class Soft(_Rhetor, _Door):
    """One exchange with a caller that hears of errors in replies with status 200 only.

    Language and door in one, since the error says to which request it belongs.
    """

    def __init__(self, now_s: int) -> None:
        self._now_s = now_s
        self._request: Request | None = None

    @property
    def understood(self) -> bool:
        """There is a request; what is none is refused by the status."""
        return self._request is not None

    @property
    def streams(self) -> bool:
        return self._request is not None and self._request.stream

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        self._request = super().parse(body, headers)
        return self._request

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        assert self._request is not None
        info = ReplyInfo(id=request_id, created_s=self._now_s, model=self._request.model)
        return soft_error(error, info, context_of(self._request), self._request.stream)

    def error_status(self, error: RhetorError) -> int:
        return error.status if error.code in PASSING else 200
