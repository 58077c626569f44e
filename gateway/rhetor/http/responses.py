"""The OpenAI Responses door: generate, and come back to what was generated."""

from __future__ import annotations

import orjson
from aiohttp import web

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code
from rhetor.http.recorded import SENT
from rhetor.http.reply import UnderWay, answer, read_body
from rhetor.http.stored import Stored, stored_response
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.lenient import things
from rhetor.wire.openai.responses import RESPONSES
from rhetor.wire.openai.responses.kept import PAGING, missing, page_of

NAME = "responses"
RETRIEVING = ("stream",)
LISTING = PAGING


async def create(http: web.Request) -> web.StreamResponse:
    """Answer a conversation, whole or as server-sent events (OpenAI Responses)."""
    with UnderWay(http) as house:
        http[SENT] = body = await read_body(http)
        asked = await Stored(http).asked(body)
        return await answer(http, house, RESPONSES, asked.door, asked.request, NAME, asked.keep)


async def retrieve(http: web.Request) -> web.Response:
    """A response that was stored, as it is unless its request says `"store": false`."""
    if http.query.get("stream") == "true":
        message = "stream: a stored response comes whole; see x-rhetor-resume for streams that are resumed"
        raise BadRequest(message, Code.UNSUPPORTED, param="stream")
    return _json(stored_response(await _found(http)))


async def delete(http: web.Request) -> web.Response:
    """Forget a stored response."""
    await _found(http)
    id = http.match_info["id"]
    deleted = await Stored(http).remove(id)
    return _json({"id": id, "object": "response", "deleted": deleted})


async def input_items(http: web.Request) -> web.Response:
    """What a stored response was asked, item by item, the newest first."""
    return _json(page_of(things(await _found(http), "input"), http.query))


async def cancel(http: web.Request) -> web.Response:
    """Refused: only responses in the background can be cancelled, which are not offered."""
    await _found(http)
    message = "only background responses can be cancelled; who leaves a response that is under way ends it"
    raise BadRequest(message, Code.UNSUPPORTED)


async def _found(http: web.Request) -> Json:
    """
    Raises:
        BadRequest: not_found.
    """
    id = http.match_info["id"]
    document = await Stored(http).response(id)
    if document is None:
        raise missing(f"Response with id '{id[:100]}' not found.")
    return document


def _json(said: Json) -> web.Response:
    return web.Response(body=orjson.dumps(said), content_type=JSON_TYPE)
