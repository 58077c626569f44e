"""The Tekton door over HTTP: chat, streamed chat, and who could answer."""

from __future__ import annotations

import orjson
from aiohttp import web

from rhetor.core.content import Json
from rhetor.core.errors import BadRequest, RhetorError
from rhetor.core.ids import new_id
from rhetor.http.admitted import for_accounts_too
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.listing import listing
from rhetor.http.options import backends_fields, providers_fields
from rhetor.http.recalled import recalled
from rhetor.http.reply import CallerHeaders, UnderWay, answer, read_body, refusal
from rhetor.wire import fields
from rhetor.wire.rhetor import chat_door
from rhetor.wire.tekton import TEKTON
from rhetor.wire.tekton.ask import COMPONENT_HEADER, read_chat
from rhetor.wire.tekton.providers import providers_body
from rhetor.wire.tekton.soft import SoftTekton, names_of

NAME = "tekton"
SOFT_HEADER = "x-rhetor-soft-errors"


async def chat(http: web.Request) -> web.StreamResponse:
    """Continue a conversation and answer in one piece (Tekton)."""
    return await _chat(http, stream=False)


async def chat_stream(http: web.Request) -> web.StreamResponse:
    """Continue a conversation as server-sent events that end with `[DONE]` (Tekton)."""
    return await _chat(http, stream=True)


async def _chat(http: web.Request, stream: bool) -> web.StreamResponse:
    """The answer; an error of whoever wants it so is a reply with status 200."""
    softly = _soft(http, {}, stream)
    try:
        with UnderWay(http) as house:
            body = await read_body(http)
            said = fields.parse_object(body)
            softly = _soft(http, said, stream)
            request = read_chat(said, body, CallerHeaders(http))
            request.stream = stream
            keep = await recalled(house, request, http.get(PRINCIPAL))
            response = await answer(http, house, softly or TEKTON, chat_door(said), request, NAME, keep)
    except RhetorError as error:
        if softly is None:
            raise
        response = refusal(softly, error, new_id("req"))
    if softly is not None and not response.prepared:
        response.content_type = softly.error_type
    return response


def _soft(http: web.Request, said: Json, stream: bool) -> SoftTekton | None:
    """The language of this request's errors where they are replies with status 200: the header decides,
    else the name of the component."""
    house = http.app[HOUSE]
    wanted = http.headers.get(SOFT_HEADER, "").lower()
    if wanted not in ("", "true", "false"):
        raise BadRequest(f"{SOFT_HEADER}: expected true or false", param=SOFT_HEADER)
    if not wanted and not house.soft_errors:
        return None
    names = names_of(said) | {http.headers.get(COMPONENT_HEADER, "")}
    if wanted == "true" or (not wanted and names & house.soft_errors):
        return SoftTekton(said, stream, int(house.clock.utc().timestamp()))
    return None


@for_accounts_too
async def providers(http: web.Request) -> web.Response:
    """Every provider and its models, with the defaults; one answer for three older dialects."""
    house = http.app[HOUSE]
    body = providers_body(listing(house.catalog)) | providers_fields(house)
    for name, more in backends_fields(house).items():
        known = body[name]
        assert isinstance(known, list)
        body[name] = [*known, *(each for each in more if each not in known)]
    return web.Response(body=orjson.dumps(body), content_type="application/json")
