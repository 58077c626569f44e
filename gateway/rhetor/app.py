"""The composition root: configuration in, running house out. Starts in order, stops in reverse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from rhetor import tasks
from rhetor.assembly import Member, assemble, load, make_catalog, secrets_of
from rhetor.checks import check_again_and_again
from rhetor.config import (
    Config,
    ConfigError,
    Problem,
    earlier_names,
    without_effect,
)
from rhetor.conversing import Conversing
from rhetor.core.capability import Capability
from rhetor.core.clock import Clock, SystemClock
from rhetor.core.content import Json
from rhetor.core.errors import Code, RhetorError
from rhetor.core.record import TripRecord
from rhetor.entrance import accounts, cannot_listen, gatekeeping, tokens
from rhetor.guestbook import Book
from rhetor.guests import Guests
from rhetor.http.admission import CLOSING
from rhetor.http.house import House
from rhetor.http.passes import Passes
from rhetor.http.server import Connection, application
from rhetor.http.tickets import Tickets
from rhetor.pipeline.detached import Recordings
from rhetor.pipeline.ledger import LedgerQueue
from rhetor.pipeline.trip import Pipeline
from rhetor.providers.builtin import load_builtin
from rhetor.providers.discovery import list_models
from rhetor.providers.models import Catalogue, load_catalogue, load_limits
from rhetor.providers.offline import OFFLINE_ROW
from rhetor.providers.registry import Registry, Snapshot
from rhetor.routing.health import Health
from rhetor.serving import Serving, is_asleep, is_served_by
from rhetor.store.memory import MemoryDocuments, MemoryLedger, MemoryTranscripts
from rhetor.telemetry import logs
from rhetor.telemetry.metrics import Metrics
from rhetor.wire.base import ModelEntry

log = logging.getLogger(__name__)

PROBE_S = 15.0  # how soon a local server that was started later is noticed
DRAIN_LOOK_S = 0.05
GOODBYE_S = 2.0  # for WebSockets to answer ours
FAREWELL_S = 2.0  # for providers to hear that nobody waits any more for what they work on
CUT_S = 0.25  # after the grace, to tell callers; aiohttp waits twice as long again for what is left
FIXED = ("host", "port", "max_body_mb")
"""Settings of the server that it has from its start; a reload cannot change them."""
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where to find who listens everywhere."""


