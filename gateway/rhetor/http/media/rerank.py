"""The door for orders of documents, as Cohere's callers know it, and Jina's, vLLM's and LiteLLM's."""

from __future__ import annotations

from aiohttp import web

from rhetor.core.capability import Capability
from rhetor.http.media.uploads import parsed
from rhetor.http.reply import UnderWay, answer
from rhetor.http.served import Served
from rhetor.wire.rerank import RERANK

NAME = "rerank"
DOOR = RERANK.doors[Capability.RERANK]


async def rerank(http: web.Request) -> web.StreamResponse:
    """Put documents in the order in which they answer a query (Cohere rerank)."""
    with UnderWay(http) as house:
        request = await parsed(http, DOOR)
        return await answer(http, house, RERANK, DOOR, request, NAME)


def rerank_table(prefix: str) -> list[Served]:
    """The paths below this prefix: one for each version of Cohere's, which ask alike."""
    return [Served(NAME, "POST", f"{prefix}/{v}/rerank", rerank, RERANK) for v in ("v1", "v2")]
