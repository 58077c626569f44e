"""The doors for callers that cannot change: paths and shapes of the servers before this one."""

from __future__ import annotations

import orjson
from aiohttp import web

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.listing import listing
from rhetor.http.recalled import recalled
from rhetor.http.reply import CallerHeaders, UnderWay, answer, read_body, refusal
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE, STREAM_TYPE, Door, Wire
from rhetor.wire.rhetor import RHETOR, Soft
from rhetor.wire.tekton.ask import OURSELVES, short_name
from rhetor.wire.tekton.providers import Listing, providers_body

NAME = "rhetor"
NOT_CHANGED = 409


async def message(http: web.Request) -> web.StreamResponse:
    """Answer a message (the first Rhetor, the LLM adapter); what fails is told in a reply with status 200."""
    return await _softly(http)


async def stream(http: web.Request) -> web.StreamResponse:
    """Answer a message as server-sent events (the first Rhetor); what fails is told in them."""
    return await _softly(http, stream=True)


async def chat(http: web.Request) -> web.StreamResponse:
    """Continue a conversation (the first Rhetor); what fails is told in a reply with status 200."""
    return await _softly(http)


async def generate_whole(http: web.Request) -> web.StreamResponse:
    """Answer a prompt or continue a conversation, in one piece (the second Rhetor, LLMAdapterClient)."""
    return await _generate(http, stream=False)


async def generate_stream(http: web.Request) -> web.StreamResponse:
    """Continue a conversation as server-sent events that end with `[DONE]` (LLMAdapterClient)."""
    return await _generate(http, stream=True)


async def page_chat(http: web.Request) -> web.StreamResponse:
    """Answer a message or continue a conversation, for Athena's and Rhetor's pages."""
    return await _generate(http)


async def page_generate(http: web.Request) -> web.StreamResponse:
    """Answer a prompt, for Athena's pages."""
    return await _generate(http)


async def providers(http: web.Request) -> web.Response:
    """Every provider and its models, with the defaults (the first Rhetor, Terma)."""
    listed = _listing(http)
    current = {"current_provider": listed.default_provider, "current_model": listed.default_model}
    return _json(providers_body(listed) | current)


async def provider_models(http: web.Request) -> web.Response:
    """The models of one provider (Rhetor's pages)."""
    listed = _listing(http)
    wanted = http.match_info["provider"]
    known = providers_body(listed)["providers"]
    assert isinstance(known, dict)
    if wanted not in known:
        raise BadRequest(f"unknown provider {wanted[:100]!r}", Code.NOT_FOUND)
    return _json({"provider": wanted, "models": known[wanted]["models"]})


async def models(http: web.Request) -> web.Response:
    """The models on offer as an array, each by the name that a request takes (LLMAdapterClient)."""
    listed = _listing(http)
    every: list[JsonValue] = [
        {
            "id": model.id if provider.id in OURSELVES else f"{provider.id}/{model.id}",
            "name": model.name or model.id,
            "provider": provider.id,
            "context_length": model.context_tokens,
            "capabilities": list(model.capabilities),
        }
        for provider in listed.providers
        if provider.available
        for model in provider.models
    ]
    return web.Response(body=orjson.dumps(every), content_type=JSON_TYPE)


async def set_provider(http: web.Request) -> web.Response:
    """Whether callers who name nobody get this model; it changes nothing (the first Rhetor)."""
    return await _provider(http, status=200)


async def choose_provider(http: web.Request) -> web.Response:
    """The same for Terma's pages, which ask their own server when the status is not 200."""
    return await _provider(http, status=NOT_CHANGED)


async def _softly(http: web.Request, stream: bool | None = None) -> web.StreamResponse:
    soft = Soft(int(http.app[HOUSE].clock.utc().timestamp()))
    try:
        response = await _answered(http, soft, soft, stream)
    except RhetorError as error:
        if not soft.understood:
            raise
        response = refusal(soft, error, new_id("req"))
    if soft.streams and not response.prepared:
        response.content_type = STREAM_TYPE
    return response


async def _generate(http: web.Request, stream: bool | None = None) -> web.StreamResponse:
    return await _answered(http, RHETOR, RHETOR.doors[Capability.CHAT], stream)


async def _answered(http: web.Request, wire: Wire, door: Door, stream: bool | None) -> web.StreamResponse:
    with UnderWay(http) as house:
        request = door.parse(await read_body(http), CallerHeaders(http))
        if stream is not None:
            request.stream = stream
        keep = await recalled(house, request, http.get(PRINCIPAL))
        return await answer(http, house, wire, door, request, NAME, keep)


async def _provider(http: web.Request, status: int) -> web.Response:
    """The old servers changed everybody's default here. None of these callers says who it is, so that there
    is nobody to remember a choice for; who reads the answer is not told that one was made.

    Args:
        status: what tells the caller that its choice is not in force.
    """
    said = fields.parse_object(await read_body(http))
    provider, model = short_name(said, "provider_id"), short_name(said, "model_id")
    if provider is None or model is None:
        missing = "provider_id" if provider is None else "model_id"
        raise fields.missing(missing, "a string")
    listed = _listing(http)
    _refuse_unknown(listed, provider, model)
    if (provider, model) == (listed.default_provider, listed.default_model):
        return _json({"success": True, "provider": provider, "model": model})
    hint = "the default is the operator's: name provider and model in each request"
    return _json(
        {
            "success": False,
            "provider": listed.default_provider,
            "model": listed.default_model,
            "error": hint,
            "detail": hint,
        },
        status,
    )


def _refuse_unknown(listed: Listing, provider: str, model: str) -> None:
    found = next((it for it in listed.providers if it.id == provider), None)
    if found is None:
        raise BadRequest(f"unknown provider {provider!r}", param="provider_id")
    if not found.available:
        raise BadRequest(f"provider {provider!r} is not available: {found.reason}", param="provider_id")
    if model not in {it.id for it in found.models}:
        raise BadRequest(f"provider {provider!r} does not list the model {model!r}", param="model_id")


def _listing(http: web.Request) -> Listing:
    return listing(http.app[HOUSE].catalog)


def _json(value: Json, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type=JSON_TYPE)
