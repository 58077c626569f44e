"""Sessions for Jelmore's callers, in the shapes of all its versions: a façade before `/v1/sessions`.

`src/jelmore/api.py` at a25b6ae, the application before it, and its branch v1 (delorenj/jelmore on GitHub,
read 2026-11-21). What was broken there works here: events are JSON, errors have statuses, and a session takes
more than one message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.jelmore.bodies import of_vendor, read_creation, read_input, read_message, unprocessable
from rhetor.http.jelmore.limits import HEADERS
from rhetor.http.jelmore.providers import backend_named, default_backend
from rhetor.http.jelmore.shape import event, frame, legacy, status
from rhetor.http.jelmore.socket import NOT_FOUND, Conversing, Output, put_in, refuse_unknown
from rhetor.http.reply import read_body, refusal
from rhetor.http.sessions.bodies import (
    ID_CHARS,
    LISTED,
    MOST_LISTED,
    ensure_offered,
    id_of,
    key_of,
    query_states,
    query_whole,
    query_words,
)
from rhetor.http.sessions.socket import converse, wants_socket
from rhetor.http.sessions.stream import HEAD, NO_HEADERS, ensure_happened, follow, last_seen
from rhetor.sessions.backend import Said
from rhetor.sessions.event import EventType
from rhetor.sessions.manager import Sessions
from rhetor.sessions.states import State
from rhetor.store.base import SessionRow
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.jelmore import JELMORE

LISTING = ("provider", "status", "user_id", "limit", "offset")
STREAMING = ("after",)
READING = ("after", "limit")
ENDING = ("reason",)
HERE = frozenset(state.value for state in State if state is not State.TERMINATED)
"""What its lists show unless they are asked for others: what has ended was gone there."""
OPENED_S = 10.0  # for an agent to start; whoever began the session may as well look again
SEARCHED = 5_000  # of a caller's newest sessions, for those of one user


async def create(http: web.Request) -> web.Response:
    """Begin a session with a query, with the named provider or one that has what is asked for (Jelmore)."""
    sessions, owner = _of(http)
    said = await _body(http)
    with unprocessable():
        asked = read_creation(said, owner, key_of(http), default_backend(sessions))
    new, catalog = asked.new, http.app[HOUSE].catalog
    if new.backend is not None and new.backend not in sessions.backends:
        new = of_vendor(new, [facts.id for facts in catalog.providers.values() if facts.available])
        backend_named(sessions, new.backend or "")
    try:
        ensure_offered(catalog, new)
        with unprocessable():
            begun = await sessions.create(new)
        row = await _opened(sessions, begun)
    except RhetorError as error:
        error.origin = error.origin or new.backend
        raise
    told: dict[str, JsonValue] = {**status(row), "query": new.message.text if new.message else ""}
    if asked.dropped:
        told["dropped"] = [*asked.dropped]
    return _json(told, 201 if asked.later else 200)


async def sessions(http: web.Request) -> web.Response:
    """The caller's sessions that have not ended, by `?provider=`, `?status=` and `?user_id=` (Jelmore)."""
    rows, total = await _listed(http)
    return _json({"sessions": [status(row) for row in rows], "total_count": total})


async def legacy_sessions(http: web.Request) -> web.Response:
    """The same as an array, in the shape of the first version (Jelmore)."""
    rows, _ = await _listed(http)
    return web.Response(body=fields.dump([legacy(row) for row in rows]), content_type=JSON_TYPE)


async def session(http: web.Request) -> web.Response:
    """A session: how it is, where it works, what it waits for (Jelmore)."""
    return _json(status(await _found(http)))


async def terminate(http: web.Request) -> web.Response:
    """End a session (Jelmore)."""
    row, reason = await _found(http), query_words(http, "reason", ID_CHARS) or "user requested"
    sessions, owner = _of(http)
    if row.state != State.TERMINATED:
        await sessions.terminate(owner, row.id, reason)
    return _json({"success": True, "session_id": row.id, "message": "Session terminated", "reason": reason})


async def send(http: web.Request) -> web.Response:
    """Say something in a session; one that is suspended goes on first (Jelmore)."""
    row, said = await _found(http), await _body(http)
    with unprocessable():
        message = Said(read_message(said), new_id("msg"))
    sessions, owner = _of(http)
    try:
        taken = await sessions.send(owner, row.id, message, resume=True)
    except BadRequest as error:
        return await _refused(http, row, error)
    return _json({"success": True, "session_id": row.id, "message_id": message.message_id, "seq": taken.seq})


async def give_input(http: web.Request) -> web.Response:
    """Answer what the agent asks: yes or no; anything else is a no with a reason (Jelmore)."""
    row, said = await _found(http), await _body(http)
    with unprocessable():
        answer = read_input(said)
    try:
        if not await put_in(http, row, answer):
            message = f"Session is not waiting for input (current status: {row.state})"
            raise BadRequest(message, Code.CONFLICT)
    except BadRequest as error:
        return await _refused(http, row, error)
    return _json({"success": True, "session_id": row.id, "message": "Input sent"})


async def suspend(http: web.Request) -> web.Response:
    """Give back whatever a session holds; with the state by which it can be resumed (Jelmore)."""
    row = await _found(http)
    sessions, owner = _of(http)
    try:
        state = await sessions.suspend(owner, row.id)
    except BadRequest as error:
        return await _refused(http, row, error)
    return _json({"session_id": row.id, "state": state, "suspended_at": state["suspended_at"]})


