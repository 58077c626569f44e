"""Conversations that a response can be asked to go on with: made, read, written and forgotten (OpenAI)."""

from __future__ import annotations

import orjson
from aiohttp import web

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest
from rhetor.core.ids import new_id
from rhetor.http.house import HOUSE, PRINCIPAL, House
from rhetor.http.reply import read_body
from rhetor.http.stored import Stored, any_name
from rhetor.store.base import TranscriptSummary
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.lenient import thing, word
from rhetor.wire.openai.responses.kept import (
    PAGING,
    checked_items,
    metadata_of,
    missing,
    page_of,
    to_be_kept,
)
from rhetor.wire.openai.responses.request import CONVERSATION as KIND

LISTING = PAGING


async def create(http: web.Request) -> web.Response:
    """Begin a conversation, with items if there are any."""
    house = http.app[HOUSE]
    body = await read_body(http)
    said = fields.parse_object(body) if body else {}
    metadata = metadata_of(said)
    items = await Stored(http).in_full(checked_items(said)) if said.get("items") else []
    id = new_id("conv")
    await house.transcripts.describe(KIND, _owner(http), id, {"metadata": metadata})
    if items:
        await Stored(http).add(id, to_be_kept(items, any_name()))
    return await _shown(http, house, id)


async def retrieve(http: web.Request) -> web.Response:
    """A conversation, without its items."""
    return await _shown(http, http.app[HOUSE], http.match_info["id"])


async def update(http: web.Request) -> web.Response:
    """Note something else of a conversation in its `metadata`."""
    house, id = http.app[HOUSE], http.match_info["id"]
    said = fields.parse_object(await read_body(http))
    await _found(http, house, id)
    await house.transcripts.describe(KIND, _owner(http), id, {"metadata": metadata_of(said)})
    return await _shown(http, house, id)


async def delete(http: web.Request) -> web.Response:
    """Forget a conversation with its items."""
    house, id = http.app[HOUSE], http.match_info["id"]
    await _found(http, house, id)
    deleted = await house.transcripts.remove(KIND, _owner(http), id)
    return _json({"id": id, "object": "conversation.deleted", "deleted": deleted})


async def items(http: web.Request) -> web.Response:
    """What was said in a conversation, item by item, the newest first."""
    return _json(page_of(await _items(http), http.query))


async def add(http: web.Request) -> web.Response:
    """Say more in a conversation, without asking anybody."""
    said = fields.parse_object(await read_body(http))
    given, there = checked_items(said), await _items(http)
    known = {word(item, "id") for item in there}
    added = to_be_kept(await Stored(http).in_full(given, there), any_name())
    if taken := [word(item, "id") for item in added if word(item, "id") in known]:
        raise BadRequest(f"items: {taken[0][:100]!r} is in the conversation already", param="items")
    await Stored(http).add(http.match_info["id"], added)
    return _json(page_of(added, {"order": "asc", "limit": "100"}))


async def item(http: web.Request) -> web.Response:
    """One item of a conversation."""
    wanted = http.match_info["item"]
    found = next((it for it in await _items(http) if word(it, "id") == wanted), None)
    if found is None:
        raise missing(f"Item with id '{wanted[:100]}' not found.")
    return _json(found)


async def forget(http: web.Request) -> web.Response:
    """Take one item out of a conversation."""
    house, id = http.app[HOUSE], http.match_info["id"]
    await _found(http, house, id)
    wanted = http.match_info["item"]
    if not await house.transcripts.forget(KIND, _owner(http), id, wanted):
        raise missing(f"Item with id '{wanted[:100]}' not found.")
    return await _shown(http, house, id)


async def _items(http: web.Request) -> list[Json]:
    found = await Stored(http).items(http.match_info["id"])
    if found is None:
        raise _missing(http.match_info["id"])
    return found


async def _found(http: web.Request, house: House, id: str) -> TranscriptSummary:
    found = await house.transcripts.find(KIND, _owner(http), id)
    if found is None:
        raise _missing(id)
    return found


def _missing(id: str) -> BadRequest:
    return missing(f"Conversation with id '{id[:100]}' not found.")


async def _shown(http: web.Request, house: House, id: str) -> web.Response:
    found = await _found(http, house, id)
    created_s = int(found.created_at.timestamp())
    said: Json = {"id": id, "object": "conversation", "created_at": created_s}
    return _json({**said, "metadata": thing(found.about, "metadata")})


def _owner(http: web.Request) -> str:
    return http.get(PRINCIPAL) or ""


def _json(said: Json) -> web.Response:
    return web.Response(body=orjson.dumps(said), content_type=JSON_TYPE)
