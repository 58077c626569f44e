"""Sessions of the chat platform: begun, listed, read, forgotten, summed up and taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import web

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.http.chat.asked import USUAL_TOKENS, Wanted, id_in, query_whole, read_session
from rhetor.http.chat.auth import preferred
from rhetor.http.chat.callers import Caller
from rhetor.http.chat.offers import model_of
from rhetor.http.chat.told import counted, messages, session
from rhetor.http.house import HOUSE, House
from rhetor.http.reply import UnderWay, read_body
from rhetor.routing.catalog import Catalog
from rhetor.sessions.asking import NewSession
from rhetor.sessions.chat.backend import NAME, Chat
from rhetor.sessions.chat.context import clear, summarize
from rhetor.sessions.export import export, file_name, kind_of
from rhetor.sessions.reading import log_of
from rhetor.sessions.states import State
from rhetor.store.base import LoggedEvent, SessionRow
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE

LISTED = 20
MOST_LISTED = 100
READ = 50
MOST_READ = 1_000
LOOKED_AT = 10  # events at the beginning of a log, for the first message
TEMPERATURE = 0.7  # the platform's usual one
LISTING = ("limit", "offset")
READING = ("limit",)
EXPORTING = ("format",)
OPEN = frozenset(state.value for state in State) - {State.TERMINATED.value}


async def create(http: web.Request, caller: Caller) -> web.Response:
    """Begin a chat (the chat platform)."""
    house = http.app[HOUSE]
    body = await read_body(http)
    wanted = read_session(fields.parse_object(body) if body else {})
    usual = await preferred(house, caller)
    temperature = usual.temperature if wanted.temperature is None else wanted.temperature
    row = await house.sessions.create(
        NewSession(
            owner=caller.owner,
            backend=NAME,
            model=_model(house.catalog, wanted, usual),
            system=usual.system if wanted.system is None else wanted.system or None,
            temperature=TEMPERATURE if temperature is None else temperature,
            max_tokens=wanted.max_tokens or usual.max_tokens or USUAL_TOKENS,
        )
    )
    return _json(session(house.catalog, row), status=201)


async def sessions(http: web.Request, caller: Caller) -> web.Response:
    """The chats of this caller; what was changed last comes first (the chat platform)."""
    house = http.app[HOUSE]
    limit = query_whole(http, "limit", LISTED, 1, MOST_LISTED)
    offset = query_whole(http, "offset", 0, 0, 999_999_999)
    found = await house.sessions.list(caller.owner, states=OPEN, backend=NAME, limit=limit, offset=offset)
    total = (await house.sessions.count(caller.owner, OPEN)).get(NAME, 0)
    listed: list[JsonValue] = [
        session(house.catalog, row, await _beginning(house, caller.owner, row)) for row in found
    ]
    return _json({"sessions": listed, "total": total})


async def history(http: web.Request, caller: Caller) -> web.Response:
    """The last messages that a chat remembers, in order (the chat platform)."""
    house = http.app[HOUSE]
    row, events = await chat_of(http, caller)
    most = query_whole(http, "limit", READ, 1, MOST_READ)
    told = (await asyncio.to_thread(messages, row.id, events))[-most:]
    one = session(house.catalog, row, events)
    return _json({"sessionId": row.id, "messages": told, "session": one})


async def forget(http: web.Request, caller: Caller) -> web.Response:
    """Have a chat forget what was said (the chat platform)."""
    house, id = http.app[HOUSE], id_in(http)
    await chat_row(house, caller.owner, id)
    await clear(house.sessions, caller.owner, id)
    result: JsonValue = {"success": True, "messagesDeleted": True}
    return _json({"message": "Context cleared successfully", "sessionId": id, "result": result})


async def sum_up(http: web.Request, caller: Caller) -> web.Response:
    """Have a model sum up what is older in a chat (the chat platform)."""
    house, id = http.app[HOUSE], id_in(http)
    await chat_row(house, caller.owner, id)
    with UnderWay(http):
        done = await summarize(house.sessions, caller.owner, id, house.clock)
    result: JsonValue = None
    message = "There is nothing old enough to be summarized"
    if done.messages:
        message = "Context summarized successfully"
        result = {
            "messagesSummarized": done.messages,
            "tokensSaved": done.tokens_before - done.tokens_after,
            "totalTokens": done.tokens_after,
        }
    return _json({"message": message, "sessionId": id, "result": result})


async def take_away(http: web.Request, caller: Caller) -> web.Response:
    """A chat as a file: json, txt or md (the chat platform)."""
    house = http.app[HOUSE]
    format = http.query.get("format", "json")
    kind = kind_of(format)
    row, events = await chat_of(http, caller)
    if format == "json":
        told = session(house.catalog, row, events)
        said = await asyncio.to_thread(messages, row.id, events)
        body = fields.dump(told | {"exportedAt": house.clock.utc().isoformat(), "messages": said})
    else:
        body = (await asyncio.to_thread(export, row, events, format))[0]
    headers = {
        "content-disposition": f'attachment; filename="chat-{file_name(row, format)}"',
        "x-content-type-options": "nosniff",
    }
    charset = None if kind == JSON_TYPE else "utf-8"
    return web.Response(body=body, content_type=kind, charset=charset, headers=headers)


async def stats(http: web.Request, caller: Caller) -> web.Response:
    """A chat in numbers, as far as it is remembered (the chat platform)."""
    house = http.app[HOUSE]
    row, events = await chat_of(http, caller)
    memory = _backend(house).memory
    count = await asyncio.to_thread(counted, events)
    at = count.summarized_at
    return _json(
        {
            "sessionId": row.id,
            "totalTokens": count.tokens,
            "messageCount": count.user + count.assistant,
            "userMessages": count.user,
            "assistantMessages": count.assistant,
            "maxTokens": memory.context_tokens,
            "summarizationThreshold": memory.summarize_tokens,
            "needsSummarization": bool(memory.summarize_tokens) and count.tokens > memory.summarize_tokens,
            "lastSummarizedAt": None if at is None else at.isoformat(),
            "usage": session(house.catalog, row)["usage"],
        }
    )


async def chat_row(house: House, owner: str, id: str) -> SessionRow:
    """
    Raises:
        BadRequest: not_found, there is no such chat of this owner's; what is no chat does not exist here.
    """
    row = await house.sessions.get(owner, id)
    if row.backend != NAME or row.state == State.TERMINATED:
        raise BadRequest("Session not found or inactive", Code.NOT_FOUND)
    return row


async def chat_of(http: web.Request, caller: Caller) -> tuple[SessionRow, Sequence[LoggedEvent]]:
    """The chat that the path names, with its log."""
    house, id = http.app[HOUSE], id_in(http)
    row = await chat_row(house, caller.owner, id)
    return row, await log_of(house.sessions, caller.owner, id)


async def _beginning(house: House, owner: str, row: SessionRow) -> Sequence[LoggedEvent]:
    """Where a chat without a title began: its first message is as good as one."""
    if row.document.get("title") or not row.turn:
        return ()
    return (await house.sessions.read(owner, row.id, 0, LOOKED_AT)).events


def _model(catalog: Catalog, wanted: Wanted, usual: Wanted) -> str:
    """The model that is asked for; else the preferred one, as long as it is there.

    Raises:
        RhetorError: what is asked for is not to be had.
    """
    if wanted.model is not None or wanted.provider not in (None, usual.provider):
        return model_of(catalog, wanted.provider, wanted.model)
    with suppress(RhetorError):
        return model_of(catalog, usual.provider, usual.model)
    return model_of(catalog, wanted.provider, None)


def _backend(house: House) -> Chat:
    chat = house.sessions.backends[NAME]
    assert isinstance(chat, Chat)
    return chat


def _json(told: dict[str, JsonValue], status: int = 200) -> web.Response:
    return web.Response(status=status, body=fields.dump(told), content_type=JSON_TYPE)
