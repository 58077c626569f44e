"""Our own language for anything that is generated: one door for every capability, and no providers.

Its errors are those of Tekton's language, as everywhere in the house's own doors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rhetor.core.capability import Capability
from rhetor.core.errors import RhetorError, UpstreamError
from rhetor.core.request import Request
from rhetor.wire import fields
from rhetor.wire.base import KEEPALIVE, Door, ModelEntry, Renderer, ReplyInfo, Upstream
from rhetor.wire.generate.asking import WIRE, read_generate
from rhetor.wire.generate.reply import StreamedGeneration, WholeGeneration
from rhetor.wire.tekton import TEKTON
from rhetor.wire.tekton.reply import error_body


class GenerateDoor:
    """`/v1/generate`, whatever is asked for."""

    keepalive = KEEPALIVE

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        """A request that refers to nothing: what is stored is found by whoever has the store."""
        return read_generate(fields.parse_object(body), body)

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return StreamedGeneration(request, info) if request.stream else WholeGeneration(request, info)


GENERATE_DOOR = GenerateDoor()


class Generate:
    """The language, as its constant below is handed around."""

    name = WIRE
    upstream: Mapping[Capability, Upstream] = {}
    doors: Mapping[Capability, Door] = dict.fromkeys(Capability, GENERATE_DOOR)
    models_path = None

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return TEKTON.read_error(status, headers, body)

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        return error_body(error, request_id)

    def error_status(self, error: RhetorError) -> int:
        return error.status

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        return []


GENERATE = Generate()
