"""Pulling a model, as clients of Ollama ask for it: the Ollama server that is a provider here does it.

https://docs.ollama.com/api/pull (read 2026-11-21): lines of JSON with a status, and how many bytes of how
many there are; an error is a line as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
from aiohttp import web

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.http.house import House
from rhetor.http.reply import UnderWay, read_body
from rhetor.http.stream import EventStream
from rhetor.providers.provider import Provider
from rhetor.transport.base import Progress, Response
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.ollama.render import LINES_TYPE

PATH = "/api/pull"
SILENT_S = 300.0  # a large layer is checked for minutes, in which nothing is said
ERROR_BYTES = 64 * 1024


async def pull(http: web.Request) -> web.StreamResponse:
    """Have an Ollama server fetch a model, and hear how far it is; `provider/model` says which (Ollama)."""
    said = fields.parse_object(await read_body(http))
    name = fields.optional_text(said, "model") or fields.text(said, "name")  # the older word
    streams = fields.optional_flag(said, "stream") is not False
    with UnderWay(http) as house:
        provider, model = _server(house, name)
        response = await _asked(provider, {**said, "model": model, "name": model})
        try:
            if not 200 <= response.status < 300:
                body = await response.read(ERROR_BYTES)
                raise provider.refusal(response.status, response.headers, body)
            if not streams:
                pieces = [piece async for piece in _pieces(response)]
                return web.Response(body=b"".join(pieces), content_type=JSON_TYPE)
            return await _relayed(http, response)
        finally:
            response.close()


async def _relayed(http: web.Request, response: Response) -> web.StreamResponse:
    """What the server says, as it says it; a line tells also what goes wrong on the way."""
    out = EventStream(http, lambda: {"content-type": LINES_TYPE}, b"", SILENT_S)
    try:
        rest = b""
        async for piece in _pieces(response):
            lines, end, rest = (rest + piece).rpartition(b"\n")
            if end and out.send(lines + end):
                await out.catch_up()
        if rest:
            out.send(rest)
    except UpstreamError as error:
        out.send(OLLAMA.render_error(error, "") + b"\n")
    finally:
        out.close()
    return await out.end()


def _server(house: House, name: str) -> tuple[Provider, str]:
    """The Ollama server that is meant, and the model as it knows it.

    Raises:
        BadRequest: unsupported, there is none.
    """
    snapshot = house.pipeline.registry.snapshot
    servers = {
        id: provider
        for id, provider in snapshot.providers.items()
        if provider.row.wire == OLLAMA.name and snapshot.catalog.providers[id].available
    }
    id, slash, model = name.partition("/")
    if slash and id in servers:
        return servers[id], model
    if not servers:
        message = "no Ollama server is a provider here; GET /api/tags lists the models of all others"
        raise BadRequest(message, Code.UNSUPPORTED)
    return next(iter(servers.values())), name


async def _asked(provider: Provider, said: Json) -> Response:
    listing = provider.models_call()
    if listing is None:
        raise BadRequest(f"{provider.row.name} lists no models, and pulls none", Code.UNSUPPORTED)
    url = provider.row.base_url.rstrip("/") + PATH
    headers = {**listing.headers, "content-type": JSON_TYPE}
    call = replace(listing, method="POST", url=url, headers=headers, body=orjson.dumps(said))
    return await provider.transport.open(call, Progress())


async def _pieces(response: Response) -> AsyncIterator[bytes]:
    """
    Raises:
        UpstreamError: the connection broke, or nothing came for too long.
    """
    pieces = response.chunks()
    while True:
        try:
            async with asyncio.timeout(SILENT_S):
                piece = await anext(pieces, b"")
        except TimeoutError as error:
            raise UpstreamError(f"nothing was said for {SILENT_S:g} s", Code.IDLE_TIMEOUT) from error
        if not piece:
            return
        yield piece
