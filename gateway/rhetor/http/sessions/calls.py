"""Sessions: conversations with agents and models that last, begun, led, watched and ended here."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing
from functools import wraps

from aiohttp import web

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.reply import read_body
from rhetor.http.served import Handler
from rhetor.http.sessions.bodies import (
    ID_CHARS,
    LISTED,
    MOST_LISTED,
    Sending,
    ensure_offered,
    id_of,
    key_of,
    query_flag,
    query_number,
    query_states,
    query_whole,
    query_words,
    read_new,
    read_requirements,
    read_resuming,
    read_sending,
    read_verdict,
)
from rhetor.http.sessions.socket import Ours, converse, wants_socket
from rhetor.http.sessions.stream import HEAD, ends_turn, ensure_happened, follow, last_seen, news
from rhetor.sessions.asking import Accepted
from rhetor.sessions.event import EventType
from rhetor.sessions.manager import Sessions
from rhetor.sessions.shape import describe, describe_event
from rhetor.sessions.states import State
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE, STREAM_TYPE
from rhetor.wire.tekton.reply import whole_error

LISTING = ("state", "backend", "limit", "offset")
READING = ("after", "limit", "follow")
ENDING = ("reason", "forget")
CLEANING = ("max_age_s",)
EXPORTING = ("format",)
OF_BACKENDS = frozenset({Code.MODEL_NOT_FOUND, Code.POOL_FULL, Code.UNAVAILABLE, Code.UNSUPPORTED})
"""Errors that name the backend which the caller wanted."""
OLD_S = 3600.0
MOST_AGE_S = 100 * 365 * 86_400.0
WAITED_BYTES = 8 << 20  # of the events of a turn in one reply; the rest is in the log


def telling_state(handler: Handler) -> Handler:
    """A handler whose conflicts name the state of the session, for programs as well."""

    @wraps(handler)
    async def handle(http: web.Request) -> web.StreamResponse:
        try:
            return await handler(http)
        except BadRequest as error:
            if error.code is not Code.CONFLICT:
                raise
            sessions, owner = _of(http)
            row = await sessions.get(owner, id_of(http))
            request_id = new_id("req")
            said = {**whole_error(error, request_id), "state": row.state}
            return _json(said, error.status, {"x-request-id": request_id})

    return handle


async def create(http: web.Request) -> web.Response:
    """Begin a session, with its first message or without; `Idempotency-Key` makes it one, sent twice."""
    sessions, owner = _of(http)
    new = read_new(await _body(http), owner, key_of(http))
    try:
        ensure_offered(http.app[HOUSE].catalog, new)
        return _json(describe(await sessions.create(new)), 201)
    except RhetorError as error:
        if error.code in OF_BACKENDS:
            error.origin = error.origin or new.backend
        raise


async def sessions(http: web.Request) -> web.Response:
    """The caller's sessions, by `?state=` and `?backend=`; what was changed last comes first."""
    sessions, owner = _of(http)
    states, backend = query_states(http, "state"), query_words(http, "backend", ID_CHARS)
    limit, offset = query_whole(http, "limit", LISTED, 1, MOST_LISTED), query_whole(http, "offset", 0)
    rows = await sessions.list(owner, states=states, backend=backend, limit=limit, offset=offset)
    by_backend = await sessions.count(owner, states)
    total = by_backend.get(backend, 0) if backend is not None else sum(by_backend.values())
    return _json({**_list(map(describe, rows)), "total": total, "has_more": offset + len(rows) < total})


async def session(http: web.Request) -> web.Response:
    """A session: its state, what it was begun with, what it waits for, what it has used."""
    sessions, owner = _of(http)
    return _json(describe(await sessions.get(owner, id_of(http))))


@telling_state
async def terminate(http: web.Request) -> web.Response:
    """End a session; it can still be read. With `?forget=true` nothing of it is left."""
    sessions, owner = _of(http)
    id, reason = id_of(http), query_words(http, "reason", ID_CHARS)
    if query_flag(http, "forget"):
        await sessions.forget(owner, id)
        return _json({"id": id, "object": "session.deleted", "deleted": True})
    row = await sessions.get(owner, id)
    if row.state != State.TERMINATED:
        row = await sessions.terminate(owner, id, reason or "terminated")
    return _json(describe(row))


@telling_state
async def send(http: web.Request) -> web.StreamResponse:
    """Say something in a session, which begins a turn; its events can be streamed, or its end waited for.

    The turn is the session's, not the request's: it goes on when the caller leaves.
    """
    sessions, owner = _of(http)
    id, asked = id_of(http), read_sending(await _body(http))
    taken = await sessions.send(owner, id, asked.said, resume=asked.resume, environment=asked.environment)
    if _wants_stream(http, asked):
        return await follow(http, id, taken.seq - 1, until=ends_turn)
    said: Json = {
        "session": describe(taken.row),
        "message_id": asked.said.message_id,
        "seq": taken.seq,
    }
    if not asked.wait:
        return _json({**said, "again": taken.again}, 202)
    outcome = await _outcome(http, id, taken)
    return _json({**said, "session": describe(await sessions.get(owner, id)), **outcome})


