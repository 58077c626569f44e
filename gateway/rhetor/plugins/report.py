"""What is told of plugins: the same over HTTP, in a terminal, and before one is added."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from rhetor.core.content import Json, JsonValue
from rhetor.plugins.guest.spec import Most, capped
from rhetor.plugins.loader import Plugin
from rhetor.plugins.manifest import CodePart, Manifest, PluginRow
from rhetor.plugins.reading import Problem
from rhetor.plugins.shelf import Arrival
from rhetor.plugins.variables import Theirs, asked_by, withheld


def plugin_report(plugin: Plugin, theirs: Theirs, environ: Mapping[str, str], most: Most) -> Json:
    """A plugin that is there."""
    entry = plugin.entry
    about: Json = {
        "id": plugin.id,
        "status": plugin.status.value,
        "reason": plugin.reason,
        "source": entry.source,
        "ref": entry.ref,
        "ref_kind": entry.ref_kind,
        "commit": entry.commit,
        "digest": f"sha256:{entry.digest}",
        "added_at": entry.added_at.isoformat(),
        "updated_at": entry.updated_at.isoformat(),
        "problems": _problems(plugin.problems),
        "warnings": [*plugin.warnings, *_lowered(plugin.manifest, most)],
    }
    if plugin.manifest is None:
        missing: list[JsonValue] = [{"id": id, "available": False} for id in entry.providers]
        return {**about, "name": plugin.id, "version": entry.version, "providers": missing}
    return {**about, **_manifest(plugin.manifest, entry.granted, theirs, environ, most)}


def arrival_report(
    arrival: Arrival, granted: Collection[str], theirs: Theirs, environ: Mapping[str, str], most: Most
) -> Json:
    """A plugin that was fetched, and is not added."""
    judged = arrival.judged
    about: Json = {
        "id": arrival.id,
        "status": judged.status.value,
        "reason": judged.reason,
        "source": arrival.source.said,
        "ref": arrival.source.ref,
        "ref_kind": arrival.pinned.get("ref_kind", ""),
        "commit": arrival.pinned.get("commit", ""),
        "digest": f"sha256:{arrival.digest}",
        "manifest": judged.reading.file,
        "problems": _problems(judged.reading.problems),
        "warnings": [*arrival.warnings, *_lowered(judged.reading.manifest, most)],
    }
    manifest = judged.reading.manifest
    return about if manifest is None else {**about, **_manifest(manifest, granted, theirs, environ, most)}


def _manifest(
    manifest: Manifest, granted: Collection[str], theirs: Theirs, environ: Mapping[str, str], most: Most
) -> Json:
    return {
        "name": manifest.name or manifest.id,
        "version": manifest.version,
        "description": manifest.description,
        "author": manifest.author,
        "license": manifest.license,
        "homepage": manifest.homepage,
        "providers": [_provider(id, row) for id, row in manifest.providers.items()],
        "services": [_service(name, said) for name, said in manifest.services.items()],
        "code": [
            {
                "name": name,
                "language": code.language,
                "main": code.main,
                "requirements": list(code.requirements),
                "hosts": list(code.hosts),
                "limits": _limits(code, most),
            }
            for name, code in manifest.code.items()
        ],
        "variables": list(_variables(manifest, granted, theirs, environ)),
    }


def _limits(code: CodePart, most: Most) -> JsonValue:
    """What it asks for, as far as it gets that."""
    held = capped(code.limits.limits(), most)[0]
    asked = [name for name, value in code.limits.model_dump().items() if value is not None]
    return {name: getattr(held, name) for name in asked}


def _lowered(manifest: Manifest | None, most: Most) -> Iterator[JsonValue]:
    """What programs ask for and do not get."""
    for name, code in manifest.code.items() if manifest is not None else ():
        for limit, (asked, given) in capped(code.limits.limits(), most)[1].items():
            if asked is not None:
                yield (
                    f"the program {name} asks for limits.{limit} {asked} and gets {given}: "
                    f"plugins.limits.{limit} is the most"
                )


def _provider(id: str, row: PluginRow) -> JsonValue:
    return {
        "id": id,
        "name": row.name or id,
        "wire": row.wire,
        "base_url": row.base_url,
        "code": row.code,
        "service": row.service,
        "capabilities": [each.value for each in sorted(row.capabilities)],
        "models": [model.id for model in row.models],
    }


def _service(name: str, said: Mapping[str, JsonValue]) -> JsonValue:
    command = said.get("command")
    compose = said.get("compose")
    return {
        "name": name,
        "command": [str(part) for part in command] if isinstance(command, list | tuple) else [],
        "compose": str(compose.get("file", "")) if isinstance(compose, Mapping) else "",
    }


def _variables(
    manifest: Manifest, granted: Collection[str], theirs: Theirs, environ: Mapping[str, str]
) -> Iterator[JsonValue]:
    """Each variable that it asks for; never what is in it."""
    kept_back = withheld(manifest, granted, theirs)
    for asked in asked_by(manifest):
        yield {
            "name": asked.name,
            "for": asked.for_whom,
            "required": asked.required,
            "set": bool(environ.get(asked.name, "").strip()),
            "withheld": kept_back.get(asked.name, ""),
        }


def _problems(problems: Collection[Problem]) -> list[JsonValue]:
    return [{"path": each.path, "message": each.message, "value": each.value} for each in problems]
