"""Plugins in the house: what they bring is put into force, changed while it runs, and ended with it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import sys
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from rhetor.assembly import MakeTransport, Member, assemble
from rhetor.config import Config, ConfigError, Problem, ProviderConfig
from rhetor.core.capability import Capability
from rhetor.core.clock import Clock
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.guestbook import (
    Book,
    folder_of,
    most_of,
    plugin_of,
    program_id,
    read_book,
    service_problems,
    taken_names,
)
from rhetor.plugins.cache import discard, entries
from rhetor.plugins.desk import Change, Desk, Wish
from rhetor.plugins.guest.environment import tidy
from rhetor.plugins.guest.launch import sweep
from rhetor.plugins.guest.sandbox import Sandbox
from rhetor.plugins.guest.spec import CodeSpec, Policy
from rhetor.plugins.guest.transport import GuestTransport
from rhetor.plugins.leases import Lease, Leases
from rhetor.plugins.report import plugin_report
from rhetor.plugins.shelf import STATE, Rules, Shelf
from rhetor.plugins.variables import theirs_beside
from rhetor.providers.offline import OfflineTransport
from rhetor.providers.spec import ProviderRow
from rhetor.serving import Serving
from rhetor.tasks import Tasks
from rhetor.telemetry.logs import Redactor
from rhetor.transport.base import Transport

log = logging.getLogger(__name__)

T = TypeVar("T")

SAID_CHARS = 4_000
CHECK_S = 600.0  # of a plugin that draws and speaks; a film takes minutes
GUESTS_RUN = sys.platform != "win32"


class Guests:
    """What plugins need of the house.

    Args:
        rows: the built-in providers.
        renew: makes the house anew with the plugins that there are then; raises when that cannot be.
        try_out: checks a plugin that is there, in these capabilities, and asks for what is dear twice, too.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        rows: Mapping[str, ProviderRow],
        clock: Clock,
        redactor: Redactor,
        serving: Serving,
        renew: Callable[[], Awaitable[None]],
        try_out: Callable[[str, frozenset[Capability], bool], Awaitable[Json]],
    ) -> None:
        self._config = config
        self._environ = environ
        self._rows = rows
        self._clock = clock
        self._redactor = redactor
        self._serving = serving
        self._renew = renew
        self._try_out = try_out
        self._trying = asyncio.Lock()
        self._members: Mapping[str, Member] = {}
        self._defined: set[str] = set()
        """Services that plugins have brought."""
        self._programs: Leases[GuestTransport] = Leases(self._on_program_end)
        self._salt = secrets.token_bytes(32)
        self._stopped = self._tidying = False
        self._sandboxes: dict[Policy, Sandbox] = {}
        self._tasks = Tasks()
        self._turn = asyncio.Lock()
        self.book = read_book(config, environ, rows)

    # Put into force.

    def read(self, config: Config) -> Book:
        """Every plugin as it is now. Blocks.

        Raises:
            ConfigError: nothing can be said of them any more; what is in force stays so.
        """
        book = read_book(config, self._environ, self._rows)
        if book.loaded.trouble and not self.book.loaded.trouble:
            raise ConfigError([Problem("plugins", book.loaded.trouble)])
        return book

    def transports(self, config: Config, book: Book) -> MakeTransport:
        """What makes the way to each provider, theirs and all others."""
        others = self._serving.transports(config)

        def make(row: ProviderRow, setting: ProviderConfig) -> Transport:
            if (spec := book.programs.get(row.id)) is not None and row.wire == "guest":
                return self._lease(spec, config)
            transport = others(row, setting)
            service = book.served.get(row.id)
            if service is None or service not in book.services or setting.service or setting.base_url:
                return transport
            return self._serving.lead(transport, row, service)

        return make

    def apply(self, config: Config, book: Book, members: Mapping[str, Member]) -> None:
        """From now on these count. Awaits nothing, so that nobody sees half of it."""
        self._config, self.book, self._members = config, book, members
        for name in self._defined - book.services.keys():
            self._serving.services.remove(name)
        for name, spec in book.services.items():
            self._serving.services.define(name, spec)
        self._defined = set(book.services)
        for member in members.values():
            if isinstance(lease := member.provider.transport, Lease):
                lease.take()
        self._redactor.learn([text for spec in book.programs.values() for text in spec.environ.values()])
        self._serving.used_by(members)

    def begin(self) -> None:
        """Tell of those that are not used. The house stands."""
        if self.book.loaded.trouble:
            log.error("plugins not loaded", extra={"reason": self.book.loaded.trouble})
        for plugin in self.book.loaded.plugins:
            if plugin.reason:
                log.warning(
                    "plugin not used",
                    extra={"plugin": plugin.id, "status": plugin.status.value, "reason": plugin.reason},
                )

    async def sweep(self) -> None:
        """Remove what is left of plugins that are no more; only before anything of them is used."""
        shelf = self._shelf(self._config)
        if shelf is None or not shelf.folder.is_dir():
            return
        try:
            await asyncio.to_thread(shelf.sweep)
            await self._tidy()
        except (RhetorError, OSError) as error:
            log.warning("plugins not swept", extra={"reason": str(error)})

    def _on_program_end(self) -> None:
        """Nobody needs it any more: nor, perhaps, what was installed for it."""
        if not self._stopped and not self._tidying:
            self._tidying = True
            self._tasks.spawn(self._tidy(), "tidy up after plugins")

    async def _tidy(self) -> None:
        """Remove what was installed for programs that are no more."""
        async with self._turn:
            self._tidying = False  # whatever ends from here on wants another look
            folder = folder_of(self._config, self._environ)
            if folder is not None and GUESTS_RUN:
                specs = list(self.book.programs.values())
                there = [plugin.id for plugin in self.book.loaded.plugins]
                await asyncio.to_thread(_tidy, folder / STATE, specs, there)

    async def stop(self) -> None:
        """End their programs. Services end with all others."""
        self._stopped = True
        await self._tasks.close()
        await self._programs.close()

    # What callers may do.

    def desk(self, config: Config, book: Book) -> Desk:
        return Desk(self._shelf(config), book.loaded, book.theirs, self._environ, most_of(config))

    def _shelf(self, config: Config) -> Shelf | None:
        folder = folder_of(config, self._environ)
        if folder is None:
            return None
        setting = config.plugins
        rules = Rules(
            max_bytes=setting.max_mb << 20,
            allowed_hosts=frozenset(host.lower() for host in setting.allowed_hosts),
            npm_registry=setting.npm_registry,
            environ=self._environ,
            utc=self._clock.utc,
        )
        return Shelf(folder, rules, taken_names(config, self._rows), service_problems)

    @property
    def may_change(self) -> bool | None:
        """As the configuration says; None: it does not."""
        return self._config.plugins.allow_add

    def all(self) -> Json:
        """Every plugin with its status."""
        folder = folder_of(self._config, self._environ)
        reports: list[JsonValue] = [self._report(plugin.id) for plugin in self.book.loaded.plugins]
        return {
            "object": "list",
            "data": reports,
            "folder": None if folder is None else str(folder),
            "trouble": self.book.loaded.trouble or None,
        }

    def one(self, id: str) -> Json:
        """
        Raises:
            BadRequest: not_found.
        """
        if self.book.plugin(id) is None:
            known = ", ".join(plugin.id for plugin in self.book.loaded.plugins) or "none"
            raise BadRequest(f"no plugin {id!r}; there are {known}", Code.NOT_FOUND)
        return self._report(id)

    async def about(self, id: str) -> Json:
        """One of them, and what its programs do and are kept from.

        Raises:
            BadRequest: not_found.
        """
        report = self.one(id)
        told = report.get("code")
        programs = [each for each in told if isinstance(each, Mapping)] if isinstance(told, list) else []
        specs = {spec.id: spec for spec in self.book.programs.values()}
        standing: list[JsonValue] = []
        for each in programs:
            spec = specs.get(program_id(id, str(each["name"])))
            standing.append(each if spec is None else {**each, **await self._doing(spec)})
        return {**report, "code": standing} if programs else report

    async def _doing(self, spec: CodeSpec) -> Json:
        """How a program is: it is not started for that."""
        lease = self._lease(spec, self._config)
        program = lease.take()
        try:
            facts, unreadable = await program.enforced(), await program.unreadable()
        finally:
            await lease.close()
        error = program.error
        return {
            "state": program.state,
            "starts": program.starts,
            "error": None if error is None else self._redactor.text(error.message),
            "said": self._redactor.text(program.said())[-SAID_CHARS:],
            "unreadable": [*unreadable],
            "sandbox": [{"what": it.what, "enforced": it.enforced, "how": it.how} for it in facts],
        }

    def _report(self, id: str) -> Json:
        plugin = self.book.plugin(id)
        assert plugin is not None
        theirs = theirs_beside(self.book.theirs, self.book.loaded.plugins, id)
        report = plugin_report(plugin, theirs, self._environ, most_of(self._config))
        said = report["providers"]
        assert isinstance(said, list)
        providers: list[JsonValue] = [self._standing(each) for each in said if isinstance(each, Mapping)]
        return {**report, "providers": providers}

    def _standing(self, provider: Json) -> Json:
        """A provider of a report, and whether it can be asked."""
        member = self._members.get(str(provider["id"]))
        off = "it is switched off in the configuration" if member is None else member.off
        return {**provider, "available": off is None, "reason": off}

    async def look(self, said: str, granted: tuple[str, ...]) -> Json:
        """What a source would bring. Changes nothing, and executes nothing of it."""
        async with self._turn:
            desk = self.desk(self._config, self.book)
            return await _in_thread(lambda given_up: desk.look(said, granted, given_up))

    async def add(self, said: str, granted: tuple[str, ...]) -> Json:
        """Take a plugin in; it can be asked when this returns.

        Raises:
            RhetorError: nothing has changed.
        """
        return await self._change(lambda desk, given_up: desk.add(said, granted, given_up))

    async def update(self, id: str, wish: Wish) -> Json:
        """Fetch it again; see `Desk.update`."""
        if wish.dry_run:
            async with self._turn:
                desk = self.desk(self._config, self.book)
                change = await _in_thread(lambda given_up: desk.update(id, wish, given_up))
                return change.report
        return await self._change(lambda desk, given_up: desk.update(id, wish, given_up))

    async def remove(self, id: str) -> Json:
        """Forget it; trips that use it end first."""
        return await self._change(lambda desk, given_up: desk.remove(id))

    async def test(self, provider: str) -> str | None:
        """Ask a provider that is a program whether it works, in its own words; None: it is none.

        Raises:
            RhetorError: it does not, and why.
        """
        spec = self.book.programs.get(provider)
        if spec is None:
            return None
        lease = self._lease(spec, self._config)
        try:
            return await lease.take().test()
        finally:
            await lease.close()

    async def check(self, id: str, only: frozenset[Capability], thorough: bool) -> Json:
        """Ask everything that a plugin brings what it claims to answer; the report.

        Raises:
            RhetorError: not_found; conflict, one is checked already; total_timeout.
        """
        self.one(id)
        if self._trying.locked():
            raise BadRequest("a plugin is checked already; one at a time", Code.CONFLICT)
        try:
            async with self._trying, asyncio.timeout(CHECK_S):
                return await self._try_out(id, only, thorough)
        except TimeoutError:
            message = f"the check of {id!r} took more than {CHECK_S:g} s; check one capability at a time"
            raise RhetorError(message, Code.TOTAL_TIMEOUT) from None

    async def _change(self, act: Callable[[Desk, threading.Event], Change]) -> Json:
        """Whoever asked may leave: a change that has begun is made."""

        async def change() -> Json | RhetorError:
            try:
                return await self._changed(act)
            except RhetorError as error:  # which is its caller's, and no failure of the task
                return error

        told = await asyncio.shield(self._tasks.spawn(change(), "change plugins"))
        if isinstance(told, RhetorError):
            raise told
        return told

    async def _changed(self, act: Callable[[Desk, threading.Event], Change]) -> Json:
        async with self._turn:
            desk = self.desk(self._config, self.book)
            change = await _in_thread(lambda given_up: self.write(desk, act(desk, given_up)))
            try:
                await self._renew()
            except BaseException as error:
                # Whoever is cancelled meanwhile leaves it to the thread, which waits for its turn.
                await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, desk.undo, change))
                if isinstance(error, ConfigError):
                    raise _unfit(change, error) from None
                raise
            log.info("plugins changed", extra={"plugin": change.id, "status": change.report["status"]})
        return {**change.report, **await self.prepared(change.id)}

    def write(self, desk: Desk, change: Change) -> Change:
        """Write a change down, once it is seen that the house can be made with it. Blocks.

        Raises:
            RhetorError: nothing has changed; conflict, the configuration does not fit it.
        """
        try:
            book = read_book(self._config, self._environ, self._rows, desk.planned(change))
            assemble(self._config, self._environ, self._rows, lambda *_: OfflineTransport(), book.guests)
        except ConfigError as error:
            raise _unfit(change, error) from None
        desk.write(change)
        return change

    async def prepared(self, id: str) -> Json:
        """See that the programs of a plugin can run, which installs what they need: how it stands then.

        Raises:
            BadRequest: conflict, somebody has removed it meanwhile.
        """
        plugin = self.book.plugin(id)
        if plugin is None or not plugin.manifest:
            return {}
        troubles: list[JsonValue] = []
        specs = {spec.id: spec for id in plugin.providers if (spec := self.book.programs.get(id)) is not None}
        for spec in specs.values():
            lease = self._lease(spec, self._config)
            try:
                await lease.take().prepare()
                troubles += [f"{spec.id}: {why}" for why in await lease.take().unreadable()]
            except RhetorError as error:
                troubles.append(self._redactor.text(error.message))
            finally:
                await lease.close()
        if self.book.plugin(id) is None:
            raise BadRequest(f"{id!r} was removed while what it needs was installed", Code.CONFLICT)
        return {**self._report(id), "troubles": troubles}

    def _lease(self, spec: CodeSpec, config: Config) -> Lease[GuestTransport]:
        """A share in a program, which is started when it is asked."""

        def make() -> GuestTransport:
            folder = folder_of(config, self._environ)
            assert folder is not None, "it came from there"
            state = folder / STATE / plugin_of(spec.id)
            house, sandbox = self._serving.children(), self._sandbox(config.plugins.sandbox)
            return GuestTransport(spec, state, house, sandbox=sandbox, environ=self._environ)

        return self._programs.lease(self._key(config.plugins.sandbox, spec), make)

    def _key(self, policy: Policy, spec: CodeSpec) -> str:
        """The same for programs that are the same; nothing can be read in it."""
        said = repr((policy, spec, sorted(spec.environ.items())))
        return hashlib.blake2b(said.encode(), key=self._salt, digest_size=16).hexdigest()

    def _sandbox(self, policy: Policy) -> Sandbox:
        """One for all: it finds out what can be enforced here."""
        if policy not in self._sandboxes:
            self._sandboxes[policy] = Sandbox(self._serving.children(), policy)
        return self._sandboxes[policy]


def _unfit(change: Change, error: ConfigError) -> BadRequest:
    problems = "; ".join(map(str, error.problems))
    return BadRequest(f"{change.id}: the configuration does not fit then: {problems}", Code.CONFLICT)


def _tidy(state: Path, specs: Sequence[CodeSpec], there: Collection[str]) -> None:
    sweep()
    for place in entries(state):
        wanted = [spec for spec in specs if plugin_of(spec.id) == place.name]
        try:
            if place.is_dir() and tidy(place, wanted) and place.name not in there:
                discard(place)
        except (RhetorError, OSError) as error:
            log.warning("plugins not swept", extra={"plugin": place.name, "reason": str(error)})


async def _in_thread(work: Callable[[threading.Event], T]) -> T:
    given_up = threading.Event()
    try:
        return await asyncio.to_thread(work, given_up)
    except asyncio.CancelledError:
        given_up.set()
        raise
