"""Which names callers may use, and who stands behind each: an immutable snapshot.

A name is one of
- a route's or alias' name,
- `provider/model`, also for models nobody listed, unless the provider's models are closed,
- `provider/`, the provider's default model,
- a bare model id that exactly one provider offers,
- nothing, or `auto`: the default route, or the first provider that can answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from difflib import get_close_matches
from types import MappingProxyType

from rhetor.core.call import USUAL, Deadlines
from rhetor.core.capability import Capability, Feature
from rhetor.core.errors import BadRequest, Code
from rhetor.core.usage import Price
from rhetor.core.value import value

DEFAULT_NAMES = ("", "auto", "default")
SUGGESTIONS = 3
LONGEST_NAME = 200  # longer ones are not compared with every model, nor repeated whole in errors


@value
class Target:
    """Who may be asked: a provider and one of its models."""

    provider: str
    model: str

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.model}"


@value(kw_only=True)
class Offer:
    """One model of one provider, with what is known of it. None: nobody knows."""

    provider: str
    model: str
    name: str = ""
    capabilities: frozenset[Capability]
    features: frozenset[Feature] | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    price: Price | None = None

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.model}"


@value(kw_only=True)
class ProviderFacts:
    """What routing must know of a provider."""

    id: str
    name: str
    available: bool
    """Has its key, and where it is local, answers."""
    reason: str | None = None
    """Why it is not available."""
    capabilities: frozenset[Capability]
    features: frozenset[Feature]
    default_model: str | None = None
    embedding_model: str | None = None
    closed: bool = False
    """Only the listed models may be asked for."""
    last_resort: bool = False
    """Answers unnamed requests only when nobody else can (the offline provider)."""


@value(kw_only=True)
class Route:
    """A name callers use, and the targets behind it, in order."""

    name: str
    targets: tuple[Target, ...]
    deadlines: Deadlines = USUAL


@value(kw_only=True)
class Catalog:
    providers: Mapping[str, ProviderFacts]
    offers: Mapping[str, Offer]
    """By `provider/model`."""
    routes: Mapping[str, Route]
    aliases: Mapping[str, str]
    by_model: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Providers that offer a bare model id; those not available come last."""
    standins: Mapping[Capability, Target] = field(default_factory=dict)
    """Who answers for a provider that lacks a capability, in a way that says so."""
    deadlines: Deadlines = USUAL

    def resolve(self, name: str, capability: Capability) -> Route:
        """The route behind a name; a name that is no route's becomes one with a single target.

        Raises:
            BadRequest: model_not_found, with the nearest names, or with those that offer a bare id.
        """
        name = self.aliases.get(name, name)
        route = self.routes.get(name)
        if route is not None:
            return route
        if name in DEFAULT_NAMES:
            return self._single(self.default_target(capability))
        provider, slash, model = name.partition("/")
        if slash and provider in self.providers:
            return self._single(self._named(self.providers[provider], model, capability))
        return self._single(self._bare(name))

    def default_target(self, capability: Capability) -> Target:
        """Whom a caller gets who names nobody: the first provider that can, the offline one last."""
        able = [p for p in self.providers.values() if p.available and capability in p.capabilities]
        # The last resort answers where there is nobody else, not where the others have no default.
        able = [p for p in able if not p.last_resort] or able
        for facts in able:
            model = _default_model(facts, capability)
            if model is not None:
                return Target(facts.id, model)
        missing = f"{able[0].id!r} has no default model" if able else "nobody here can"
        raise BadRequest(
            f"no default for {capability}: {missing}; name a model", Code.MODEL_NOT_FOUND, param="model"
        )

    def _single(self, target: Target) -> Route:
        return Route(name=target.name, targets=(target,), deadlines=self.deadlines)

    def _named(self, facts: ProviderFacts, model: str, capability: Capability) -> Target:
        if not model:
            default = _default_model(facts, capability)
            if default is None:
                raise BadRequest(
                    f"{facts.id!r} has no default model for {capability}: name one, {facts.id}/<model>",
                    Code.MODEL_NOT_FOUND,
                    param="model",
                )
            return Target(facts.id, default)
        # A provider that is off offers nothing: why it is off says more than that nobody knows the model.
        if facts.closed and facts.available and f"{facts.id}/{model}" not in self.offers:
            raise self._unknown(f"{facts.id}/{model}")
        return Target(facts.id, model)

    def _bare(self, model: str) -> Target:
        providers = self.by_model.get(model, ())
        usable = [p for p in providers if self.providers[p].available] or providers
        if len(usable) == 1:
            return Target(usable[0], model)
        if not usable:
            raise self._unknown(model)
        choices = ", ".join(f"{p}/{model}" for p in usable)
        raise BadRequest(
            f"several providers offer {model!r}: say which ({choices})", Code.MODEL_NOT_FOUND, param="model"
        )

    def _unknown(self, name: str) -> BadRequest:
        if len(name) > LONGEST_NAME:
            name = f"{name[:LONGEST_NAME]}…"
        known = [*self.routes, *self.aliases, *(self.offers if "/" in name else self.by_model)]
        near = get_close_matches(name, known, n=SUGGESTIONS, cutoff=0.6)
        hint = (
            f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else "; GET /v1/models lists them"
        )
        return BadRequest(f"unknown model {name!r}{hint}", Code.MODEL_NOT_FOUND, param="model")


def build_catalog(
    providers: Iterable[ProviderFacts],
    offers: Iterable[Offer],
    routes: Iterable[Route] = (),
    aliases: Mapping[str, str] = MappingProxyType({}),
    standins: Mapping[Capability, Target] = MappingProxyType({}),
    deadlines: Deadlines = USUAL,
) -> Catalog:
    """A catalog with its indexes."""
    by_id = {facts.id: facts for facts in providers}
    offers_by_id = {offer.id: offer for offer in offers}
    by_model: dict[str, list[str]] = {}
    for offer in sorted(offers_by_id.values(), key=lambda offer: not by_id[offer.provider].available):
        by_model.setdefault(offer.model, []).append(offer.provider)
    return Catalog(
        providers=MappingProxyType(by_id),
        offers=MappingProxyType(offers_by_id),
        routes=MappingProxyType({route.name: route for route in routes}),
        aliases=MappingProxyType({alias: _meant(alias, aliases) for alias in aliases}),
        by_model=MappingProxyType({model: tuple(names) for model, names in by_model.items()}),
        standins=MappingProxyType(dict(standins)),
        deadlines=deadlines,
    )


def _meant(alias: str, aliases: Mapping[str, str]) -> str:
    """What an alias finally stands for; aliases that stand for each other stand for nobody."""
    name = aliases[alias]
    for _ in aliases:
        name = aliases.get(name, name)
    return name


def _default_model(facts: ProviderFacts, capability: Capability) -> str | None:
    return facts.embedding_model if capability is Capability.EMBEDDINGS else facts.default_model
