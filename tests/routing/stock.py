"""Catalogs to decide with: short words for providers and what they offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rhetor.core.capability import Capability, Feature
from rhetor.core.content import Image, Inline, Part, Text
from rhetor.core.request import Chat, Embed, Message, Request, Role
from rhetor.routing.catalog import Catalog, Offer, ProviderFacts, Route, Target, build_catalog

CHAT = frozenset({Capability.CHAT})
CHAT_AND_EMBED = CHAT | {Capability.EMBEDDINGS}
PNG = Image(Inline("image/png", "AAAA"))


def provider(id: str, **said: Any) -> ProviderFacts:
    """A provider that is on and can chat, unless said otherwise."""
    usual: dict[str, Any] = {
        "name": id.title(),
        "available": True,
        "capabilities": CHAT,
        "features": frozenset(),
    }
    return ProviderFacts(id=id, **{**usual, **said})


def off(id: str, **said: Any) -> ProviderFacts:
    return provider(id, available=False, reason=f"no key for {id!r}", **said)


def offer(name: str, **said: Any) -> Offer:
    id, _, model = name.partition("/")
    return Offer(provider=id, model=model, **{"capabilities": CHAT, **said})


def route(name: str, *targets: str, **said: Any) -> Route:
    return Route(name=name, targets=tuple(map(target, targets)), **said)


def target(name: str) -> Target:
    id, _, model = name.partition("/")
    return Target(id, model)


def catalog(
    *parts: ProviderFacts | Offer | Route,
    aliases: Mapping[str, str] | None = None,
    standins: Mapping[Capability, Target] | None = None,
) -> Catalog:
    return build_catalog(
        [part for part in parts if isinstance(part, ProviderFacts)],
        [part for part in parts if isinstance(part, Offer)],
        [part for part in parts if isinstance(part, Route)],
        aliases or {},
        standins or {},
    )


def chat(model: str, *parts: Part, fallbacks: tuple[str, ...] = (), **said: Any) -> Request:
    messages = (Message(Role.USER, parts or (Text("hi"),)),)
    input = Chat(messages=messages, **said)
    return Request(id="", capability=Capability.CHAT, model=model, input=input, fallbacks=fallbacks)


def embed(model: str) -> Request:
    return Request(id="", capability=Capability.EMBEDDINGS, model=model, input=Embed(inputs=("hi",)))


def count(model: str) -> Request:
    request = chat(model)
    request.capability = Capability.COUNT_TOKENS
    return request


SEEING = frozenset({Feature.IMAGES})
