"""The Ollama door: chats, prompts and embeddings, and the models as an Ollama server lists its own."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol

import orjson
from aiohttp import web

from rhetor.core.capability import Capability, Feature
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Chat, Embed, Request
from rhetor.http.house import HOUSE
from rhetor.http.offered import Listed, find, offered
from rhetor.http.reply import generate as answer
from rhetor.http.reply import read_body
from rhetor.routing.catalog import Catalog
from rhetor.wire import fields
from rhetor.wire.base import Door
from rhetor.wire.ollama import OLLAMA
from rhetor.wire.ollama.doors import CHAT_DOOR, EMBED_DOOR, EMBEDDING_DOOR, PROMPT_DOOR

NAME = "ollama"
VERSION = "0.14.2"
"""Whose API this is: an Ollama that has, as we do, OpenAI's and Anthropic's endpoints beside its own.

Clients refuse servers that are older than they like, VS Code's Copilot those before 0.6.4 (as others quote
its source, read 2026-11-21).
"""
LATEST = ":latest"
MODIFIED_AT = "1970-01-01T00:00:00Z"  # nobody knows; clients demand a date
ARCHITECTURE = "rhetor"
"""Whatever stands here, clients look for the context's length under this name."""
NOT_KEPT = (
    ("POST", "/api/push"),
    ("POST", "/api/create"),
    ("POST", "/api/copy"),
    ("DELETE", "/api/delete"),
)
"""What an Ollama server does with the files of models."""
CAPABILITIES: Mapping[Capability | Feature, str] = {
    Capability.CHAT: "completion",
    Capability.EMBEDDINGS: "embedding",
    Feature.TOOLS: "tools",
    Feature.IMAGES: "vision",
    Feature.AUDIO: "audio",
    Feature.THINKING: "thinking",
}
"""What models can do, in Ollama's words: https://docs.ollama.com/api-reference/show-model-details
(as others quote it, read 2026-11-21)."""


async def chat(http: web.Request) -> web.StreamResponse:
    """Continue a conversation, as lines of JSON or with `"stream": false` in one piece (Ollama)."""
    return await _answer(http, CHAT_DOOR)


async def generate(http: web.Request) -> web.StreamResponse:
    """Answer a prompt, as lines of JSON or with `"stream": false` in one piece (Ollama)."""
    return await _answer(http, PROMPT_DOOR)


async def embed(http: web.Request) -> web.StreamResponse:
    """Turn texts into vectors (Ollama)."""
    return await _answer(http, EMBED_DOOR)


async def embeddings(http: web.Request) -> web.StreamResponse:
    """Turn one text into a vector, as older clients ask for it (Ollama)."""
    return await _answer(http, EMBEDDING_DOOR)


async def tags(http: web.Request) -> web.Response:
    """List the models on offer, as an Ollama server lists those it has."""
    return _json({"models": [_tag(it) for it in offered(http.app[HOUSE].catalog)]})


async def show(http: web.Request) -> web.Response:
    """What is known of one model (Ollama)."""
    said = fields.parse_object(await read_body(http))
    name = fields.optional_text(said, "model") or fields.text(said, "name")  # the older word
    catalog = http.app[HOUSE].catalog
    found = find(catalog, known_as(catalog, name))
    if found is None:
        raise BadRequest(f"model {name!r} not found; GET /api/tags lists them", Code.MODEL_NOT_FOUND)
    return _json(_shown(found))


async def ps(http: web.Request) -> web.Response:
    """The models in memory (Ollama): none, since they run at their providers."""
    return _json({"models": []})


async def version(http: web.Request) -> web.Response:
    """Which Ollama's API this is."""
    return _json({"version": VERSION})


async def not_kept(http: web.Request) -> web.Response:
    """Refused: no model is kept here that could be pushed, created, copied or deleted (Ollama)."""
    message = (
        "the models here are those of the gateway's providers, and not kept by it; GET /api/tags lists them"
    )
    raise BadRequest(message, Code.UNSUPPORTED)


def known_as(catalog: Catalog, name: str) -> str:
    """The name here of a model that a client of Ollama calls so.

    To Ollama a name without a tag is the one with `:latest`, and its clients add or remove it as they like.
    """
    if _knows(catalog, name):
        return name
    if name.endswith(LATEST):
        return name.removesuffix(LATEST)
    return name + LATEST if _knows(catalog, name + LATEST) else name


def _knows(catalog: Catalog, name: str) -> bool:
    return any(name in names for names in (catalog.routes, catalog.aliases, catalog.offers, catalog.by_model))


class _OllamaDoor(Door, Protocol):
    def idle(self, request: Request, now_s: int) -> bytes: ...


class _Idle(Exception):
    """The request is about nothing: its caller only wants the model in memory, or is trying us out."""

    def __init__(self, request: Request) -> None:
        self.request = request


class _DoorHere:
    """A door that knows which names there are, and what needs no trip."""

    def __init__(self, door: Door, catalog: Catalog) -> None:
        self._door = door
        self._catalog = catalog
        self.keepalive = door.keepalive
        self.renderer = door.renderer

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        request = self._door.parse(body, headers)
        request.model = known_as(self._catalog, request.model)
        asked = request.input
        assert isinstance(asked, Chat | Embed)
        if not (asked.messages if isinstance(asked, Chat) else asked.inputs):
            self._catalog.resolve(
                request.model, request.capability
            )  # who nobody knows is not in memory either
            raise _Idle(request)
        return request


async def _answer(http: web.Request, door: _OllamaDoor) -> web.StreamResponse:
    house = http.app[HOUSE]
    try:
        return await answer(http, OLLAMA, _DoorHere(door, house.catalog), NAME)
    except _Idle as idle:
        body = door.idle(idle.request, int(house.clock.utc().timestamp()))
        return web.Response(body=body, content_type="application/json")


def _tag(listed: Listed) -> Json:
    return {
        "name": listed.id,
        "model": listed.id,
        "modified_at": MODIFIED_AT,
        "size": 0,
        "digest": sha256(listed.id.encode()).hexdigest(),  # Ollama's own command cuts it, and fails at none
        "details": _details(listed),
    }


def _shown(listed: Listed) -> Json:
    info: dict[str, JsonValue] = {"general.architecture": ARCHITECTURE, "general.basename": listed.id}
    offer = listed.offer
    if offer is not None and offer.context_tokens is not None:
        info[f"{ARCHITECTURE}.context_length"] = offer.context_tokens
    able = {*offer.capabilities, *(offer.features or ())} if offer is not None else {Capability.CHAT}
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _details(listed),
        "model_info": info,
        "capabilities": [word for what, word in CAPABILITIES.items() if what in able],
        "modified_at": MODIFIED_AT,
    }


def _details(listed: Listed) -> Json:
    return {
        "parent_model": "",
        "format": "",
        "family": listed.owner,
        "families": [listed.owner],
        "parameter_size": "",
        "quantization_level": "",
    }


def _json(value: Json) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
