"""From what was written of a service to what runs it: looked for, checked, given its environment, started."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rhetor.core.clock import Clock, SystemClock
from rhetor.core.errors import Code, RhetorError
from rhetor.services.compose import Composed
from rhetor.services.contact import Probe
from rhetor.services.entry import Entry
from rhetor.services.environment import ENGINE, Resolve, inherited, secrets_of, variables
from rhetor.services.house import House
from rhetor.services.launch import Launcher, Program, Running
from rhetor.services.ports import Ports
from rhetor.services.probing import ANY, answers_at, takes_connections
from rhetor.services.process import OnSaid, Spec
from rhetor.services.requirements import Requirement, check
from rhetor.services.reuse import Reused
from rhetor.services.spec import Compose, Requires, ServiceSpec, variable
from rhetor.services.supervisor import Plan, Service, State, at_once
from rhetor.store.own import make_own
from rhetor.telemetry.logs import Redactor

RAISED = ".raised"
ANY_PORT = "0"  # the engine chooses one: nobody else can take it in between


def _nowhere(reference: str) -> str:
    raise LookupError(f"nobody looks {reference} up")


def _nobody(_: str) -> None:
    pass


@dataclass(kw_only=True)
class Surroundings:
    """What services are handed."""

    house: Callable[[], House]
    """Whom their processes belong to; asked for when the first one is started."""
    folder: Path
    """Where each has a folder of its own."""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    resolve: Resolve = _nowhere
    redactor: Redactor = field(default_factory=Redactor)
    """Is told the secrets that they get, and takes them out of what they say."""
    clock: Clock = field(default_factory=SystemClock)
    on_ready: Callable[[str], None] = _nobody
    on_restart: Callable[[str], None] = _nobody


class Maker:
    """Makes services.

    Args:
        before_first: awaited before anything is started.
    """

    def __init__(self, around: Surroundings, before_first: Callable[[], Awaitable[None]]) -> None:
        self._around = around
        self._before_first = before_first
        self._ports = Ports()

    def make(
        self,
        entry: Entry,
        spec: ServiceSpec,
        on_change: Callable[[State], None],
        cleared: Callable[[], Awaitable[None]],
    ) -> Service:
        """
        Args:
            cleared: awaited before one is started that cannot run beside the one that it replaces.
        """
        health = spec.health
        alive = takes_connections(health.timeout_s)
        found, well = alive, None
        if health.path is not None:
            found = answers_at(health.path, health.timeout_s)
            well = answers_at(health.path, health.timeout_s, ANY)
        plan = Plan(
            label=entry.name,
            ready=health.says.encode() if health.says is not None else found,
            alive=alive,
            well=well,
            silent_s=health.silent_s,
            start_s=spec.start_s,
            idle_stop_s=None if spec.always else spec.idle_stop_s,
            grace_s=spec.grace_s,
            restart=spec.restart,
        )
        alone = spec.port is not None or spec.compose is not None
        return Service(
            plan,
            self._launcher(entry, spec, found, alive),
            redact=self._around.redactor.text,
            on_said=entry.journal.put,
            on_change=on_change,
            cleared=cleared if alone else at_once,
        )

    def _launcher(
        self,
        entry: Entry,
        spec: ServiceSpec,
        found: Probe,
        alive: Probe,
    ) -> Launcher:
        starter: Launcher | None = None
        if spec.command or spec.compose is not None:
            starter = _Starter(self, entry, spec, alive)
        if spec.reuse is not None:
            return Reused(entry.name, spec.reuse, found, alive, starter)
        assert starter is not None, "a service has a command, a compose file, or an address"
        return starter

    async def prepare(self, name: str, spec: ServiceSpec) -> dict[str, str]:
        """Make its folder, and tell its secrets to those who hide them: the environment it gets.

        Raises:
            RhetorError: unavailable, a reference leads nowhere.
        """
        await self._before_first()
        if spec.folder is None:
            folder = self.folder(name, spec)
            await asyncio.to_thread(make_own, folder)
        return await asyncio.to_thread(self._environment, name, spec)

    def _environment(self, name: str, spec: ServiceSpec) -> dict[str, str]:
        secrets = secrets_of(name, spec, self._around.resolve)
        lines = [line for secret in secrets.values() for line in secret.splitlines()]  # as it may print them
        self._around.redactor.learn([*secrets.values(), *lines])
        also = ENGINE if spec.compose is not None else frozenset[str]()
        return {**inherited(self._around.environ, also), **variables(name, spec), **secrets}

    def program(self, name: str, spec: ServiceSpec, env: Mapping[str, str]) -> Launcher:
        what = Spec(argv=spec.command, cwd=self.folder(name, spec), env=env, label=name)
        return Program(what, self._around.house(), self._ports, mark=f"service {name}", port=spec.port)

    def composed(
        self,
        name: str,
        spec: ServiceSpec,
        compose: Compose,
        env: Mapping[str, str],
        alive: Probe | None = None,
    ) -> Composed:
        published = ANY_PORT if spec.port is None else str(spec.port)
        ports = dict.fromkeys((variable(name), variable(compose.service)), published)
        return Composed(
            name,
            compose,
            self._around.house(),
            mark=f"service {name}",
            env={**env, **ports, **{key: it for key, it in spec.env.items() if key in ports}},
            assigned=spec.port,
            raised=self._around.folder / name / RAISED,
            alive=alive or takes_connections(spec.health.timeout_s),
            redact=self._around.redactor.text,
        )

    def folder(self, name: str, spec: ServiceSpec) -> Path:
        return spec.folder or self._around.folder / name

    async def requirements(self, name: str, spec: ServiceSpec) -> list[Requirement]:
        folder, environ = self.folder(name, spec), self._around.environ
        return await asyncio.to_thread(check, _requires(spec), folder, environ)


class _Starter:
    """Starts what is not there yet, where the machine has what it takes."""

    def __init__(
        self,
        maker: Maker,
        entry: Entry,
        spec: ServiceSpec,
        alive: Probe,
    ) -> None:
        self._maker = maker
        self._entry = entry
        self._spec = spec
        self._alive = alive

    async def launch(self, on_said: OnSaid) -> Running:
        name, spec = self._entry.name, self._spec
        await self._check()
        env = await self._maker.prepare(name, spec)
        if spec.compose is not None:
            return await self._maker.composed(name, spec, spec.compose, env, self._alive).launch(on_said)
        return await self._maker.program(name, spec, env).launch(on_said)

    async def _check(self) -> None:
        """
        Raises:
            RhetorError: unavailable, the machine has not what it takes.
        """
        name = self._entry.name
        checked = await self._maker.requirements(name, self._spec)
        unmet = [str(it) for it in checked if it.met is False]
        if unmet and not self._spec.requires.only_warn:
            message = f"{name} is not started, since something is missing: {'; '.join(unmet)}"
            raise RhetorError(f"{message}; see services.{name}.requires", Code.UNAVAILABLE)
        for it in checked:
            if not it.met:
                self._entry.journal.note(f"may not work, {it}")


def _requires(spec: ServiceSpec) -> Requires:
    """What was written, and the program itself."""
    programs = ("docker",) if spec.compose is not None else spec.command[:1]
    plain = [it for it in programs if os.sep not in it or os.path.isabs(it)]
    return replace(spec.requires, commands=tuple(dict.fromkeys((*plain, *spec.requires.commands))))
