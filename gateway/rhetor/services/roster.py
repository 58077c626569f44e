"""All services by their names: defined, started, stopped, looked at, and cleaned up after."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.services.entry import SLACK_S, Cleaned, Entry, Status, kind_of
from rhetor.services.journal import Journal
from rhetor.services.making import Maker, Surroundings
from rhetor.services.reaper import reap
from rhetor.services.spec import ServiceSpec
from rhetor.services.supervisor import Service, State
from rhetor.tasks import Tasks

log = logging.getLogger(__name__)

UP = frozenset({State.STARTING, State.READY, State.SUSPECT})
SAID = "; it said: "
REMARKS = {
    State.STARTING: "starting",
    State.SUSPECT: "does not answer, and is looked at",
    State.STOPPING: "stopping",
    State.STOPPED: "stopped",
}


class Services:
    """The local servers of this gateway. Whoever made it closes it."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._maker = Maker(around, self._reap_first)
        self._entries: dict[str, Entry] = {}
        self._tasks = Tasks()
        self._leaving: dict[Service, asyncio.Task[None]] = {}
        """Those that were defined anew or removed, until they have stopped."""
        self._reaping: asyncio.Task[int] | None = None
        self._begun = False
        self._closed = False

    # Which there are.

    def named(self, name: str) -> Entry:
        """What holds the service of this name, whether it is defined already or not."""
        entry = self._entries.get(name)
        if entry is None:
            around = self._around
            journal = Journal(0, around.redactor, around.clock)
            entry = self._entries[name] = Entry(name, journal, around.clock.utc())
        return entry

    def get(self, name: str) -> Entry:
        """
        Raises:
            BadRequest: not_found.
        """
        entry = self._entries.get(name)
        if entry is None or entry.spec is None:
            known = ", ".join(self.names()) or "none"
            raise BadRequest(f"no service is called {name!r}; there are {known}", Code.NOT_FOUND)
        return entry

    def names(self) -> Sequence[str]:
        return [name for name, entry in self._entries.items() if entry.spec is not None]

    def define(self, name: str, spec: ServiceSpec) -> Entry:
        """There is such a service from now on. One that was defined otherwise leaves once nobody uses it."""
        entry = self.named(name)
        if entry.spec == spec:
            return entry
        if entry.spec is None:  # in the order of being defined, not of being spoken of
            self._entries[name] = self._entries.pop(name)
        before = entry.service
        service = self._make(entry, spec)
        entry.service, entry.spec = service, spec
        entry.journal.most_bytes = spec.logs_kb * 1024
        entry.since = self._around.clock.utc()
        entry.has_failed = False
        if before is not None and before.state is not State.STOPPED:
            was_up = before.state in UP
            entry.journal.note("defined anew")
            self._retire(name, before)
            if was_up:
                self._start_later(name, service, spec)
        if spec.always and self._begun:
            self._start_later(name, service, spec)
        return entry

    def remove(self, name: str) -> None:
        """There is none of this name any more; it is stopped once nobody uses it."""
        entry = self.get(name)
        before, entry.service, entry.spec = entry.service, None, None
        if before is not None and before.state is not State.STOPPED:
            self._retire(name, before)

    def is_up(self) -> Mapping[str, bool]:
        """Of every service, whether it is ready."""
        return {name: self._entries[name].is_ready for name in self.names()}

    # What is done with them.

    def begin(self) -> None:
        """End what an earlier gateway left behind, and start those that always run."""
        self._begun = True
        if self.names():
            self._reap()
        for name in self.names():
            service, spec = _defined(self._entries[name])
            if spec.always:
                self._start_later(name, service, spec)

    async def start(self, name: str) -> Status:
        """Start it, however often it has failed, and wait until it is ready.

        Raises:
            RhetorError: not_found; unavailable, and why.
        """
        service, spec = _defined(self.get(name))
        service.forgive()
        await service.ensure_ready(spec.start_s + SLACK_S)
        return await self.status(name)

    async def stop(self, name: str) -> Status:
        """Stop it, also while it is used. It is started again when somebody needs it."""
        service, _ = _defined(self.get(name))
        await service.stop()
        return await self.status(name)

    async def restart(self, name: str) -> Status:
        """Stop it, and start it."""
        service, _ = _defined(self.get(name))
        await service.stop()
        return await self.start(name)

    async def status(self, name: str) -> Status:
        entry = self.get(name)
        return await self._told(entry, *_defined(entry))

    async def statuses(self) -> Sequence[Status]:
        """Of all that there are now, whatever becomes of them meanwhile."""
        entries = [self._entries[name] for name in self.names()]
        return await asyncio.gather(*[self._told(it, *_defined(it)) for it in entries])

    async def _told(self, entry: Entry, service: Service, spec: ServiceSpec) -> Status:
        requirements = await self._maker.requirements(entry.name, spec)
        return Status(
            name=entry.name,
            kind=kind_of(spec),
            state=service.state,
            since=entry.since,
            url=None if service.origin is None else service.origin + spec.base_path,
            port=service.port,
            pid=service.pid if service.state in UP else None,
            own=service.own,
            restarts=entry.restarts,
            needed_by=service.needed_by,
            error=None if service.error is None else self._around.redactor.text(str(service.error)),
            requirements=tuple(requirements),
            providers=entry.providers,
            always=spec.always,
            idle_stop_s=spec.idle_stop_s,
        )

    def logs(self, name: str) -> Journal:
        """What it has said lately, and where to wait for more.

        Raises:
            BadRequest: not_found.
        """
        return self.get(name).journal

    async def cleanup(self) -> Cleaned:
        """Remove what earlier gateways left, and the containers of services that do not run."""
        processes = await reap(self._around.house().id)
        composed, errors = [], []
        for name in self.names():
            service, spec = self._entries[name].service, self._entries[name].spec
            if service is None or spec is None or spec.compose is None or service.state in UP:
                continue
            try:
                env = await self._maker.prepare(name, spec)
                await self._maker.composed(name, spec, spec.compose, env).down()
            except RhetorError as error:
                errors.append(self._around.redactor.text(error.message))
            else:
                composed.append(name)
        return Cleaned(processes, tuple(composed), tuple(errors))

    async def close(self) -> None:
        """Stop all of them, and everything that goes on here; nothing is started any more. Idempotent."""
        self._begun, self._closed = False, True
        services = [entry.service for entry in self._entries.values() if entry.service is not None]
        services += self._leaving
        for service in services:
            service.closed = True
        await asyncio.gather(*(service.stop() for service in services))
        await self._tasks.close()

    # How.

    def _make(self, entry: Entry, spec: ServiceSpec) -> Service:
        async def cleared() -> None:
            name = f"retire {entry.name}"
            if others := [
                it for gone, it in self._leaving.items() if gone is not service and it.get_name() == name
            ]:
                await asyncio.wait(others)

        def on_change(state: State) -> None:
            if entry.service is service:
                self._on_change(entry, service, spec, state)

        service = self._maker.make(entry, spec, on_change, cleared)
        service.closed = self._closed
        return service

    def _retire(self, name: str, service: Service) -> None:
        async def leave() -> None:
            try:
                await service.unneeded()
                service.closed = True
                await service.stop()
            finally:
                del self._leaving[service]

        self._leaving[service] = self._tasks.spawn(leave(), f"retire {name}")

    def _start_later(self, name: str, service: Service, spec: ServiceSpec) -> None:
        async def start() -> None:
            with suppress(RhetorError):  # its state tells
                await service.ensure_ready(spec.start_s + spec.restart.most_s + SLACK_S)

        self._tasks.spawn(start(), f"start {name}")

    def _on_change(self, entry: Entry, service: Service, spec: ServiceSpec, state: State) -> None:
        entry.since = self._around.clock.utc()
        log.info("service", extra={"service": entry.name, "state": state.value, "port": service.port})
        if (remark := REMARKS.get(state)) is not None:
            entry.journal.note(remark)
        elif state is State.READY:
            before = "" if service.own else ", where it was running already"
            entry.journal.note(f"ready at {service.origin}{before}")
            if entry.has_failed:
                entry.has_failed = False
                entry.restarts += 1
                self._around.on_restart(entry.name)
            self._around.on_ready(entry.name)
        elif state is State.FAILED:
            entry.has_failed = True
            entry.journal.note(f"failed: {str(service.error).partition(SAID)[0]}")
            if spec.always and self._begun:
                self._start_later(entry.name, service, spec)

    def _reap(self) -> asyncio.Task[int]:
        if self._reaping is None:
            self._reaping = self._tasks.spawn(reap(self._around.house().id), "reap services")
        return self._reaping

    async def _reap_first(self) -> None:
        await asyncio.wait([self._reap()])


def _defined(entry: Entry) -> tuple[Service, ServiceSpec]:
    assert entry.service is not None
    assert entry.spec is not None
    return entry.service, entry.spec