@telling_state
async def approve(http: web.Request) -> web.Response:
    """Answer what the agent asks: allow or deny."""
    sessions, owner = _of(http)
    verdict = read_verdict(await _body(http))
    request_id = http.match_info["request_id"]
    return _json(describe(await sessions.answer(owner, id_of(http), request_id, verdict)))


@telling_state
async def interrupt(http: web.Request) -> web.Response:
    """Ask for the end of the turn, which comes soon after: the log tells."""
    sessions, owner = _of(http)
    return _json(describe(await sessions.interrupt(owner, id_of(http))), 202)


@telling_state
async def suspend(http: web.Request) -> web.Response:
    """Give back whatever the session holds; the reply is the state by which it can be resumed."""
    sessions, owner = _of(http)
    return _json(await sessions.suspend(owner, id_of(http)))


@telling_state
async def resume(http: web.Request) -> web.Response:
    """Make a session that is suspended, or has failed, take messages again."""
    sessions, owner = _of(http)
    asked = read_resuming(await _body(http))
    row = await sessions.get(
        owner, id_of(http)
    )  # first: nobody sets the environment of somebody else's agent
    return _json(describe(await sessions.resume(owner, row.id, asked.state, asked.environment)))


async def events(http: web.Request) -> web.StreamResponse:
    """The log of a session after `?after=` or `Last-Event-ID`: a list, server-sent events, or a WebSocket.

    Server-sent events for callers who accept them, or with `?follow=true`; status 204 when the session has
    ended and nothing more can come. With an upgrade to WebSocket commands go the other way.
    """
    sessions, owner = _of(http)
    id, after = id_of(http), last_seen(http)
    row = await sessions.get(owner, id)
    ensure_happened(row, after)
    if wants_socket(http):
        return await converse(http, row, after, Ours(http, id))
    if not _follows(http):
        limit = query_whole(http, "limit", LISTED, 1, MOST_LISTED)
        page = await sessions.read(owner, id, after, limit)
        row = await sessions.get(owner, id)  # as it is now: nothing that is told is newer
        told = [describe_event(id, event) for event in page.events]
        said = {**_list(told), "last_seq": row.last_seq, "state": row.state, "ended": page.ended}
        return _json(said)
    if row.state == State.TERMINATED and after >= row.last_seq:
        return web.Response(status=204)  # which tells a browser not to come back
    if http.method == "HEAD":
        return web.Response(headers=HEAD)
    return await follow(http, id, after)


async def cleanup(http: web.Request) -> web.Response:
    """Forget the caller's sessions that nobody touched for `?max_age_s=`, and that are in no turn."""
    sessions, owner = _of(http)
    gone = await sessions.cleanup(owner, query_number(http, "max_age_s", OLD_S, MOST_AGE_S))
    return _json({"total": sum(gone.values()), "by_backend": dict(gone)})


async def backends(http: web.Request) -> web.Response:
    """With whom sessions can be held: what each can do, with which models, and how it is."""
    sessions, _ = _of(http)
    told: list[JsonValue] = []
    for prospect in await sessions.prospects():
        backend, condition = prospect.backend, prospect.condition
        told.append(
            {
                "name": backend.name,
                "abilities": [*sorted(backend.abilities)],
                "models": list(backend.models),
                "default_model": backend.default_model,
                "max_sessions": backend.max_sessions,
                "live": prospect.live,
                "healthy": condition.healthy,
                "version": condition.version,
                "binary": condition.binary,
                "error": condition.error,
            }
        )
    return _json(_list(told))


async def choose(http: web.Request) -> web.Response:
    """Which backend and model a session with these requirements would get, and why not the others."""
    sessions, owner = _of(http)
    return _json(await sessions.choose(owner, read_requirements(await _body(http))))


async def _outcome(http: web.Request, id: str, taken: Accepted) -> Json:
    """What came of a turn, once it has ended."""
    text: list[str] = []
    told: list[JsonValue] = []
    size, reason = 0, None
    async with aclosing(news(http, id, taken.seq - 1, ends_turn)) as batches:
        async for events in batches:
            for event in events:
                if event.type == EventType.ASSISTANT:
                    text.append(event.content)
                if ends_turn(event):
                    reason = event.data.get("reason")
                described = describe_event(id, event)
                size += len(fields.dump(described))
                if size <= WAITED_BYTES:
                    told.append(described)
    return {"text": "".join(text), "reason": reason, "events": told, "complete": size <= WAITED_BYTES}


def _wants_stream(http: web.Request, asked: Sending) -> bool:
    if asked.stream is not None or asked.wait:
        return bool(asked.stream)
    return STREAM_TYPE in http.headers.get("Accept", "")


def _follows(http: web.Request) -> bool:
    follow = query_flag(http, "follow")
    return STREAM_TYPE in http.headers.get("Accept", "") if follow is None else follow


def _of(http: web.Request) -> tuple[Sessions, str]:
    return http.app[HOUSE].sessions, http.get(PRINCIPAL) or ""


async def _body(http: web.Request) -> dict[str, JsonValue]:
    """What the body says, which may be empty."""
    body = await read_body(http)
    return fields.parse_object(body) if body else {}


def _list(entries: Iterable[JsonValue]) -> dict[str, JsonValue]:
    return {"object": "list", "data": list(entries)}


def _json(said: Json, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=fields.dump(said), content_type=JSON_TYPE, headers=headers)
