"""Which row stands behind each provider of a configuration: the built-in one, changed, or one of its own."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.config import Problem, ProviderConfig
from rhetor.config.services import ServiceConfig
from rhetor.core.capability import Capability
from rhetor.providers.builtin import base_url_of
from rhetor.providers.places import placed
from rhetor.providers.spec import ProviderRow
from rhetor.services.spec import service_url
from rhetor.wire.languages import WIRES

GUEST = "guest"
"""The language of programs that plugins bring; nobody has an address where it is spoken."""


def row_of(
    id: str,
    setting: ProviderConfig,
    known: Mapping[str, ProviderRow],
    environ: Mapping[str, str],
    services: Mapping[str, ServiceConfig],
    problems: list[Problem],
) -> ProviderRow | None:
    """The built-in row with the file's changes, or the file's own; None and a problem when there is none."""
    upstreams = sorted(name for name, wire in WIRES.items() if wire.upstream and name != GUEST)
    named = {"wire": [setting.wire] if setting.wire is not None else [], "also": setting.also or ()}
    unknown = [(key, name) for key, names in named.items() for name in names if name not in upstreams]
    if unknown:
        message = f"no such language; there are {', '.join(upstreams)}"
        problems += [Problem(f"providers.{id}.{key}", message, repr(name)) for key, name in unknown]
        return None
    served = _served_at(id, setting, services, problems)
    if (builtin := known.get(id)) is not None:
        try:
            there = setting.base_url or served or base_url_of(builtin, environ)
        except ValueError as error:
            problems.append(Problem(f"providers.{id}.base_url", str(error)))
            return None
        moved = builtin if there == builtin.base_url else builtin.model_copy(update={"base_url": there})
        return placed(_changed(moved, setting), setting.place, environ, moved=setting.base_url is not None)
    if setting.wire is not None and (own := setting.base_url or served) is not None:
        keyed = setting.key is not None or setting.auth is not None
        speakers = (row for row in known.values() if setting.wire in (row.wire, *row.also))
        vendor = min(speakers, key=lambda row: row.wire != setting.wire)  # the first who speaks it first
        return _changed(_own(id, vendor, own, keyed), setting)
    missing = [name for name in ("wire", "base_url") if getattr(setting, name) is None]
    needed = "is required, since no built-in provider is called so"
    problems += [Problem(f"providers.{id}.{name}", needed) for name in missing]
    return None


def _served_at(
    id: str, setting: ProviderConfig, services: Mapping[str, ServiceConfig], problems: list[Problem]
) -> str | None:
    """Where the service is that a provider is, before anybody knows its port; None: it is none."""
    if setting.service is None:
        return None
    service = services.get(setting.service)
    if service is None:
        known = ", ".join(services) or "none"
        message = f"no such service; there are {known}: add it to services"
        problems.append(Problem(f"providers.{id}.service", message, repr(setting.service)))
    return service_url(setting.service, service.base_path if service is not None else "")


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
        place=vendor.place,
        signing=None if keyed else vendor.signing,
        # Few but the vendor do more, such as counting tokens or drawing: who does has to say so.
        capabilities=vendor.capabilities & USUAL or vendor.capabilities,
        status="configured",
    )


USUAL = frozenset({Capability.CHAT, Capability.EMBEDDINGS})
"""What everybody is taken to offer who speaks the language of somebody who does."""

REPLACED = (
    "wire",
    "also",
    "base_url",
    "name",
    "default_model",
    "embedding_model",
    "default_models",
    "capabilities",
    "features",
    "on_leave",
)


def _changed(row: ProviderRow, setting: ProviderConfig) -> ProviderRow:
    """The row with what the file says: most replaces what stood there, the rest is added to it."""
    if not setting.model_fields_set:
        return row
    changes: dict[str, object] = {
        name: value for name in REPLACED if (value := getattr(setting, name)) is not None
    }
    if setting.default_model is None and setting.models:
        changes["default_model"] = setting.models[0]
    changes["headers"] = {**row.headers, **setting.headers}
    if setting.service is not None:
        changes["local"] = True
    for name in ("auth", "quirks"):
        if (changed := getattr(setting, name)) is not None:
            said = {field: getattr(changed, field) for field in changed.model_fields_set}
            changes[name] = getattr(row, name).model_copy(update=said)
    return row.model_copy(update=changes)
