"""Which variables of the gateway's environment a plugin asks for, and which of them it does not get unasked.

A manifest may name any variable. One that is somebody else's, such as the key of a built-in provider, would
tell it their secret: a plugin gets it only when it sends it to that vendor's own host, or when somebody has
granted it by name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from rhetor.core.value import value
from rhetor.plugins.loader import Plugin
from rhetor.plugins.manifest import Manifest
from rhetor.providers.spec import ProviderRow

PROTECTED = re.compile(
    r"(RHETOR|TEKTON|JELMORE|AWS|AZURE|GOOGLE|GCP|GCLOUD|CLOUDSDK|GITHUB|GH|GITLAB|GIT|CI|SSH|GPG|NPM|NODE|PIP|PYPI"
    r"|TWINE|UV|DOCKER|KUBE\w*|HELM|VAULT|PG|POSTGRES\w*|MYSQL|REDIS|MONGO\w*|DATABASE|SLACK|STRIPE|SENTRY|LD|DYLD"
    r"|PYTHON\w*|PATH|HOME|USER|SHELL|TMPDIR|DISPLAY|DBUS|XDG|HTTPS?|SSL|LC|LANG|SUDO|SYSTEMD)(_\w*)?",
    re.IGNORECASE,
)
"""Names of the machine's and of its owner's other tools."""


@value(kw_only=True)
class Asked:
    """A variable that a plugin asks for."""

    name: str
    for_whom: str
    """For people: `the provider cowsay, which sends it to api.cowsay.example`."""
    of: str = ""
    """The part of the manifest that is nothing without it, where that is no row: `code.cowsay`."""
    required: bool = True
    hosts: frozenset[str] = frozenset()
    """Where alone it is sent; empty: it is told to a program, which may do with it what it likes."""


@value(kw_only=True)
class Theirs:
    """Variables that belong to somebody, and to whose hosts they may go."""

    owners: Mapping[str, str]
    hosts: Mapping[str, frozenset[str]]


def owners_of(rows: Collection[ProviderRow], named: Collection[str]) -> Theirs:
    """Whose variables are whose.

    Args:
        rows: the built-in providers.
        named: those that the configuration refers to.
    """
    owners: dict[str, str] = dict.fromkeys(named, "named in the configuration")
    hosts: dict[str, frozenset[str]] = {}
    for row in rows:
        host = urlsplit(row.base_url).hostname or ""
        for name in row.key_env:
            owners[name] = f"the key of {row.name}"
            hosts[name] = hosts.get(name, frozenset()) | {host}
    return Theirs(owners=owners, hosts=hosts)


def theirs_beside(theirs: Theirs, plugins: Iterable[Plugin], id: str | None) -> Theirs:
    """The same, with what plugins have asked for that came before: whose key it was first, it is.

    Args:
        id: the plugin that asks now; None: one that is not there yet.
    """
    owners, hosts = dict(theirs.owners), dict(theirs.hosts)
    since = next((_age(plugin) for plugin in plugins if plugin.id == id), None)
    for plugin in plugins:
        if plugin.manifest is None or plugin.id == id or (since is not None and _age(plugin) > since):
            continue
        for asked in asked_by(plugin.manifest):
            if asked.name not in theirs.owners:
                owners.setdefault(asked.name, f"a variable of the plugin {plugin.id}")
                hosts[asked.name] = hosts.get(asked.name, frozenset()) | asked.hosts
    return Theirs(owners=owners, hosts=hosts)


def _age(plugin: Plugin) -> tuple[datetime, str]:
    return plugin.entry.added_at, plugin.id


def asked_by(manifest: Manifest) -> Iterator[Asked]:
    """Every variable that a plugin asks for, and what for."""
    for id, row in manifest.providers.items():
        host = urlsplit(row.base_url).hostname or ""
        places = frozenset({host, *row.hosts}) if row.code is None and row.service is None else frozenset()
        whither = ", ".join(sorted(place for place in places if place)) or "its service"
        for name in row.key_env:
            yield Asked(
                name=name,
                for_whom=f"the provider {id}, which sends it to {whither}",
                required=row.auth.required,
                hosts=places,
            )
    for id, code in manifest.code.items():
        for env in code.env:
            yield Asked(name=env.name, for_whom=f"the program {id}", of=f"code.{id}", required=env.required)
    for id, service in manifest.services.items():
        for name in referred_to(service):
            yield Asked(name=name, for_whom=f"the service {id}", of=f"services.{id}")


def referred_to(said: object) -> Iterator[str]:
    """Names of variables in `env:NAME`, wherever it stands."""
    if isinstance(said, str):
        if (found := re.fullmatch(r"env:(\w+)", said)) is not None:
            yield found[1]
    elif isinstance(said, Mapping):
        for inner in said.values():
            yield from referred_to(inner)
    elif isinstance(said, list | tuple):
        for inner in said:
            yield from referred_to(inner)


def withheld(manifest: Manifest, granted: Collection[str], theirs: Theirs) -> dict[str, str]:
    """The variables that it does not get, and why."""
    found = {}
    for asked in asked_by(manifest):
        if asked.name in granted:
            continue
        owner = theirs.owners.get(asked.name) or (
            "this machine's" if PROTECTED.fullmatch(asked.name) else None
        )
        at_home = asked.hosts and asked.hosts <= theirs.hosts.get(asked.name, frozenset())
        if owner is not None and not at_home:
            found[asked.name] = owner
    return found
