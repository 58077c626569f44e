"""From configuration to providers and catalog: what is on, why the rest is off, who answers to a name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rhetor import config as configuration
from rhetor.config import Config, ConfigError, Problem, ProviderConfig, RouteConfig, resolve_secret
from rhetor.core.call import Deadlines
from rhetor.core.capability import Capability
from rhetor.providers.builtin import base_url_of, load_builtin
from rhetor.providers.models import Catalogue, ModelFacts, merge
from rhetor.providers.offline import OFFLINE_ROW, OFFLINE_WIRE, OfflineTransport
from rhetor.providers.provider import Provider
from rhetor.providers.spec import ProviderRow
from rhetor.routing.catalog import DEFAULT_NAMES, Catalog, Offer, ProviderFacts, Route, Target, build_catalog
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
) -> dict[str, Member]:
    """Every provider that is known, by id; the offline one last.

    Raises:
        ConfigError: with every problem found.
    """
    problems: list[Problem] = []
    members: dict[str, Member] = {}
    for id in [*config.providers, *(id for id in known if id not in config.providers)]:
        setting = config.providers.get(id)
        if id == OFFLINE_ROW.id:
            if setting not in (None, ProviderConfig()):
                problems.append(
                    Problem(f"providers.{id}", "takes no settings: it is always there; remove them")
                )
        elif setting is None or setting.enabled:
            row = _row(id, setting or ProviderConfig(), known, environ, problems)
            if row is not None:
                members[id] = _member(row, setting, environ, config.discovery.local, make_transport)
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
    offers = [offer for member in members.values() for offer in _offers(member, lists, catalogue)]
    routes = [_route(name, setting, deadlines) for name, setting in config.routes.items()]
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


def _row(
    id: str,
    setting: ProviderConfig,
    known: Mapping[str, ProviderRow],
    environ: Mapping[str, str],
    problems: list[Problem],
) -> ProviderRow | None:
    """The built-in row with the file's changes, or the file's own; None and a problem when there is none."""
    upstreams = sorted(name for name, wire in WIRES.items() if wire.upstream)
    named = {"wire": [setting.wire] if setting.wire is not None else [], "also": setting.also or ()}
    unknown = [(key, name) for key, names in named.items() for name in names if name not in upstreams]
    if unknown:
        message = f"no such language; there are {', '.join(upstreams)}"
        problems += [Problem(f"providers.{id}.{key}", message, repr(name)) for key, name in unknown]
        return None
    if (builtin := known.get(id)) is not None:
        try:
            there = setting.base_url or base_url_of(builtin, environ)
        except ValueError as error:
            problems.append(Problem(f"providers.{id}.base_url", str(error)))
            return None
        return _changed(builtin.model_copy(update={"base_url": there}), setting)
    if setting.wire is not None and setting.base_url is not None:
        keyed = setting.key is not None or setting.auth is not None
        vendor = next(row for row in known.values() if setting.wire in (row.wire, *row.also))
        return _changed(_own(id, vendor, setting.base_url, keyed), setting)
    missing = [name for name in ("wire", "base_url") if getattr(setting, name) is None]
    needed = "is required, since no built-in provider is called so"
    problems += [Problem(f"providers.{id}.{name}", needed) for name in missing]
    return None


def _own(id: str, vendor: ProviderRow, base_url: str, keyed: bool) -> ProviderRow:
    """A provider that is not built in: addressed like the vendor whose language it speaks.

    Without a key it is taken to need none.
    """
    return ProviderRow(
        id=id,
        name=id,
        wire=vendor.wire,
        base_url=base_url,
        auth=vendor.auth.model_copy(update={"required": keyed}),
        headers=vendor.headers,
        capabilities=vendor.capabilities - {Capability.COUNT_TOKENS},  # few but the vendor count tokens
        status="configured",
    )


REPLACED = (
    "wire",
    "also",
    "base_url",
    "name",
    "default_model",
    "embedding_model",
    "capabilities",
    "features",
    "on_leave",
)


def _changed(row: ProviderRow, setting: ProviderConfig) -> ProviderRow:
    """The row with what the file says: most replaces what stood there, the rest is added to it."""
    changes: dict[str, object] = {
        name: value for name in REPLACED if (value := getattr(setting, name)) is not None
    }
    if setting.default_model is None and setting.models:
        changes["default_model"] = setting.models[0]
    changes["headers"] = {**row.headers, **setting.headers}
    for name in ("auth", "quirks"):
        if (changed := getattr(setting, name)) is not None:
            said = {field: getattr(changed, field) for field in changed.model_fields_set}
            changes[name] = getattr(row, name).model_copy(update=said)
    return row.model_copy(update=changes)


def _member(
    row: ProviderRow,
    setting: ProviderConfig | None,
    environ: Mapping[str, str],
    look_for_local: bool,
    make_transport: MakeTransport,
) -> Member:
    secrets, off = _secrets(row, setting, environ)
    probed = setting is None and row.id == PROBED and look_for_local
    if off is None and setting is None and not secrets and not probed:
        off = f"{row.id!r} is not switched on: add `{row.id}: {{}}` to providers"
    setting = setting or ProviderConfig()
    also = [WIRES[name] for name in row.also]
    provider = Provider(row, WIRES[row.wire], make_transport(row, setting), *(secrets or (None,)), also=also)
    return Member(row, provider, secrets, off, setting.models, probed, setting.tags, setting.max_connections)


def _secrets(
    row: ProviderRow, setting: ProviderConfig | None, environ: Mapping[str, str]
) -> tuple[tuple[str, ...], str | None]:
    """The keys, and why the provider cannot be asked without them."""
    references = () if setting is None else ((setting.key,) if setting.key is not None else ()) + setting.keys
    if not references:
        secret, off = _vendors_secret(row, setting, environ)
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
        capabilities=frozenset(c for c in row.capabilities if member.provider.speaks(c)),
        features=row.features,
        default_model=default_model,
        embedding_model=row.embedding_model,
        closed=member.models is not None,
        last_resort=row.id == OFFLINE_ROW.id,
        accounts=accounts,
        tags=member.tags,
        slots=member.slots,
        free=row.local,
    )


def _offers(
    member: Member, lists: Mapping[str, Sequence[ModelEntry] | str], catalogue: Catalogue
) -> list[Offer]:
    """Models on offer: those the file lists, else the provider's own list, else those of the catalogue."""
    row = member.row
    if member.off is not None:
        return []
    listed = lists.get(row.id)
    entries = {} if listed is None or isinstance(listed, str) else {entry.id: entry for entry in listed}
    if member.models is not None:
        chosen = [entries.get(id) or ModelEntry(id) for id in member.models]
    elif entries:
        chosen = list(entries.values())
    else:
        chosen = [ModelEntry(facts.id) for facts in catalogue.known(row)]
    named = {entry.id for entry in chosen}
    if member.models is None:
        defaults = dict.fromkeys(m for m in (row.default_model, row.embedding_model) if m and m not in named)
        chosen += [ModelEntry(id) for id in defaults]
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
    )


def _capabilities(row: ProviderRow, facts: ModelFacts, nobody_said: bool) -> frozenset[Capability]:
    """What a model is asked for. On a server of one's own it is called as its owner likes.

    There a name that says nothing does not speak against what the row offers.
    """
    own = row.local or row.status == "configured"
    if own and nobody_said and facts.capabilities == {Capability.CHAT}:
        return row.capabilities
    return facts.capabilities & row.capabilities | _counting(row, facts)


def _counting(row: ProviderRow, facts: ModelFacts) -> frozenset[Capability]:
    """Who chats and can count tokens at all, counts them for every chat model."""
    counts = Capability.COUNT_TOKENS in row.capabilities and Capability.CHAT in facts.capabilities
    return frozenset({Capability.COUNT_TOKENS}) if counts else frozenset()


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
