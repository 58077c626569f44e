"""A session as a file and in numbers; and what a chat remembers of what was said."""

from __future__ import annotations

import asyncio

from aiohttp import web

from rhetor.core.content import Json
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.reply import UnderWay
from rhetor.http.sessions.bodies import ID_CHARS, id_of, query_words
from rhetor.http.sessions.calls import telling_state
from rhetor.sessions import export as exporting
from rhetor.sessions.chat import context
from rhetor.sessions.manager import Sessions
from rhetor.sessions.reading import log_of
from rhetor.sessions.shape import describe
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE

EXPORTING = ("format",)
USUAL = "json"


async def export(http: web.Request) -> web.Response:
    """A session with all its events as a file: `?format=` json, txt or md."""
    sessions, owner, id = _of(http)
    format = query_words(http, "format", ID_CHARS) or USUAL
    exporting.kind_of(format)
    row = await sessions.get(owner, id)
    events = await log_of(sessions, owner, id)
    body, kind, name = await asyncio.to_thread(exporting.export, row, events, format)
    headers = {"content-disposition": f'attachment; filename="{name}"', "x-content-type-options": "nosniff"}
    return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)


async def stats(http: web.Request) -> web.Response:
    """A session in numbers: messages, turns, events, tools, use, time."""
    sessions, owner, id = _of(http)
    row = await sessions.get(owner, id)
    return _json(await asyncio.to_thread(exporting.stats, row, await log_of(sessions, owner, id)))


@telling_state
async def summarize(http: web.Request) -> web.Response:
    """Have a model sum up what is older in a chat; the log keeps every word."""
    with UnderWay(http) as house:
        sessions, owner, id = _of(http)
        summed_up = await context.summarize(sessions, owner, id, house.clock)
    told = {
        "summarized": summed_up.messages,
        "tokens_before": summed_up.tokens_before,
        "tokens_after": summed_up.tokens_after,
    }
    return _json({**describe(summed_up.row), **told})


@telling_state
async def clear_context(http: web.Request) -> web.Response:
    """Have a chat forget what was said so far; the log keeps it."""
    sessions, owner, id = _of(http)
    return _json(describe(await context.clear(sessions, owner, id)))


def _of(http: web.Request) -> tuple[Sessions, str, str]:
    return http.app[HOUSE].sessions, http.get(PRINCIPAL) or "", id_of(http)


def _json(said: Json) -> web.Response:
    return web.Response(body=fields.dump(said), content_type=JSON_TYPE)
