"""Catalogs to decide with: short words for providers and what they offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rhetor.core.capability import Capability, Feature
from rhetor.core.content import Image, Inline, Part, Text
from rhetor.core.errors import Code
from rhetor.core.request import Chat, Embed, Message, Request, Role
from rhetor.routing import plan as planning
from rhetor.routing.catalog import Candidate, Catalog, Offer, ProviderFacts, Route, Target, build_catalog
from rhetor.routing.decision import Plan
from rhetor.routing.health import Health
from rhetor.testing.clock import FakeClock

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
    rules: Mapping[str, str] | None = None,
) -> Catalog:
    return build_catalog(
        [part for part in parts if isinstance(part, ProviderFacts)],
        [part for part in parts if isinstance(part, Offer)],
        [part for part in parts if isinstance(part, Route)],
        aliases or {},
        standins or {},
        rules=rules or {},
    )


def plan(request: Request, stock: Catalog, health: Health | None = None, now_s: float = 0.0) -> Plan:
    """The plan for a request, where nothing is known of anybody unless said otherwise."""
    return planning.plan(request, stock, health or Health(FakeClock()), now_s)


def candidate(name: str, key: int = 0, domain: str = "", context_tokens: int | None = None) -> Candidate:
    id, _, model = name.partition("/")
    return Candidate(Target(id, model, key), "a test's", domain or name, context_tokens)


def attempt(health: Health, asked: Candidate, code: Code | None, now_s: float = 0.0, **said: Any) -> None:
    """One attempt, from its beginning to its end; each has a target object of its own, as in plans."""
    target = Target(asked.target.provider, asked.target.model, asked.target.key)
    health.began(target)
    if code is None:
        health.spoke(target, said.pop("first_event_s", 0.1))
    health.ended(Candidate(target, asked.reason, asked.domain), code, now_s, **said)


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
