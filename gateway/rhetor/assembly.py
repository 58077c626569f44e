"""From configuration to providers and catalog: what is on, why the rest is off, who answers to a name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from rhetor import config as configuration
from rhetor.config import Config, ConfigError, Problem, ProviderConfig, RouteConfig, resolve_secret
from rhetor.core.call import Deadlines
from rhetor.core.capability import Capability, Feature
from rhetor.core.value import value
from rhetor.providers.builtin import load_builtin
from rhetor.providers.models import Catalogue, ModelFacts, merge
from rhetor.providers.offline import OFFLINE_ROW, OFFLINE_WIRE, OfflineTransport
from rhetor.providers.provider import Provider
from rhetor.providers.signers import out_of_reach, signed
from rhetor.providers.spec import ProviderRow
from rhetor.providers.strengths import strengths_of
from rhetor.routing.catalog import DEFAULT_NAMES, Catalog, Offer, ProviderFacts, Route, Target, build_catalog
from rhetor.rows import row_of
from rhetor.transport.base import Transport
from rhetor.wire.base import ModelEntry
from rhetor.wire.languages import WIRES

ESTIMATOR = Target(OFFLINE_ROW.id, "estimate")


@dataclass(frozen=True, slots=True)
class Member:
    """A provider of this configuration, on or off."""

    row: ProviderRow
    provider: Provider
    secrets: tuple[str, ...]
    """Its keys; none where it needs none, or has none."""
    off: str | None
    """Why it cannot be asked; None when it can."""
    models: tuple[str, ...] | None = None
    """The only models it may be asked for; None: any."""
    probed: bool = False
    """On only while it answers: nobody asked for it, but it may run on this machine."""
    tags: frozenset[str] = frozenset()
    slots: int | None = None
    """Connections that it may have at the same time."""
    plugin: str | None = None
    """Which one has brought it."""
    described: tuple[ModelEntry, ...] = ()
    """What that says of its models."""


@value(kw_only=True)
class Guest:
    """A provider that a plugin brings, or would."""

    row: ProviderRow
    plugin: str
    off: str | None = None
    """Why it cannot be asked; None: nothing is known against it."""
    models: tuple[ModelEntry, ...] = ()
    withheld: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Variables of others that it would like to have, and whose they are."""

    def variables(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """Where its key may be."""
        names = self.row.key_env
        return {name: environ[name] for name in names if name in environ and name not in self.withheld}

    def refused(self, off: str) -> str:
        """Why it has no key, when that is because nobody gives it to it."""
        wanted = next((name for name in self.row.key_env if name in self.withheld), None)
        if wanted is None:
            return off
        return (
            f"{wanted} is {self.withheld[wanted]}; to let {self.row.id!r} have it, "
            f"`rhetor providers update {self.plugin} --grant {wanted}`"
        )


PROBED = "ollama"
"""The local server that is looked for unasked; other ports may be anybody's."""

MakeTransport = Callable[[ProviderRow, ProviderConfig], Transport]


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration, once all of it is found to be usable.

    Raises:
        ConfigError: with every problem found, also those that only show when providers are put together.
    """
    try:
        return configuration.load(path, environ)
    except ConfigError as error:
        raise ConfigError([*error.problems, *_further(error, environ)]) from None


def _further(error: ConfigError, environ: Mapping[str, str]) -> list[Problem]:
    """What is wrong besides, as far as it does not follow from what is known to be wrong."""
    if error.rest is None:
        return []
    try:
        assemble(error.rest, environ, load_builtin(), lambda row, setting: OfflineTransport())
    except ConfigError as further:
        known = [problem.path for problem in error.problems]
        return [p for p in further.problems if not any(p.path.startswith(path) for path in known)]
    return []


def assemble(
    config: Config,
    environ: Mapping[str, str],
    known: Mapping[str, ProviderRow],
    make_transport: MakeTransport,
    guests: Mapping[str, Guest] = MappingProxyType({}),
) -> dict[str, Member]:
    """Every provider that is known, by id; the offline one last.

    Raises:
        ConfigError: with every problem found.
    """
    problems: list[Problem] = []
    members: dict[str, Member] = {}
    rows = {**known, **{id: guest.row for id, guest in guests.items()}}
    for id in [*config.providers, *(id for id in rows if id not in config.providers)]:
        setting = config.providers.get(id)
        if id == OFFLINE_ROW.id:
            if setting not in (None, ProviderConfig()):
                problems.append(
                    Problem(f"providers.{id}", "takes no settings: it is always there; remove them")
                )
        elif setting is None or setting.enabled:
            row = row_of(id, setting or ProviderConfig(), rows, environ, config.services, problems)
            if row is not None:
                local = config.discovery.local
                members[id] = _member(row, setting, environ, local, make_transport, guests.get(id))
    offline = Provider(OFFLINE_ROW, OFFLINE_WIRE, OfflineTransport(), None)
    members[OFFLINE_ROW.id] = Member(OFFLINE_ROW, offline, (), None)
    problems += _route_problems(config, members)
    problems += _rule_problems(config, members)
    if problems:
        raise ConfigError(problems)
    return members


def make_catalog(
    config: Config,
    members: Mapping[str, Member],
    lists: Mapping[str, Sequence[ModelEntry] | str],
    catalogue: Catalogue,
) -> Catalog:
    """The names callers may use.

    Args:
        lists: what providers said of their models, or why they could not be asked.
    """
    deadlines = _deadlines(config)
    accounts = _accounts(members)
    facts = [_facts(member, lists.get(id), accounts[id]) for id, member in members.items()]
    routes = [_route(name, setting, deadlines) for name, setting in config.routes.items()]
    routed = dict.fromkeys(target for route in routes for target in route.targets)
    offers = [offer for member in members.values() for offer in _offers(member, lists, catalogue, routed)]
    standins = {Capability.COUNT_TOKENS: ESTIMATOR}
    return build_catalog(facts, offers, routes, _aliases(config), standins, deadlines, _rules(config))


def _aliases(config: Config) -> dict[str, str]:
    """The file's aliases; who names nobody gets the route or alias that is called `default` or `auto`."""
    named = [name for name in ("default", "auto") if name in config.routes or name in config.aliases]
    if not named:
        return dict(config.aliases)
    default = config.aliases.get(named[0], named[0])
    unnamed = {name: default for name in DEFAULT_NAMES if name not in config.routes}
    return {**unnamed, **config.aliases}


def _rules(config: Config) -> dict[str, str]:
    """The file's rules as the catalog looks them up; components and tasks are called so in any case."""
    rules = config.rules
    found = {pair.lower(): name for pair, name in rules.component_task.items()}
    found |= {f"{component.lower()}/": name for component, name in rules.component.items()}
    found |= {f"/{task.lower()}": name for task, name in rules.task.items()}
    return found if rules.default is None else {**found, "/": rules.default}


def _accounts(members: Mapping[str, Member]) -> dict[str, tuple[str, ...]]:
    """For each provider who pays for each of its keys: providers of one place with the same key share it.

    An account is called after the first provider that has it, so that no name tells a key.
    """
    names: dict[tuple[str, str | None], str] = {}
    accounts = {}
    for id, member in members.items():
        place = urlsplit(member.row.base_url).netloc
        keys: tuple[str | None, ...] = member.secrets or (None,)
        accounts[id] = tuple(
            names.setdefault((place, key), id if n == 0 else f"{id}#{n + 1}") for n, key in enumerate(keys)
        )
    return accounts


def _member(
    row: ProviderRow,
    setting: ProviderConfig | None,
    environ: Mapping[str, str],
    look_for_local: bool,
    make_transport: MakeTransport,
    guest: Guest | None,
) -> Member:
    secrets, off = _secrets(row, setting, environ, environ if guest is None else guest.variables(environ))
    probed = setting is None and row.id == PROBED and look_for_local
    if off is None and setting is None and not secrets and not probed and guest is None:
        off = f"{row.id!r} is not switched on: add `{row.id}: {{}}` to providers"
    if guest is not None:
        off = guest.off or (off and guest.refused(off))
    setting = setting or ProviderConfig()
    off = off or out_of_reach(row, environ, keyed=bool(secrets))
    also = [WIRES[name] for name in row.also]
    transport = signed(make_transport(row, setting), row, environ, keyed=bool(secrets))
    wire, allowed = WIRES[row.wire], setting.allowed_hosts
    provider = Provider(row, wire, transport, *(secrets or (None,)), also=also, allowed_hosts=allowed)
    described = guest.models if guest is not None else ()
    return Member(
        row,
        provider,
        secrets,
        off,
        setting.models or tuple(model.id for model in described) or None,
        probed,
        setting.tags,
        setting.max_connections,
        guest.plugin if guest is not None else None,
        described,
    )


def _secrets(
    row: ProviderRow,
    setting: ProviderConfig | None,
    environ: Mapping[str, str],
    vendors: Mapping[str, str],
) -> tuple[tuple[str, ...], str | None]:
    """The keys, and why the provider cannot be asked without them.

    Args:
        vendors: where the vendor's own variables are looked for.
    """
    references = () if setting is None else ((setting.key,) if setting.key is not None else ()) + setting.keys
    if not references:
        secret, off = _vendors_secret(row, setting, vendors)
        return (secret,) if secret is not None else (), off
    try:
        secrets = [resolve_secret(reference, environ) for reference in references]
    except LookupError as error:
        return (), f"no key for {row.id!r}: {error}"
    return tuple(dict.fromkeys(secrets)), None


def _vendors_secret(
    row: ProviderRow, setting: ProviderConfig | None, environ: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """The key from the vendor's own variable, and why there is none."""
    secret = next((secret for name in row.key_env if (secret := environ.get(name, "").strip())), None)
    if secret is None and row.auth.required:
        wanted = " or ".join(row.key_env) or f"providers.{row.id}.key"
        return (
            None,
            f"no key for {row.id!r}: set {wanted}{'' if setting is None else ', or remove the provider'}",
        )
    return secret, None


def _route_problems(config: Config, members: Mapping[str, Member]) -> list[Problem]:
    return [
        Problem(f"routes.{name}.targets[{n}]", wrong, repr(said.target))
        for name, route in config.routes.items()
        for n, said in enumerate(route.targets)
        if (wrong := _wrong_with(said.target, config, members)) is not None
    ]


def _rule_problems(config: Config, members: Mapping[str, Member]) -> list[Problem]:
    rules = config.rules
    named = {f"component_task.{key}": name for key, name in rules.component_task.items()}
    named |= {f"component.{key}": name for key, name in rules.component.items()}
    named |= {f"task.{key}": name for key, name in rules.task.items()}
    if rules.default is not None:
        named["default"] = rules.default
    return [
        Problem(f"rules.{path}", _unnamed(wrong, name), repr(name))
        for path, name in named.items()
        if name not in config.routes and name not in config.aliases
        if (wrong := _wrong_with(name, config, members)) is not None
    ]


def _unnamed(wrong: str, name: str) -> str:
    """What is wrong with a name that may be a route's as well."""
    return (
        wrong if "/" in name else "no route or alias is called so; add it to routes, or write provider/model"
    )


def _wrong_with(target: str, config: Config, members: Mapping[str, Member]) -> str | None:
    """Why a route cannot have this target; None when it can."""
    provider, _, model = target.partition("/")
    if not model:
        return "write provider/model"
    setting = config.providers.get(provider)
    if setting is not None and not setting.enabled:
        return f"{provider!r} is switched off; enable it, or remove the target"
    if provider not in members:  # a provider of the file that is no member is a problem of its own
        return f"no provider {provider!r}; add it to providers" if setting is None else None
    models = members[provider].models
    if models is not None and model not in models:
        return f"{provider!r} lists only {', '.join(models)}; add the model there"
    return None


def _facts(
    member: Member, listed: Sequence[ModelEntry] | str | None, accounts: tuple[str, ...]
) -> ProviderFacts:
    row = member.row
    off = member.off
    if member.probed and not isinstance(listed, list | tuple):
        off = f"{row.id!r} does not answer at {row.base_url}: {listed or 'not looked for yet'}"
    default_model = row.default_model
    if default_model is None and listed and not isinstance(listed, str):
        default_model = listed[0].id
    return ProviderFacts(
        id=row.id,
        name=row.name,
        available=off is None,
        reason=off,
        capabilities=frozenset(c for c in member.provider.capabilities if member.provider.speaks(c)),
        features=row.features,
        default_model=default_model,
        embedding_model=row.embedding_model,
        default_models=row.default_models,
        closed=member.models is not None,
        last_resort=row.id == OFFLINE_ROW.id,
        accounts=accounts,
        tags=member.tags,
        slots=member.slots,
        free=row.local,
    )


def _offers(
    member: Member,
    lists: Mapping[str, Sequence[ModelEntry] | str],
    catalogue: Catalogue,
    routed: Iterable[Target],
) -> list[Offer]:
    """Models on offer: those the file lists, else the provider's own list, else those of the catalogue.

    Args:
        routed: targets of routes: what the catalogue knows of them counts even if nobody lists them.
    """
    row = member.row
    if member.off is not None:
        return []
    listed = lists.get(row.id)
    entries = {} if listed is None or isinstance(listed, str) else {entry.id: entry for entry in listed}
    if member.models is not None:
        known = {entry.id: entry for entry in member.described}
        chosen = [known.get(id) or entries.get(id) or ModelEntry(id) for id in member.models]
    elif entries:
        chosen = list(entries.values())
    else:
        chosen = [ModelEntry(facts.id) for facts in catalogue.known(row)]
    named = {entry.id for entry in chosen}
    if member.models is None:
        usual = (row.default_model, row.embedding_model, *row.default_models.values())
        defaults = dict.fromkeys(model for model in usual if model and model not in named)
        chosen += [ModelEntry(id) for id in defaults]
        named |= defaults.keys()
        others = [it.model for it in routed if it.provider == row.id and it.model not in named]
        chosen += [ModelEntry(id) for id in others if catalogue.facts(row, id) is not None]
    return [_offer(row, entry, catalogue.facts(row, entry.id)) for entry in chosen]


def _offer(row: ProviderRow, entry: ModelEntry, known: ModelFacts | None) -> Offer:
    facts = merge(entry, known)
    nobody_said = known is None and entry.capabilities is None
    return Offer(
        provider=row.id,
        model=facts.id,
        name=facts.name,
        capabilities=_capabilities(row, facts, nobody_said),
        features=facts.features,
        context_tokens=facts.context_tokens,
        max_output_tokens=facts.max_output_tokens,
        price=facts.price,
        created_s=entry.created_s,
        tags=entry.tags | strengths_of(facts.id),
    )


def _capabilities(row: ProviderRow, facts: ModelFacts, nobody_said: bool) -> frozenset[Capability]:
    """What a model is asked for. On a server of one's own it is called as its owner likes.

    There a name that says nothing does not speak against what the row offers.
    """
    own = row.local or row.status != "built-in"
    if own and nobody_said and facts.capabilities == {Capability.CHAT}:
        return row.capabilities
    return facts.capabilities & row.capabilities | _counting(row, facts) | _seeing(row, facts)


def _counting(row: ProviderRow, facts: ModelFacts) -> frozenset[Capability]:
    """Who chats and can count tokens at all, counts them for every chat model."""
    counts = Capability.COUNT_TOKENS in row.capabilities and Capability.CHAT in facts.capabilities
    return frozenset({Capability.COUNT_TOKENS}) if counts else frozenset()


def _seeing(row: ProviderRow, facts: ModelFacts) -> frozenset[Capability]:
    """Who chats and sees pictures, says what is in them."""
    features = row.features if facts.features is None else facts.features
    sees = Capability.CHAT in facts.capabilities & row.capabilities and Feature.IMAGES in features
    return frozenset({Capability.IMAGE_TO_TEXT}) if sees else frozenset()


def _route(name: str, setting: RouteConfig, deadlines: Deadlines) -> Route:
    changed = {k: v for k, v in setting.timeouts.model_dump().items() if v is not None}
    return Route(
        name=name,
        targets=tuple(_target(said.target) for said in setting.targets),
        weights=tuple(said.weight for said in setting.targets),
        strategy=setting.strategy,
        midstream=setting.midstream,
        retries=setting.retries,
        hedge=setting.hedge,
        detach_s=setting.detach_s,
        reroute_refused=setting.reroute_refused,
        deadlines=dataclasses.replace(deadlines, **changed),
    )


def _target(name: str) -> Target:
    provider, _, model = name.partition("/")
    return Target(provider, model)


def _deadlines(config: Config) -> Deadlines:
    return Deadlines(**config.timeouts.model_dump())


def secrets_of(members: Mapping[str, Member]) -> set[str]:
    """All keys in use: for the redactor only."""
    return {secret for member in members.values() for secret in member.secrets}
