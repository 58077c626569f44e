"""What plugins bring, as this configuration takes them: rows, services and programs, and what each may have.

Reading a book executes nothing and changes nothing; `guests.py` puts it into force.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from rhetor.assembly import Guest
from rhetor.config import Config, ConfigError
from rhetor.config.guests import service_of
from rhetor.config.services import ServiceConfig
from rhetor.core.addresses import is_link_local
from rhetor.core.value import value
from rhetor.plugins.guest.spec import CodeSpec, Most, capped
from rhetor.plugins.loader import Loaded, Plugin, Taken, load
from rhetor.plugins.lock import Lock
from rhetor.plugins.manifest import CodePart, Manifest, PluginRow
from rhetor.plugins.reading import Problem
from rhetor.plugins.variables import Theirs, asked_by, owners_of, referred_to, theirs_beside, withheld
from rhetor.providers.offline import OFFLINE_ROW
from rhetor.providers.spec import AuthSpec, ProviderRow
from rhetor.services.spec import ServiceSpec, service_url
from rhetor.store.sql.folder import usual_folder
from rhetor.wire.base import ModelEntry

IN_MEMORY = ":memory:"
FOLDER = "plugins"
PLUGIN_FOLDER = "{plugin}"
NOWHERE = "http://plugin.invalid"
NO_TRACES = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Python would else write beside the plugin's files, which then are no more what was added."""


@value(kw_only=True)
class Book:
    """Every plugin, and what comes of those that are used."""

    loaded: Loaded
    theirs: Theirs
    guests: Mapping[str, Guest] = field(default_factory=dict)
    """By the provider's id."""
    programs: Mapping[str, CodeSpec] = field(default_factory=dict)
    """Likewise."""
    served: Mapping[str, str] = field(default_factory=dict)
    """Likewise, the service that it is."""
    services: Mapping[str, ServiceSpec] = field(default_factory=dict)
    """By their own names."""

    def plugin(self, id: str) -> Plugin | None:
        return next((plugin for plugin in self.loaded.plugins if plugin.id == id), None)


def folder_of(config: Config, environ: Mapping[str, str]) -> Path | None:
    """Where plugins are kept; None: nowhere."""
    if config.plugins.folder is not None:
        return Path(config.plugins.folder).expanduser().absolute()
    if config.store.folder == IN_MEMORY:
        return None
    said = config.store.folder
    return (Path(said).expanduser().absolute() if said else usual_folder(environ)) / FOLDER


def most_of(config: Config) -> Most:
    """What programs get at most."""
    return Most(**config.plugins.limits.model_dump())


def taken_names(config: Config, rows: Mapping[str, ProviderRow]) -> Taken:
    """Whose names are whose, before any plugin has come."""
    providers = dict.fromkeys([*rows, OFFLINE_ROW.id], "built in")
    own = [id for id, setting in config.providers.items() if setting.wire is not None]
    providers |= dict.fromkeys((id for id in own if id not in providers), "in the configuration")
    return Taken(providers=providers, services=dict.fromkeys(config.services, "in the configuration"))


def read_book(
    config: Config,
    environ: Mapping[str, str],
    rows: Mapping[str, ProviderRow],
    planned: Lock | None = None,
) -> Book:
    """Every plugin as it is now. Reads all of their files: not for the event loop.

    Args:
        rows: the built-in providers.
        planned: the plugins that there may be soon, instead of those that there are.
    """
    taken = taken_names(config, rows)
    loaded = load(folder_of(config, environ), config.plugins.off, taken, service_problems, planned)
    theirs = owners_of(list(rows.values()), list(_named_in(config, rows)))
    writing = _Writing(config, environ, theirs, loaded.plugins)
    for plugin in loaded.plugins:
        writing.write(plugin)
    for plugin in loaded.plugins:
        writing.excuse(plugin, taken)
    if loaded.trouble:
        for id in _meant_by(config) - taken.providers.keys():
            writing.guests[id] = _nobody(id, "", f"plugins cannot be read: {loaded.trouble}")
    return Book(
        loaded=loaded,
        theirs=theirs,
        guests=writing.guests,
        programs=writing.programs,
        served=writing.served,
        services=writing.services,
    )


