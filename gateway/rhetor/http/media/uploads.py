"""Bodies that may be large: they are read without keeping others waiting."""

from __future__ import annotations

import asyncio

from aiohttp import web

from rhetor.core.request import Request
from rhetor.http.reply import CallerHeaders, read_body
from rhetor.wire.base import Door

IN_THE_LOOP_BYTES = 256 << 10  # a form of this size is read in a millisecond


async def parsed(http: web.Request, door: Door) -> Request:
    """What is asked; a large body is looked at in a thread.

    Raises:
        BadRequest: says what is wrong with it; request_too_large.
    """
    body, headers = await read_body(http), CallerHeaders(http)
    if len(body) <= IN_THE_LOOP_BYTES:
        return door.parse(body, headers)
    return await asyncio.to_thread(door.parse, body, headers)
