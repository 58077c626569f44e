"""A service under its name, whatever becomes of it: what it is now, what it was told to be, what it said."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.value import value
from rhetor.services.journal import Journal
from rhetor.services.requirements import Requirement
from rhetor.services.spec import ServiceSpec
from rhetor.services.supervisor import Service, State

PATIENT_S = 2.0  # for one that failed lately; others, who may be asked instead, should not wait longer
SLACK_S = 5.0  # beyond what a start may take by its own clock


class Use:
    """Somebody uses a running service, until `close`."""

    def __init__(self, service: Service, origin: str, release: Callable[[], None]) -> None:
        self._service = service
        self._release: Callable[[], None] | None = release
        self.origin = origin
        self.contact = service.contact
        self.contact.calls += 1

    def doubt(self) -> None:
        """It could not be reached, or went away in the middle."""
        if self._service.origin == self.origin:
            self._service.doubt()

    def close(self, in_vain: bool = False) -> None:
        """Idempotent.

        Args:
            in_vain: it has not said everything; nobody waits for the rest.
        """
        if self._release is None:
            return
        self._release()
        self._release = None
        self.contact.calls -= 1
        if in_vain and self._service.origin == self.origin:
            self._service.waited_in_vain()


class Entry:
    """What holds a service by its name: it stays the same when the service is defined anew, or removed."""

    def __init__(self, name: str, journal: Journal, now: datetime) -> None:
        self.name = name
        self.journal = journal
        self.spec: ServiceSpec | None = None
        """None: nobody has defined it, or not any more."""
        self.service: Service | None = None
        self.since = now
        """Of its state."""
        self.restarts = 0
        """How often it was started again after it had failed."""
        self.has_failed = False
        """Since it was ready last."""
        self.providers: tuple[str, ...] = ()
        """Who uses it."""

    @property
    def is_ready(self) -> bool:
        return self.service is not None and self.service.origin is not None

    async def use(self) -> Use:
        """The running service, which is started if need be; while it is used it is not stopped as idle.

        Raises:
            UpstreamError: unavailable, it cannot be started, or failed so lately that it is left alone.
        """
        while True:
            service, spec = self._defined()
            try:
                return await self._use(service, spec)
            except RhetorError as error:
                if service is self.service:
                    raise _unavailable(error) from error
                # It was defined anew meanwhile: the other one is asked.

    async def _use(self, service: Service, spec: ServiceSpec) -> Use:
        with ExitStack() as stack:
            stack.enter_context(service.needed())
            if service.state is State.SUSPECT:
                await service.known()
            self._refuse_failed(service)
            await service.ensure_ready(spec.start_s + spec.restart.most_s + SLACK_S)
            assert service.origin is not None
            return Use(service, service.origin, stack.pop_all().close)

    def _defined(self) -> tuple[Service, ServiceSpec]:
        if self.service is None or self.spec is None:
            raise UpstreamError(f"there is no service {self.name!r} any more: see services", Code.UNAVAILABLE)
        return self.service, self.spec

    def _refuse_failed(self, service: Service) -> None:
        if service.state is State.FAILED and service.pause_left_s > PATIENT_S:
            raise UpstreamError(str(service.error), Code.UNAVAILABLE, retry_after_s=service.pause_left_s)


@value(kw_only=True)
class Status:
    """What is to be told of a service."""

    name: str
    kind: str
    """command, compose or reuse."""
    state: State
    since: datetime
    url: str | None
    port: int | None
    pid: int | None
    own: bool
    """False: it ran before, and is not ended by us."""
    restarts: int
    needed_by: int
    """How many calls use it now."""
    error: str | None
    """Why it failed last; without secrets."""
    requirements: tuple[Requirement, ...]
    providers: tuple[str, ...]
    always: bool
    idle_stop_s: float | None


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a cleanup has removed."""

    processes: int
    """That an earlier gateway of the same folder had left."""
    composed: tuple[str, ...]
    """Services whose containers and networks are gone."""
    errors: tuple[str, ...]


def kind_of(spec: ServiceSpec) -> str:
    return "compose" if spec.compose is not None else "command" if spec.command else "reuse"


def _unavailable(error: RhetorError) -> UpstreamError:
    if isinstance(error, UpstreamError):
        return error
    return UpstreamError(error.message, error.code, retry_after_s=error.retry_after_s)