def _meant_by(config: Config) -> set[str]:
    """The providers that a configuration speaks of."""
    rules = config.rules
    named = [*config.aliases.values(), *rules.component_task.values(), *rules.component.values()]
    named += [*rules.task.values(), rules.default or ""]
    named += [said.target for route in config.routes.values() for said in route.targets]
    return set(config.providers) | {name.partition("/")[0] for name in named if "/" in name}


def _nobody(id: str, plugin: str, off: str) -> Guest:
    """A provider that cannot be asked, since its plugin cannot be used."""
    row = ProviderRow(
        id=id, name=id, wire="openai", base_url=NOWHERE, auth=AuthSpec(required=False), status="plugin"
    )
    return Guest(row=row, plugin=plugin, off=off)


def _named_in(config: Config, rows: Mapping[str, ProviderRow]) -> Iterator[str]:
    """The variables that the configuration refers to, other than for plugins' providers: those are theirs."""
    said = config.model_dump(mode="json", exclude={"plugins"})
    providers = {
        id: setting
        for id, setting in said["providers"].items()
        if id in rows or setting.get("wire") is not None
    }
    yield from referred_to({**said, "providers": providers})


class _Writing:
    """One book while it is written."""

    def __init__(
        self, config: Config, environ: Mapping[str, str], theirs: Theirs, plugins: Sequence[Plugin]
    ) -> None:
        self._config = config
        self._plugins = plugins
        self._environ = environ
        self._theirs = theirs
        self.guests: dict[str, Guest] = {}
        self.programs: dict[str, CodeSpec] = {}
        self.served: dict[str, str] = {}
        self.services: dict[str, ServiceSpec] = {}

    def write(self, plugin: Plugin) -> None:
        """What a plugin brings."""
        if plugin.manifest is None or plugin.folder is None:
            return
        manifest, folder = plugin.manifest, plugin.folder
        theirs = theirs_beside(self._theirs, self._plugins, plugin.id)
        kept_back = withheld(manifest, plugin.entry.granted, theirs)
        lacking = dict(self._lacking(plugin.id, manifest, kept_back))
        specs = {
            name: _service(plugin.id, name, service_of(name, said), folder)
            for name, said in manifest.services.items()
        }
        self.services |= {name: spec for name, spec in specs.items() if f"services.{name}" not in lacking}
        for id, row in manifest.providers.items():
            where, base_url = "", row.base_url
            if row.code is not None:
                where, base_url = f"code.{row.code}", f"guest://{id}"
                self.programs[id] = self._program(
                    plugin, row.code, manifest.code[row.code], folder, kept_back
                )
            elif row.service is not None:
                where = f"services.{row.service}"
                base_url = service_url(row.service, specs[row.service].base_path + row.base_url)
                self.served[id] = row.service
            self.guests[id] = Guest(
                row=row.row(base_url),
                plugin=plugin.id,
                off=lacking.get(where),
                models=_models(row),
                withheld={name: whose for name, whose in kept_back.items() if name in row.key_env},
            )

    def excuse(self, plugin: Plugin, taken: Taken) -> None:
        """Say why the providers of a plugin that is not used are off, unless their names are somebody's."""
        if plugin.manifest is not None:
            return
        for id in plugin.entry.providers:
            if id not in self.guests and id not in taken.providers:
                off = f"the plugin {plugin.id!r} is {plugin.status}: {plugin.reason}"
                self.guests[id] = _nobody(id, plugin.id, off)

    def _lacking(
        self, id: str, manifest: Manifest, kept_back: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        """By the program or service that wants it, which variable is missing; the first of them is enough."""
        for asked in reversed(list(asked_by(manifest))):
            if not asked.required or not asked.of:
                continue
            if asked.name in kept_back:
                grant = f"`rhetor providers update {id} --grant {asked.name}`"
                yield asked.of, f"{asked.name} is {kept_back[asked.name]}; to let {id!r} have it, {grant}"
            elif not self._environ.get(asked.name, "").strip():
                yield asked.of, f"{asked.for_whom} needs {asked.name}: set it"

    def _program(
        self, plugin: Plugin, name: str, code: CodePart, folder: Path, kept_back: Mapping[str, str]
    ) -> CodeSpec:
        reads = self._config.plugins.reads.get(plugin.id, ())
        names = [env.name for env in code.env if env.name not in kept_back]
        return CodeSpec(
            id=program_id(plugin.id, name),
            folder=folder,
            language=code.language,
            main=code.main,
            requirements=code.requirements,
            environ={each: text for each in names if (text := self._environ.get(each, ""))},
            hosts=code.hosts,
            reads=tuple(Path(path).expanduser() for path in reads),
            limits=capped(code.limits.limits(), most_of(self._config))[0],
        )


def program_id(plugin: str, name: str) -> str:
    """What a program of a plugin is called, for logs and folders."""
    return name if name == plugin else f"{plugin}.{name}"


def plugin_of(program: str) -> str:
    return program.partition(".")[0]


def _models(row: PluginRow) -> tuple[ModelEntry, ...]:
    return tuple(
        ModelEntry(
            model.id,
            name=model.name,
            context_tokens=model.context_tokens,
            max_output_tokens=model.max_output_tokens,
            features=None if model.features is None else frozenset(each.value for each in model.features),
            capabilities=row.capabilities if model.capabilities is None else model.capabilities,
        )
        for model in row.models
    )


# Services.


def service_problems(name: str, said: Mapping[str, Any]) -> Sequence[Problem]:
    """What is wrong with a service of a plugin: as in the configuration, and it stays within its folder."""
    path = f"services.{name}"
    try:
        setting = service_of(name, said)
    except ConfigError as error:
        return [Problem(each.path, each.message, each.value) for each in error.problems]
    return list(_trespasses(path, setting))


def _trespasses(path: str, setting: ServiceConfig) -> Iterator[Problem]:
    if setting.folder is not None:
        yield Problem(f"{path}.folder", "of a plugin's service is one of its own; leave it out")
    if setting.compose is not None and not _is_inside(setting.compose.file):
        yield Problem(f"{path}.compose.file", "must be a file of the plugin", repr(setting.compose.file))
    for key, text in setting.env.items():
        if text.startswith("file:"):
            yield Problem(
                f"{path}.env.{key}", "may refer to variables (env:NAME), not to files of this machine"
            )
        elif text.startswith("env:") and not re.fullmatch(r"env:\w+", text):
            yield Problem(f"{path}.env.{key}", "must name one variable, such as env:NAME")
    if setting.reuse is not None and is_link_local(urlsplit(setting.reuse.origin).hostname or ""):
        yield Problem(f"{path}.reuse.url", "leads to where a cloud tells its machines their secrets")
    if setting.always:
        yield Problem(
            f"{path}.always", "is the operator's to say; leave it out: it is started when it is needed"
        )


def _is_inside(text: str) -> bool:
    path = PurePosixPath(text)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in text and not text.startswith("~")


def _service(plugin: str, name: str, setting: ServiceConfig, folder: Path) -> ServiceSpec:
    """The service: it runs in a folder of its own, and finds the plugin's files where they are."""
    spec = setting.spec(base=folder)
    compose = spec.compose
    if compose is not None and compose.project is None:
        # After the folder it would be called by the digest, and another one with every update.
        compose = replace(compose, project=f"rhetor-{plugin}-{name}")
    env = {key: text.replace(PLUGIN_FOLDER, str(folder)) for key, text in spec.env.items()}
    return replace(
        spec,
        command=tuple(_argument(part, folder) for part in spec.command),
        compose=compose,
        env={**NO_TRACES, **env},
    )


def _argument(part: str, folder: Path) -> str:
    """A file of the plugin by its whole path; everything else as it is."""
    if PLUGIN_FOLDER in part:
        return part.replace(PLUGIN_FOLDER, str(folder))
    if not part.startswith("-") and _is_inside(part) and (folder / part).is_file():
        return str(folder / part)
    return part