async def resume(http: web.Request) -> web.Response:
    """Make a suspended session go on, from the state that suspending it gave (Jelmore)."""
    row, said = await _found(http), await _body(http)
    with unprocessable():
        state = fields.optional_mapping(said, "state")
    sessions, owner = _of(http)
    try:
        resumed = await sessions.resume(owner, row.id, state)
    except BadRequest as error:
        return await _refused(http, row, error)
    return _json({"success": True, "session_id": row.id, "status": resumed.state})


async def output(http: web.Request) -> web.Response:
    """What a session has said so far, as text and as events (Jelmore)."""
    row, after = await _found(http), query_whole(http, "after", 0)
    sessions, owner = _of(http)
    page = await sessions.read(owner, row.id, after, query_whole(http, "limit", MOST_LISTED, 1, MOST_LISTED))
    text = "".join(event.content for event in page.events if event.type == EventType.ASSISTANT)
    last = page.events[-1].seq if page.events else after
    told: dict[str, JsonValue] = {
        "session_id": row.id,
        "output": text,
        "output_length": len(text),
        "status": row.state,
        "events": [event(row.id, each) for each in page.events],
        "last_seq": last,
        "has_more": last < row.last_seq,
    }
    return _json(told)


async def stream(http: web.Request) -> web.StreamResponse:
    """What happens in a session, from its beginning or after `?after=`: as SSE or WebSocket (Jelmore).

    It goes on while the session is idle, and ends with the session.
    """
    if wants_socket(http):
        return await _conversed(http, Output)
    row, after = await _found(http), last_seen(http)
    ensure_happened(row, after)
    if row.state == State.TERMINATED and after and after >= row.last_seq:
        return web.Response(status=204)  # which tells a browser not to come back
    if http.method == "HEAD":
        return web.Response(headers=HEAD)
    return await follow(http, row.id, after, frame, headers=http.get(HEADERS, NO_HEADERS))


async def socket(http: web.Request) -> web.StreamResponse:
    """Hear and speak in a session over WebSocket: input, ping and get_status (Jelmore)."""
    if not wants_socket(http):
        raise BadRequest("this path takes WebSocket connections: send an upgrade")
    return await _conversed(http, Conversing)


async def _conversed(
    http: web.Request, dialect: Callable[[web.Request, str], Output | Conversing]
) -> web.StreamResponse:
    row, after = await _found_or_none(http), last_seen(http)
    if row is None:
        return await refuse_unknown(http)
    ensure_happened(row, after)
    return await converse(http, row, after, dialect(http, row.id))


async def _opened(sessions: Sessions, row: SessionRow) -> SessionRow:
    """A session whose agent has been started, or could not be: its callers never saw one before that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(OPENED_S):
            while row.state == State.INITIALIZING:
                await sessions.wait(row.owner, row.id, row.last_seq, 1, OPENED_S)
                row = await sessions.get(row.owner, row.id)
    return row


async def _listed(http: web.Request) -> tuple[list[SessionRow], int]:
    """The page that is asked for, and how many there are in all."""
    sessions, owner = _of(http)
    states = query_states(http, "status") or HERE
    provider, user_id = query_words(http, "provider", ID_CHARS), query_words(http, "user_id", ID_CHARS)
    backend = backend_named(sessions, provider) if provider else None
    limit, offset = query_whole(http, "limit", LISTED, 1, MOST_LISTED), query_whole(http, "offset", 0)
    if user_id is None:
        rows = await sessions.list(owner, states=states, backend=backend, limit=limit, offset=offset)
        by_backend = await sessions.count(owner, states)
        return [*rows], by_backend.get(backend, 0) if backend is not None else sum(by_backend.values())
    found: list[SessionRow] = []
    for begin in range(0, SEARCHED, MOST_LISTED):
        rows = await sessions.list(owner, states=states, backend=backend, limit=MOST_LISTED, offset=begin)
        found += [row for row in rows if _user_of(row) == user_id]
        if len(rows) < MOST_LISTED:
            break
    return found[offset : offset + limit], len(found)


def _user_of(row: SessionRow) -> JsonValue:
    noted = row.document.get("metadata")
    return noted.get("user_id") if isinstance(noted, dict) else None


async def _found(http: web.Request) -> SessionRow:
    """
    Raises:
        BadRequest: not_found, in its words.
    """
    row = await _found_or_none(http)
    if row is None:
        raise BadRequest(NOT_FOUND, Code.NOT_FOUND)
    return row


async def _found_or_none(http: web.Request) -> SessionRow | None:
    sessions, owner = _of(http)
    try:
        return await sessions.get(owner, id_of(http))
    except BadRequest as error:
        if error.code is Code.NOT_FOUND:
            return None
        raise


async def _refused(http: web.Request, row: SessionRow, error: BadRequest) -> web.Response:
    """Why it cannot be done, with the session's provider and state, for programs as well."""
    error.origin = error.origin or row.backend
    if error.code is not Code.CONFLICT:
        raise error
    sessions, owner = _of(http)
    row = await sessions.get(owner, row.id)
    response = refusal(JELMORE, error, new_id("req"))
    assert isinstance(response.body, bytes)
    response.body = fields.dump({**fields.parse_object(response.body), "status": row.state})
    return response


def _of(http: web.Request) -> tuple[Sessions, str]:
    return http.app[HOUSE].sessions, http.get(PRINCIPAL) or ""


async def _body(http: web.Request) -> dict[str, JsonValue]:
    body = await read_body(http)
    with unprocessable():
        return fields.parse_object(body) if body else {}


def _json(said: Json, status: int = 200) -> web.Response:
    return web.Response(status=status, body=fields.dump(said), content_type=JSON_TYPE)
