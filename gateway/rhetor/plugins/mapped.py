"""Manifests of MediaConduit, read as ours: what they say of providers and services, and what is left out.

Their fields are `MediaConduit.provider.yml`'s and `MediaConduit.service.yml`'s. What a provider of theirs
does is TypeScript that runs inside of its host; it is never run here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rhetor.core.capability import Capability
from rhetor.plugins.manifest import Manifest, Reading, ServiceCheck, manifest_of
from rhetor.plugins.reading import Problem, Unreadable, read_mapping

PROVIDER = "MediaConduit.provider.yml"
SERVICE = "MediaConduit.service.yml"
FILES = (PROVIDER, SERVICE)
REPLACE = "see docs/plugins.md for how it becomes a row or a program of `code`"
COMPOSE_FILES = ("docker-compose.yml", "docker-compose.yaml", "compose.yaml", "compose.yml")
_SIZES = {"": 1 / (1 << 20), "k": 1 / 1024, "m": 1, "g": 1024, "t": 1 << 20}


def read_earlier(given: Mapping[str, bytes], folder: Path, check_service: ServiceCheck) -> Reading:
    """What their manifests make, as one of ours, or everything that is wrong with them.

    Args:
        given: the files by their names.
        folder: where they are, for the files that they name.
    """
    said: dict[str, Mapping[str, Any]] = {}
    problems: list[Problem] = []
    for name, data in given.items():
        try:
            said[name] = read_mapping(data, name)
        except Unreadable as error:
            problems.append(error.problem)
    file = " and ".join(given)
    if problems:
        return Reading(file=file, problems=tuple(problems))
    mapping = _Mapping(folder)
    whole = mapping.whole(said.get(PROVIDER), said.get(SERVICE))
    return manifest_of(whole, check_service, file, mapping.warnings)


class _Mapping:
    """One translation, and what it warns of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.warnings: list[str] = []

    def whole(self, provider: Mapping[str, Any] | None, service: Mapping[str, Any] | None) -> dict[str, Any]:
        first = provider if provider is not None else service or {}
        id = _id(first.get("id") or first.get("name"))
        made: dict[str, Any] = {"plugin": 1, "id": id}
        made |= {
            name: str(first[name])
            for name in ("name", "version", "description", "author", "license", "homepage")
            if isinstance(first.get(name), str | int | float)
        }
        raised = None
        if service is not None:
            raised = self._service(service)
        elif provider is not None:
            raised = self._service_of(provider)
        if raised is not None:
            made["services"] = {id: raised}
        if provider is not None:
            made["providers"] = self._provider(id, provider, raised is not None)
        elif raised is not None:
            made["providers"] = {id: self._row(first, served=True)}
        return made

    # Providers.

    def _provider(self, id: str, said: Mapping[str, Any], served: bool) -> dict[str, Any]:
        for name, what in (("main", "a program"), ("exportName", "a class of it")):
            if said.get(name):
                self._leave(name, f"{said[name]!r} is {what} that is not run; {REPLACE}")
        if said.get("dependencies"):
            self._leave("dependencies", "they are what that program needs, and are not installed")
        self._unknown(said, PROVIDER_FIELDS)
        setting = said.get("serviceConfig") or {}
        base_url = setting.get("defaultBaseUrl") if isinstance(setting, Mapping) else None
        row = self._row(said, served)
        if not served and isinstance(base_url, str):
            row["base_url"] = base_url.rstrip("/")
        if not served and "base_url" not in row:
            self._leave("type", f"says {said.get('type', 'nothing')!r}, and nothing says where it answers")
        return {id: row}

    def _row(self, said: Mapping[str, Any], served: bool) -> dict[str, Any]:
        row: dict[str, Any] = {"name": str(said.get("name") or said.get("id") or ""), "wire": "openai"}
        self.warnings.append(
            "nothing says which language it speaks; it is taken to speak OpenAI's (wire: openai)"
        )
        if served:
            row["service"] = _id(said.get("id") or said.get("name"))
        if said.get("type") in ("local", "docker") and not served:
            row |= {"local": True, "auth": {"required": False}}
        if capabilities := self._capabilities(said.get("capabilities"), "capabilities"):
            row["capabilities"] = capabilities
        models = said.get("models")
        if isinstance(models, list):
            row["models"] = [
                self._model(n, model) for n, model in enumerate(models) if isinstance(model, Mapping)
            ]
        return row

    def _model(self, n: int, said: Mapping[str, Any]) -> dict[str, Any]:
        path = f"models[{n}]"
        model: dict[str, Any] = {"id": str(said.get("id", ""))}
        model |= {name: said[name] for name in ("name", "description") if isinstance(said.get(name), str)}
        if capabilities := self._capabilities(said.get("capabilities"), f"{path}.capabilities"):
            model["capabilities"] = capabilities
        parameters = said.get("parameters")
        for name, value in (parameters if isinstance(parameters, Mapping) else {}).items():
            if name == "maxTokens" and isinstance(value, int):
                model["max_output_tokens"] = value
            else:
                self._leave(f"{path}.parameters.{name}", "callers say it with each request")
        for name in ("inputTypes", "outputTypes"):
            if name in said and not capabilities:
                self._leave(f"{path}.{name}", "capabilities say it")
        return model

    def _capabilities(self, said: object, path: str) -> list[str]:
        found = []
        for word in said if isinstance(said, list) else []:
            name = (
                re.sub(r"(?<=[a-z])(?=[A-Z])|[_\s]+", "-", str(word))
                .lower()
                .replace("text-to3-d", "text-to-3d")
            )
            if name in set(Capability):
                found.append(name)
            else:
                self._leave(path, f"{word!r} is no capability")
        return found

    # Services.

    def _service_of(self, said: Mapping[str, Any]) -> dict[str, Any] | None:
        """What a provider says of its service."""
        setting = said.get("serviceConfig")
        if not isinstance(setting, Mapping):
            if said.get("serviceUrl"):
                self._leave("serviceUrl", "is not fetched: a plugin brings its own service")
            return None
        file = self._compose_file(setting.get("dockerCompose"))
        if said.get("serviceUrl"):
            there = "" if file else f"; clone {said['serviceUrl']} and add that folder"
            self._leave("serviceUrl", f"is not fetched: a plugin brings its own service{there}")
        if file is None:
            if "dockerCompose" in setting:
                self._leave("serviceConfig.dockerCompose", "there is no such file in the plugin")
            return None
        base_url = str(setting.get("defaultBaseUrl") or "")
        return _composed(
            file,
            str(setting.get("serviceName") or _id(said.get("id"))),
            base_url,
            setting.get("healthEndpoint"),
        )

    def _service(self, said: Mapping[str, Any]) -> dict[str, Any] | None:
        docker = said.get("docker")
        docker = docker if isinstance(docker, Mapping) else {}
        file = self._compose_file(docker.get("composeFile"))
        self._unknown(said, SERVICE_FIELDS)
        for name in ("image", "environment", "volumes"):
            if docker.get(name):
                self._leave(f"docker.{name}", "the compose file says it")
        if file is None:
            self._leave("docker.composeFile", "there is no compose file in the plugin")
            return None
        health = docker.get("healthCheck")
        health = health if isinstance(health, Mapping) else {}
        where = str(health.get("url") or health.get("endpoint") or "")
        ports = docker.get("ports")
        port = str(ports[0]) if isinstance(ports, list) and ports else where
        made = _composed(file, str(docker.get("serviceName") or _id(said.get("name"))), port, where)
        made |= self._requires(said.get("requirements"))
        for name in ("interval", "timeout", "retries"):
            if name in health:
                self._leave(f"docker.healthCheck.{name}", "it is asked as often as it takes")
        return made

    def _requires(self, said: object) -> dict[str, Any]:
        if not isinstance(said, Mapping):
            return {}
        wanted: dict[str, Any] = {}
        if said.get("gpu") not in (None, False, "false", "optional", "none"):
            wanted["gpu"] = True
        for name, ours in (("memory", "memory_mb"), ("disk", "disk_mb")):
            if (size_mb := _size_mb(said.get(name))) is not None:
                wanted[ours] = size_mb
        if "cpu" in said:
            self._leave("requirements.cpu", "it is not looked at")
        return {"requires": wanted} if wanted else {}

    def _compose_file(self, said: object) -> str | None:
        names = (str(said).removeprefix("./"),) if said else COMPOSE_FILES
        inside = [name for name in names if ".." not in name.split("/") and not name.startswith("/")]
        return next((name for name in inside if (self._folder / name).is_file()), None)

    def _unknown(self, said: Mapping[str, Any], known: frozenset[str]) -> None:
        for name in said:
            if name not in known:
                self._leave(str(name), "is not known here")

    def _leave(self, path: str, why: str) -> None:
        self.warnings.append(f"{path}: not taken over: {why}")


PROVIDER_FIELDS = frozenset(
    {
        "id",
        "type",
        "capabilities",
        "serviceUrl",
        "serviceConfig",
        "models",
        "main",
        "exportName",
        "dependencies",
    }
    | Manifest.model_fields.keys()
)
SERVICE_FIELDS = frozenset({"capabilities", "docker", "requirements"} | Manifest.model_fields.keys())


def _composed(file: str, service: str, port: str, health: object) -> dict[str, Any]:
    made: dict[str, Any] = {"compose": {"file": file, "service": service, "port": _port(port) or 80}}
    path = urlsplit(str(health)).path if health else ""
    if path.startswith("/"):
        made["health"] = path
    return made


def _port(said: str) -> int | None:
    """The last number that is a port: of `8080:80` the one inside of the container."""
    found: Iterator[int] = (int(number) for number in re.findall(r"(?<=:)\d{1,5}(?=$|/)|^\d{1,5}$", said))
    return next((number for number in reversed(list(found)) if 0 < number < 65_536), None)


def _size_mb(said: object) -> int | None:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", str(said), re.IGNORECASE)
    return max(1, round(float(found[1]) * _SIZES[found[2].lower()])) if found is not None else None


def _id(said: object) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", str(said or "").lower()).strip("-")
