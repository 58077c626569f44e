"""Generating anything: one call for every capability, and what results were made of."""

from __future__ import annotations

import orjson
from aiohttp import web

from rhetor.core.errors import BadRequest, Code
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.media.asked import read_asked
from rhetor.http.reply import UnderWay, answer
from rhetor.pipeline.lineage import MOST_DEPTH, described, lineage_of, prompt_of, steps_of
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.generate import GENERATE, GENERATE_DOOR

NAME = "generate"
TRACING = ("depth",)
DIGITS = 4  # of a small number; Python refuses to read thousands of them


async def generate(http: web.Request) -> web.StreamResponse:
    """Generate anything: `capability`, `input`, and `model` or `requirements`; whole, or as events.

    What is made is kept as assets; `result: inline` has small media in the reply as well.
    """
    with UnderWay(http) as house:
        asked = await read_asked(http)
        return await answer(http, house, GENERATE, GENERATE_DOOR, asked.request, NAME, asked.keep)


async def lineage(http: web.Request) -> web.Response:
    """What a generation was made of, `?depth=` steps back, as generations and as one chain."""
    depth, id = _depth(http), http.match_info["id"]
    found = await lineage_of(http.app[HOUSE].assets, http.get(PRINCIPAL) or "", id, depth)
    if id not in {noted.id for noted in found.generations}:
        raise BadRequest("no such generation: it was not noted, or is kept no longer", Code.NOT_FOUND)
    said = {
        "id": id,
        "object": "lineage",
        "depth": depth,
        "complete": found.complete,
        "generations": [described(noted) for noted in found.generations],
        "generation_chain": steps_of(found),
        "generation_prompt": prompt_of(found),
    }
    return web.Response(body=orjson.dumps(said), content_type=JSON_TYPE)


def _depth(http: web.Request) -> int:
    said = http.query.get("depth")
    if said is None:
        return MOST_DEPTH
    if not (said.isascii() and said.isdigit() and len(said) <= DIGITS and int(said) <= MOST_DEPTH):
        raise BadRequest(f"depth: expected a number from 0 to {MOST_DEPTH}", param="depth")
    return int(said)
