"""Local servers as a configuration wants them: which there are, and where they run."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rhetor.assembly import MakeTransport, Member
from rhetor.config import Config, ProviderConfig, resolve_secret
from rhetor.core.clock import Clock
from rhetor.providers.spec import ProviderRow
from rhetor.services.house import House as Children
from rhetor.services.house import folder_id
from rhetor.services.making import Surroundings
from rhetor.services.roster import Services
from rhetor.services.served import ServedTransport
from rhetor.store.own import make_own
from rhetor.store.sql.folder import usual_folder
from rhetor.telemetry.logs import Redactor
from rhetor.telemetry.metrics import Metrics
from rhetor.transport.base import Transport
from rhetor.transport.pool import HttpPool

IN_MEMORY = ":memory:"
FOLDER = "services"


class Serving:
    """What services need of the house, put together. Begun after it, and stopped before its transports close.

    Nothing is made on disk before the first service is started.
    """

    def __init__(
        self,
        config: Config,
        path: Path | None,
        environ: Mapping[str, str],
        clock: Clock,
        redactor: Redactor,
        metrics: Callable[[], Metrics],
        on_ready: Callable[[str], None],
    ) -> None:
        """
        Args:
            path: the configuration file; relative paths in it start from its folder.
            on_ready: is told the name of each service that has become ready.
        """
        self._path = path
        self._kept = config.store.folder != IN_MEMORY
        self._folder = _folder(config.store.folder, environ)
        self._children: Children | None = None
        self._configured: set[str] = set()
        """Those that the configuration defines; others may define some, too."""
        self.services = Services(
            Surroundings(
                house=self.children,
                folder=self._folder,
                environ=environ,
                resolve=lambda reference: resolve_secret(reference, environ),
                redactor=redactor,
                clock=clock,
                on_ready=on_ready,
                on_restart=lambda name: metrics().add("rhetor_service_restarts_total", name),
            )
        )

    def children(self) -> Children:
        """Whom the processes of services belong to."""
        if self._children is None:
            make_own(self._folder)
            self._children = Children(folder_id(self._folder))
        return self._children

    def apply(self, config: Config, members: Mapping[str, Member]) -> None:
        """Those of this configuration are there from now on, and those of the one before are not."""
        for name in self._configured - config.services.keys():
            self.services.remove(name)
        self._configured = set(config.services)
        base = None if self._path is None else self._path.absolute().parent
        for name, setting in config.services.items():
            self.services.define(name, setting.spec(base))
        self.used_by(members)

    def used_by(self, members: Mapping[str, Member]) -> None:
        """Which provider is which service, for those who ask."""
        for name in self.services.names():
            users = [id for id, it in members.items() if is_served_by(it.provider.transport, name)]
            self.services.named(name).providers = tuple(users)

    def transports(self, config: Config) -> MakeTransport:
        """What makes the way to each provider."""

        def make(row: ProviderRow, setting: ProviderConfig) -> Transport:
            pool = HttpPool(setting.max_connections, config.timeouts.connect_s, setting.max_waiting)
            return pool if setting.service is None else self.lead(pool, row, setting.service)

        return make

    def lead(self, transport: Transport, row: ProviderRow, service: str) -> Transport:
        """The way to a provider that is a service."""
        return ServedTransport(transport, self.services.named(service), row.base_url)

    def begin(self) -> None:
        """Everything else is there: those that always run may start."""
        self.services.begin()

    async def stop(self) -> None:
        """End everything that runs. Idempotent."""
        await self.services.close()
        if self._children is not None:
            await self._children.close()
        if not self._kept and self._folder.exists():
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def is_served_by(transport: Transport, service: str) -> bool:
    return isinstance(transport, ServedTransport) and transport.service == service


def is_asleep(transport: Transport) -> bool:
    """Whether it leads to a service that does not run: it is not started only to be asked what it has."""
    return isinstance(transport, ServedTransport) and not transport.is_ready


def _folder(said: str | None, environ: Mapping[str, str]) -> Path:
    if said == IN_MEMORY:  # what services write needs a place nevertheless
        return Path(tempfile.gettempdir()) / f"rhetor-{FOLDER}-{secrets.token_hex(8)}"
    return (Path(said).expanduser().absolute() if said else usual_folder(environ)) / FOLDER