class App:
    """One gateway: `start` returns when it takes requests, `stop` when everything is given back.

    Args:
        path: the configuration file, read again on reload; None: none.
    """

    def __init__(
        self, config: Config, path: Path | None, environ: Mapping[str, str], clock: Clock | None = None
    ) -> None:
        self.config = config
        self.path = path
        self._environ = environ
        self._clock = clock or SystemClock()
        self._rows = load_builtin()
        self._catalogue = Catalogue({}, load_limits(), self._clock)  # the prices come after the start
        self.lists: dict[str, Sequence[ModelEntry] | str] = {}
        """What providers said of their models, or why they could not be asked."""
        self.discovered = asyncio.Event()
        """Set once everybody was asked for the first time."""
        self.redactor = logs.Redactor()
        self._serving = Serving(
            config, path, environ, self._clock, self.redactor, lambda: self.house.metrics, self._on_service
        )
        self.guests = Guests(
            config, environ, self._rows, self._clock, self.redactor, self._serving, self._renew, self._try_out
        )
        book = self.guests.book
        make_transport = self.guests.transports(config, book)
        self.members = assemble(config, environ, self._rows, make_transport, book.guests)
        self._serving.apply(config, self.members)
        self.guests.apply(config, book, self.members)
        self._installing = asyncio.Lock()
        self.redactor.learn([*secrets_of(self.members), *tokens(config, environ).values()])
        self._background = tasks.Tasks()
        self._discovery: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._earlier: list[Snapshot] = []
        """Replaced snapshots of this configuration that trips still use."""
        self._retired: list[Mapping[str, Member]] = []
        """Members of replaced configurations whose pools are still open."""
        self._owns_logs = False
        self.house = self._furnish()

    def _furnish(self) -> House:
        metrics = Metrics()
        books = MemoryLedger()
        self._ledger = LedgerQueue(
            books, self._on_trip, lambda lost: metrics.add("rhetor_ledger_dropped_total", amount=lost)
        )
        self.registry = Registry(self._snapshot(self.config, self.members, self.lists))
        server = self.config.server
        pipeline = Pipeline(self.registry, self._ledger, self._clock, Health(self._clock))
        passes = Passes(lambda: self.url)
        self._conversing = Conversing(self.config, self._environ, self._clock, pipeline, passes)
        return House(
            pipeline=pipeline,
            recordings=Recordings(pipeline, server.detached_each_mb, server.detached_mb),
            books=books,
            documents=MemoryDocuments(),
            transcripts=MemoryTranscripts(self._clock),
            sessions=self._conversing.sessions,
            assets=self._conversing.assets,
            services=self._serving.services,
            plugins=self.guests,
            passes=passes,
            accounts=accounts(self.config, self._environ, self._conversing, self._clock),
            metrics=metrics,
            clock=self._clock,
            gatekeeping=gatekeeping(self.config, self._environ),
            tickets=Tickets(self._clock),
            port=server.port,
            max_body_bytes=server.max_body_mb << 20,
            max_frame_bytes=server.max_frame_kb << 10,
            max_requests=server.max_requests,
            keepalive_s=server.keepalive_s,
            header_timeout_s=server.header_timeout_s,
            idle_timeout_s=server.idle_timeout_s,
            soft_errors=frozenset(server.soft_errors),
            reload=self.reload,
            began_s=self._clock.monotonic_s(),
        )

    def own_logs(self) -> None:
        """Send this process' logs where the configuration says, now and after each reload."""
        self._owns_logs = True
        logs.set_up(self.config.logs.level, self.config.logs.format, self.redactor)

    async def start(self) -> None:
        """Listen, and start what runs in the background.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        await self.guests.sweep()
        self._background.spawn(tasks.supervise("ledger", self._ledger.write), "ledger")
        self._runner = web.AppRunner(
            application(self.house),
            handler_cancellation=True,  # a caller that leaves cancels its handler, and so the upstream call
            shutdown_timeout=CUT_S,
        )
        await self._runner.setup()
        connections, server = self._runner.server, self.config.server
        assert connections is not None
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                lambda: Connection(connections, self.house), server.host, server.port, backlog=2048
            )
        except OSError as error:
            await self.stop()
            raise ConfigError([cannot_listen(server.host, server.port, error)]) from None
        self.house.port = self._listener.sockets[0].getsockname()[1]
        self._conversing.start()
        self._serving.begin()
        self.guests.begin()
        self._look_for_models()
        self._background.spawn(tasks.supervise("checks", self._check), "checks")
        self._tell("listening")

    @property
    def url(self) -> str:
        """Where this machine reaches the gateway."""
        host = ANY_ADDRESS.get(self.config.server.host, self.config.server.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.house.port}"

    def some_token(self) -> str | None:
        """A token that this gateway accepts, for its own greeting; None when it asks for none."""
        return next(iter(tokens(self.config, self._environ).values()), None)

    async def stop(self) -> None:
        """Stop accepting, let trips finish within the grace, give everything back."""
        self.house.closing = True
        self.house.sessions.drain()
        if self._listener is not None and not self.house.sessions.at_work:
            self._listener.close()
        if self._runner is not None:
            await self._drain()
        if self._listener is not None:  # agents in a turn have called their models until now
            self._listener.close()
        if self._runner is not None:
            await self.house.recordings.close()
            await self._conversing.stop()
            await self._cut()
            await self._dismiss()
            await self._runner.cleanup()
        await self.house.pipeline.drains.settle(FAREWELL_S)
        await self.house.pipeline.drains.close()
        await self.guests.stop()
        await self._serving.stop()
        await self._background.close()
        await self._ledger.flush()
        for members in (*self._retired, self.members):
            for member in members.values():
                await member.provider.transport.close()
        log.info("stopped")

    async def reload(self) -> None:
        """Read the configuration again; all of it counts from now on, or nothing does.

        Raises:
            ConfigError: with every problem; the old configuration stays.
        """
        config = load(self.path, self._environ)
        self._refuse_fixed(config)
        await self._install(config)

    async def _renew(self) -> None:
        """Put into force what plugins there are now.

        Raises:
            ConfigError: the configuration does not fit them; everything stays as it is.
        """
        await self._install(self.config)

    async def _try_out(self, plugin: str, only: frozenset[Capability], thorough: bool) -> Json:
        """What came of trying a plugin as its callers would use it."""
        from rhetor.kit.check import Wishes, check_known  # which needs a whole house: this one

        report = await check_known(self, plugin, Wishes(only=only, thorough=thorough), lambda *_: None)
        return report.as_json()

    async def _install(self, config: Config) -> None:
        async with self._installing:
            book = await asyncio.to_thread(self.guests.read, config)
            self._put_in_force(config, book)

    def _put_in_force(self, config: Config, book: Book) -> None:
        make_transport = self.guests.transports(config, book)
        members = assemble(config, self._environ, self._rows, make_transport, book.guests)
        secrets = [*secrets_of(members), *tokens(config, self._environ).values()]
        keeping = gatekeeping(config, self._environ)
        lists = {id: said for id, said in self.lists.items() if _same(self.members.get(id), members.get(id))}
        snapshot = self._snapshot(config, members, lists)
        # Nothing can fail from here on, and nobody sees half of it: there is no await.
        retired, self.members, self.config, self.lists = self.members, members, config, lists
        self.redactor.learn(secrets)
        self.house.pipeline.health.on_reload()
        self.house.gatekeeping = keeping
        self.house.max_frame_bytes = config.server.max_frame_kb << 10
        self.house.max_requests = config.server.max_requests
        self.house.keepalive_s = config.server.keepalive_s
        self.house.header_timeout_s = config.server.header_timeout_s
        self.house.idle_timeout_s = config.server.idle_timeout_s
        self.house.soft_errors = frozenset(config.server.soft_errors)
        self.house.recordings.limit(config.server.detached_each_mb, config.server.detached_mb)
        self._conversing.limit(config)
        self._serving.apply(config, members)
        self.guests.apply(config, book, members)
        self._swap(snapshot)
        earlier, self._earlier = self._earlier, []
        discovery = self._look_for_models()
        self._retired.append(retired)
        self._background.spawn(self._retire(retired, earlier, discovery), "retire")
        if self._owns_logs:
            self.own_logs()
        self._tell("reloaded")

    def _refuse_fixed(self, config: Config) -> None:
        changed = [
            name for name in FIXED if getattr(config.server, name) != getattr(self.config.server, name)
        ]
        if changed:
            needed = "needs a restart; to reload, change it back to"
            raise ConfigError(
                [
                    Problem(f"server.{name}", f"{needed} {getattr(self.config.server, name)}")
                    for name in changed
                ]
            )

    async def _retire(
        self,
        members: Mapping[str, Member],
        snapshots: Sequence[Snapshot],
        discovery: asyncio.Task[None] | None,
    ) -> None:
        """Close the pools of a replaced configuration once nobody uses them any more."""
        if discovery is not None:
            await tasks.stop(discovery)
        while any(map(self.house.pipeline.under_way, snapshots)):  # noqa: ASYNC110 - rare, and trips signal nobody
            await asyncio.sleep(DRAIN_LOOK_S)
        for member in members.values():
            await member.provider.transport.close()
        self._retired.remove(members)

    async def _drain(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.server.shutdown_grace_s):
                while self._is_busy():  # noqa: ASYNC110 - once in the life of a process
                    await asyncio.sleep(DRAIN_LOOK_S)

    def _is_busy(self) -> bool:
        """Whether there are trips or turns, or callers who are still told what a recorded trip said."""
        house = self.house
        return bool(house.pipeline.in_flight or house.recordings.followed or house.sessions.at_work)

    async def _cut(self) -> None:
        """End what outlives the grace, and give it a moment to tell its callers."""
        outliving = list(self.house.requests)
        for request in outliving:
            tasks.cancel(request, RhetorError(CLOSING, Code.SHUTTING_DOWN))
        if outliving:
            await asyncio.wait(outliving, timeout=CUT_S)

    async def _dismiss(self) -> None:
        """Say goodbye to the WebSockets, to all at the same time."""
        goodbyes = (
            socket.close(code=1001, message=b"the gateway is shutting down")
            for socket in list(self.house.websockets)
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await asyncio.gather(*goodbyes, return_exceptions=True)

    def _tell(self, event: str) -> None:
        """What an operator wants to know of a configuration that has just become valid."""
        on = [id for id, member in self.members.items() if member.off is None and not member.probed]
        log.info(event, extra={"url": self.url, "providers": on})
        for id in self.config.providers:
            if id in self.members and (reason := self.members[id].off) is not None:
                log.warning("provider off", extra={"provider": id, "reason": reason})
        for problem in without_effect(self._environ):
            log.warning("variable without effect", extra={"reason": str(problem)})
        for problem in earlier_names(self.path, self._environ):
            log.warning("earlier setting", extra={"reason": str(problem)})

    def _on_trip(self, record: TripRecord) -> None:
        self.house.metrics.on_trip(record)
        self.house.sessions.on_trip(record)

    async def _check(self) -> None:
        health = self.house.pipeline.health
        await check_again_and_again(self.registry, health, lambda: self.config.health.check_s)

    def _look_for_models(self) -> asyncio.Task[None] | None:
        """Start the discovery anew; gives back the one before."""
        before = self._discovery
        self._discovery = self._background.spawn(tasks.supervise("discovery", self._discover), "discovery")
        return before

    async def _discover(self) -> None:
        """Fill the catalog from what providers list, again and again."""
        while True:
            await self.discover()
            pause_s = self.config.discovery.interval_s
            while pause_s > 0:
                await asyncio.sleep(min(PROBE_S, pause_s))
                pause_s -= PROBE_S
                await self.probe()

    async def discover(self) -> None:
        """Ask every provider that is on for its models, once, and swap in what they say."""
        await self._look_up()
        on = [member for member in self.members.values() if member.off is None]
        async with asyncio.TaskGroup() as group:
            for member in on:
                if self.config.discovery.enabled or member.probed:
                    group.create_task(self._list(member))
        self._swap_catalog()
        self.discovered.set()

    async def describe(self) -> None:
        """Swap in what is known of the models without asking anybody."""
        await self._look_up()
        self._swap_catalog()

    async def _look_up(self) -> None:
        rows = [m.row for m in self.members.values() if m.off is None and not m.probed]
        if rows := [row for row in rows if row.id != OFFLINE_ROW.id]:
            self._catalogue = await asyncio.to_thread(load_catalogue, rows, self._clock)

    async def probe(self) -> None:
        """Look whether a local server came or went, or has other models now."""
        for member in [member for member in self.members.values() if self._is_looked_for(member)]:
            before = self.lists.get(member.row.id)
            await self._list(member)
            now = self.lists.get(member.row.id)
            if now != before:
                self._swap_catalog()
            if isinstance(now, str) != isinstance(before, str):
                log.info(
                    "local provider", extra={"provider": member.row.id, "answers": not isinstance(now, str)}
                )

    def _is_looked_for(self, member: Member) -> bool:
        """Whether it may come up at any moment: the unasked Ollama, and one's own servers that are silent."""
        ours = member.row.local or (member.row.status == "configured" and member.plugin is None)
        unheard = isinstance(self.lists.get(member.row.id), str)
        return member.probed or (ours and unheard and self.config.discovery.enabled)

    async def _list(self, member: Member) -> None:
        """Ask one provider for its models; what it says counts unless a reload has replaced it meanwhile."""
        id = member.row.id
        if is_asleep(member.provider.transport):
            return
        before = self.lists.get(id)
        said: Sequence[ModelEntry] | str | None
        try:
            said = await list_models(member.provider)
        except RhetorError as error:
            said = error.message
            if said != before and not member.probed:
                log.warning("models not listed", extra={"provider": id, "reason": said})
        if said is None or self.members.get(id) is not member:
            return
        # A list that cannot be had right now says nothing against the models that were on it.
        if isinstance(said, str) and isinstance(before, list | tuple) and not member.probed:
            return
        self.lists[id] = said

    def _on_service(self, name: str) -> None:
        """A service has become ready: now it can be asked for its models."""

        async def ask() -> None:
            for member in [it for it in self.members.values() if is_served_by(it.provider.transport, name)]:
                if member.off is None and self.config.discovery.enabled:
                    await self._list(member)
            self._swap_catalog()

        self._background.spawn(ask(), f"models of {name}")

    def _snapshot(
        self,
        config: Config,
        members: Mapping[str, Member],
        lists: Mapping[str, Sequence[ModelEntry] | str],
    ) -> Snapshot:
        catalog = make_catalog(config, members, lists, self._catalogue)
        return Snapshot({id: member.provider for id, member in members.items()}, catalog)

    def _swap_catalog(self) -> None:
        self._swap(self._snapshot(self.config, self.members, self.lists))

    def _swap(self, snapshot: Snapshot) -> None:
        old = self.registry.swap(snapshot)
        self._earlier = [s for s in (*self._earlier, old) if self.house.pipeline.under_way(s)]


def _same(before: Member | None, after: Member | None) -> bool:
    """Whether what a provider said of its models still holds."""
    if before is None or after is None:
        return False
    return (before.row, before.secrets) == (after.row, after.secrets)
