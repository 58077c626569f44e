"""Messages of the chat platform: answered as a stream, or in one piece; and streams of whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import orjson
from aiohttp import web

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.http.chat.asked import Sent, id_in, query_whole, read_message
from rhetor.http.chat.callers import Caller, caller_of
from rhetor.http.chat.following import leave, news_of, turn_of
from rhetor.http.chat.limits import told_of
from rhetor.http.chat.offers import model_of, named
from rhetor.http.chat.sessions import chat_row
from rhetor.http.chat.told import Frame, Turn, error_frame, message, metadata
from rhetor.http.house import HOUSE, House
from rhetor.http.reply import read_body
from rhetor.http.sessions.stream import ensure_happened
from rhetor.http.stream import CallerLeft, EventStream
from rhetor.sessions.asking import Accepted
from rhetor.sessions.backend import Said
from rhetor.sessions.chat.context import change_model, transcript_of
from rhetor.store.base import SessionRow
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE, KEEPALIVE, STREAM_TYPE

HEARTBEAT_S = 30.0
HEARTBEAT = b'data: {"type":"heartbeat"}\n\n'
LAST_SEEN = "Last-Event-ID"
MOST_SEQ = 999_999_999


async def stream(http: web.Request, caller: Caller) -> web.StreamResponse:
    """Answer a message as server-sent events: token, then done or error (the chat platform)."""
    house = http.app[HOUSE]
    sent = read_message(fields.parse_object(await read_body(http)))
    accepted = await begun(house, caller.owner, sent)
    out = EventStream(http, lambda: _head(http), KEEPALIVE, house.keepalive_s, limited=True)
    try:
        out.send(KEEPALIVE)  # the caller learns at once that its message was taken
        still = partial(caller_of, http)
        async with aclosing(turn_of(house, caller.owner, accepted, Turn(), still)) as told:
            return await _told(out, told)
    except (asyncio.CancelledError, CallerLeft):
        leave(house, caller.owner, accepted)
        raise
    except Exception:
        out.abort()  # what was written must not look whole
        raise
    finally:
        out.close()


async def simple(http: web.Request, caller: Caller) -> web.Response:
    """Answer a message in one piece (the chat platform)."""
    house = http.app[HOUSE]
    sent = read_message(fields.parse_object(await read_body(http)))
    accepted = await begun(house, caller.owner, sent)
    turn = Turn()
    try:
        async with aclosing(turn_of(house, caller.owner, accepted, turn)) as told:
            async for _ in told:
                pass
    except asyncio.CancelledError:
        leave(house, caller.owner, accepted)
        raise
    if turn.error is not None:
        raise turn.error
    return web.Response(body=fields.dump(_whole(sent, turn)), content_type=JSON_TYPE)


async def follow(http: web.Request, caller: Caller) -> web.StreamResponse:
    """What happens in a session from now on, whoever says it, with a heartbeat (the chat platform)."""
    house, id = http.app[HOUSE], id_in(http)
    row = await chat_row(house, caller.owner, id)
    after = _last_seen(http, row)
    ensure_happened(row, after)
    if http.method == "HEAD":
        return web.Response(headers=_head(http))
    heartbeat_s = min(HEARTBEAT_S, house.keepalive_s)
    out = EventStream(http, lambda: _head(http), HEARTBEAT, heartbeat_s, limited=True)
    out.send(sse({"type": "connected", "sessionId": id, "message": "Stream connected"}))
    try:
        async with aclosing(news_of(house, caller.owner, id, after)) as told:
            async for news in told:
                await caller_of(http)  # first: its token ends, or was taken back
                if news and out.send(b"".join(sse(frame, event.seq) for event, frame in news)):
                    await out.catch_up()
        return await out.end()
    except RhetorError as error:
        out.send(sse(error_frame(error)))
        return await out.end()
    except CallerLeft:
        raise
    except Exception:
        out.abort()
        raise
    finally:
        out.close()


async def begun(house: House, owner: str, sent: Sent) -> Accepted:
    """The turn of a message has begun; the model is another one from now on, where the message says so.

    Raises:
        BadRequest: not_found; conflict, another turn is under way; model_not_found.
        RhetorError: whatever keeps a session from taking a message.
    """
    row = await chat_row(house, owner, sent.session_id)
    if sent.provider is not None:
        await _ask(house, owner, row, sent.provider)
    return await house.sessions.send(owner, row.id, Said(sent.text, sent.message_id), resume=True)


async def _ask(house: House, owner: str, row: SessionRow, provider: str) -> None:
    """Have this provider answer, if it is another one than now: with the same model where it has it."""
    catalog = house.catalog
    chosen = str(row.document.get("model") or "")
    if row.turn:  # else nothing can have changed it
        chosen = (await transcript_of(house.sessions, owner, row.id)).model or chosen
    current, model = named(catalog, chosen)
    if provider == current:
        return
    same = f"{provider}/{model}" in catalog.offers
    await change_model(house.sessions, owner, row.id, model_of(catalog, provider, model if same else None))


async def _told(out: EventStream, told: AsyncGenerator[list[Frame], None]) -> web.StreamResponse:
    try:
        async for frames in told:
            if out.send(b"".join(map(sse, frames))):
                await out.catch_up()
    except RhetorError as error:
        out.send(sse(error_frame(error)))
    return await out.end()


def sse(frame: Frame, id: int | None = None) -> bytes:
    """A frame as a server-sent event; with the number of its event, so that a reader can come back."""
    place = b"" if id is None else b"id: %d\n" % id
    return place + b"data: " + orjson.dumps(frame) + b"\n\n"


def _whole(sent: Sent, turn: Turn) -> Frame:
    assert turn.user is not None
    assert turn.ended_at is not None
    id = sent.session_id
    about = metadata(turn.about, turn.response_ms)
    if turn.reason == "interrupted":
        about["interrupted"] = True
    answer = message(id, turn.message_id or "", "assistant", "".join(turn.text), turn.ended_at, about)
    return {
        "success": True,
        "sessionId": id,
        "userMessage": message(id, sent.message_id, "user", turn.user.content, turn.user.at, {}),
        "assistantMessage": answer,
    }


def _last_seen(http: web.Request, row: SessionRow) -> int:
    """From where on: from now, or where the caller was cut off."""
    given = http.headers.get(LAST_SEEN)
    if given is None:
        return query_whole(http, "after", row.last_seq, 0, MOST_SEQ)
    if not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise BadRequest(f"{LAST_SEEN}: expected the number of an event", Code.INVALID_REQUEST)
    return int(given)


def _head(http: web.Request) -> dict[str, str]:
    return {
        "content-type": STREAM_TYPE,
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
        **told_of(http),
    }
