"""In which language a caller is refused whom no door has let in: the path tells who may be asking."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from rhetor.http.chat.refusals import PLATFORM
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.base import Wire
from rhetor.wire.generate.conduit import CONDUIT
from rhetor.wire.jelmore import JELMORE
from rhetor.wire.openai import OPENAI
from rhetor.wire.rerank import RERANK
from rhetor.wire.tekton import TEKTON

LANGUAGES: Mapping[str, Wire] = {
    "/v1/": OPENAI,
    "/v1/messages": ANTHROPIC,
    "/v1/sessions": TEKTON,
    "/v1/generations": TEKTON,
    "/v1/contexts": TEKTON,
    "/v1/rerank": RERANK,
    "/v2/rerank": RERANK,
    "/v1/generate": TEKTON,
    "/v1/jobs": TEKTON,
    "/v1/assets": TEKTON,
    "/api/v1/capabilities": CONDUIT,
    "/api/v1/transform/": CONDUIT,
    "/api/v1/jobs/": CONDUIT,
    "/api/v1/sessions": JELMORE,
    "/api/v1/legacy/": JELMORE,
    "/api/v1/maintenance/": JELMORE,
    "/api/v1/status": JELMORE,
    "/api/v1/providers/": JELMORE,
    "/api/v1/auth/": PLATFORM,
    "/api/v1/chat/message": PLATFORM,
    "/api/v1/chat/session": PLATFORM,
    "/api/v1/chat/stream/": PLATFORM,
    "/ws/chat": PLATFORM,
}
"""By the beginning of the path; the longest one that fits counts."""


def language_of_path(http: web.Request) -> Wire:
    """That of the callers who have this path, also where nothing is served."""
    begun = [start for start in LANGUAGES if http.path.startswith(start)]
    return LANGUAGES[max(begun, key=len)] if begun else TEKTON
