"""Which names callers may use, and who stands behind each: an immutable snapshot.

A name is one of
- a route's or alias' name,
- `provider/model`, also for models nobody listed, unless the provider's models are closed,
- `provider/`, the provider's default model,
- a bare model id that exactly one provider offers,
- nothing, or `auto`: the default route, or the first provider that can answer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import field
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from rhetor.core.call import USUAL, Deadlines
from rhetor.core.capability import CONVERSING, Capability, Feature
from rhetor.core.errors import BadRequest, Code
from rhetor.core.usage import Price
from rhetor.core.value import value

DEFAULT_NAMES = ("", "auto", "default")
FREE = Price(0, 0)
SUGGESTIONS = 3
LONGEST_NAME = 200  # longer ones are not compared with every model, nor repeated whole in errors


@value
class Target:
    """Who may be asked: a provider, one of its models, and which of its keys."""

    provider: str
    model: str
    key: int = 0

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
    created_s: int | None = None
    """Unix time at which it appeared, where its provider's list says so."""
    tags: frozenset[str] = frozenset()
    """What else tells it from others: how a voice was made, the language that it speaks."""

    @property
    def id(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def free(self) -> bool | None:
        """Whether it costs nothing; None: nobody knows."""
        return None if self.price is None else self.price == FREE


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
    default_models: Mapping[Capability, str] = field(default_factory=dict)
    """For what is neither conversations nor embeddings."""
    closed: bool = False
    """Only the listed models may be asked for."""
    last_resort: bool = False
    """Answers unnamed requests only when nobody else can (the offline provider)."""
    accounts: tuple[str, ...] = ()
    """Who pays for each of its keys: the same word where two providers share a place and a key."""
    tags: frozenset[str] = frozenset()
    """Words that callers may demand: a region, say."""
    slots: int | None = None
    """Requests it takes at the same time; None: nobody counts."""
    free: bool = False
    """Runs on one's own machine, so that nobody sends a bill."""


class Strategy(StrEnum):
    """Who of a route's targets is asked first; the others follow as fallbacks."""

    PRIORITY = "priority"
    """The first, then the second, …"""
    WEIGHTED = "weighted"
    """Drawn, each as often as its weight says."""
    LEAST_BUSY = "least_busy"
    """Who has the fewest requests under way."""
    FASTEST = "fastest"
    """Who speaks sooner, of two that are drawn."""
    CHEAPEST = "cheapest"
    """Whose price for a request of this size is lowest."""
    ROUND_ROBIN = "round_robin"
    """Who was asked longest ago."""


class Midstream(StrEnum):
    """What happens when a target fails after it has begun to speak."""

    CONTINUE = "continue"
    """The next one goes on from what was said."""
    ERROR = "error"
    """The caller is told."""
    HOLD = "hold"
    """Nothing is said before all of it is there, so the next one can begin anew."""


@value(kw_only=True)
class Route:
    """A name callers use, and the targets behind it, in order."""

    name: str
    targets: tuple[Target, ...]
    weights: tuple[int, ...] = ()
    """One for each target; empty: all the same."""
    strategy: Strategy = Strategy.PRIORITY
    midstream: Midstream = Midstream.CONTINUE
    retries: int = 2
    """Attempts beyond one for each target."""
    hedge: bool = False
    """A second target is asked when the first is later than usual."""
    detach_s: float = 0.0
    """How long a generation goes on, and is kept, without its caller; 0: it ends when the caller leaves."""
    reroute_refused: bool = False
    """What one target's content policy refuses is asked of the next one."""
    deadlines: Deadlines = USUAL


@value
class Candidate:
    """A target and what was decided about it."""

    target: Target
    reason: str
    domain: str = ""
    """Who counts its requests: an account and a model. Targets that share it share its limits."""
    context_tokens: int | None = None


@value
class Prospect:
    """A target with all that a catalog knows of it, whoever asks and whenever."""

    target: Target
    reason: str
    domain: str
    against: str | None = None
    """Why it cannot be asked for this at all."""
    features: frozenset[Feature] | None = None
    context_tokens: int | None = None
    price: Price | None = None
    slots: int | None = None
    tags: frozenset[str] = frozenset()
    weight: int = 1


Prospects: TypeAlias = tuple[Prospect, ...]
"""One target with each of its provider's keys."""


@value
class Line:
    """Who stands in line behind a name, for one capability."""

    route: Route
    groups: tuple[Prospects, ...]
    left_out: tuple[Candidate, ...] = ()
    """Those that nobody need look at again; each says why."""
    equals: bool = False
    """Some in it are as good as each other, so that it may count who has read the conversation."""
    chosen: bool = False
    """We made the line, by what the caller demands; it may be long."""


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
    rules: Mapping[str, str] = field(default_factory=dict)
    """Whom callers get who name nobody, by `component/task`, `component/`, `/task` or `/`."""
    deadlines: Deadlines = USUAL
    detaches: bool = False
    """There are routes whose replies outlive their callers."""
    lines: dict[Hashable, Line] = field(default_factory=dict, compare=False, repr=False)
    """What was found before: see `prospects`, which keeps it small."""

    def ruled(self, component: str | None, task: str | None) -> str | None:
        """The route or model that the rules give to this component and task, the most precise rule first."""
        component, task = (component or "").lower(), (task or "").lower()
        for key in (f"{component}/{task}", f"{component}/", f"/{task}", "/"):
            if (name := self.rules.get(key)) is not None:
                return name
        return None

    def domain_of(self, target: Target) -> str:
        """Who counts what is asked of a target: the account behind its key, for each model apart."""
        facts = self.providers.get(target.provider)
        account = facts.accounts[target.key] if facts is not None and facts.accounts else target.provider
        return f"{account}/{target.model}"

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
            model = default_model(facts, capability)
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
            default = default_model(facts, capability)
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
    rules: Mapping[str, str] = MappingProxyType({}),
) -> Catalog:
    """A catalog with its indexes."""
    by_id = {facts.id: facts for facts in providers}
    offers_by_id = {offer.id: offer for offer in offers}
    by_model: dict[str, list[str]] = {}
    for offer in sorted(offers_by_id.values(), key=lambda offer: not by_id[offer.provider].available):
        by_model.setdefault(offer.model, []).append(offer.provider)
    by_name = {route.name: route for route in routes}
    return Catalog(
        providers=MappingProxyType(by_id),
        offers=MappingProxyType(offers_by_id),
        routes=MappingProxyType(by_name),
        aliases=MappingProxyType({alias: _meant(alias, aliases) for alias in aliases}),
        by_model=MappingProxyType({model: tuple(names) for model, names in by_model.items()}),
        standins=MappingProxyType(dict(standins)),
        rules=MappingProxyType(dict(rules)),
        deadlines=deadlines,
        detaches=any(route.detach_s for route in by_name.values()),
    )


def _meant(alias: str, aliases: Mapping[str, str]) -> str:
    """What an alias finally stands for; aliases that stand for each other stand for nobody."""
    name = aliases[alias]
    for _ in aliases:
        name = aliases.get(name, name)
    return name


def default_model(facts: ProviderFacts, capability: Capability) -> str | None:
    """What callers get who name only the provider; None: they have to name a model."""
    if (model := facts.default_models.get(capability)) is not None:
        return model
    if capability is Capability.EMBEDDINGS:
        return facts.embedding_model
    # Of a provider that does not converse, its default model does what it does.
    converses = Capability.CHAT in facts.capabilities
    return facts.default_model if capability in CONVERSING or not converses else None
