"""A server that is started when somebody needs it, and again when it has died; stopped when nobody does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from rhetor.core.errors import Code, RhetorError
from rhetor.core.value import value
from rhetor.services.ports import Ports, is_free
from rhetor.services.process import KILL_GRACE_S, Child, House, Spec, start
from rhetor.tasks import Tasks, stop

log = logging.getLogger(__name__)

PORT = "{port}"
PORT_TRIES = 3  # somebody else may take a port between its lease and its use
PROBE_EVERY_S = 0.1
SHOWN_CHARS = 500  # of what it said last, in an error message


class State(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"
    """It did not start, or has died; it is started again when somebody asks, and some time has passed."""


MOVES: Mapping[State, frozenset[State]] = {
    State.STOPPED: frozenset({State.STARTING, State.STOPPING}),
    State.STARTING: frozenset({State.READY, State.FAILED, State.STOPPING}),
    State.READY: frozenset({State.FAILED, State.STOPPING}),
    State.FAILED: frozenset({State.STARTING, State.STOPPING}),
    State.STOPPING: frozenset({State.STOPPED}),
}

Probe: TypeAlias = Callable[[int], Awaitable[bool]]
"""Whether a server that listens on this port is ready; it raises nothing, and bounds itself."""


@value(kw_only=True)
class Restart:
    """How long a server that failed is left alone: ever longer, until it was ready once."""

    first_s: float = 0.5
    most_s: float = 30.0

    def pause_s(self, failures: int) -> float:
        return min(self.first_s * 2.0 ** max(0, failures - 1), self.most_s) if failures else 0.0


@value(kw_only=True)
class Plan:
    spec: Spec
    """`{port}` in its arguments and variables becomes the port."""
    ready: bytes | Probe
    """What it writes, on either stream, when it takes connections; or who finds out."""
    start_s: float = 30.0
    """How long it may take until then."""
    idle_stop_s: float | None = None
    """When nobody has needed it for so long it is stopped; None: never."""
    grace_s: float = KILL_GRACE_S
    restart: Restart = field(default_factory=Restart)


class Service:
    """One supervised server. Its owner stops it in the end."""

    def __init__(
        self,
        plan: Plan,
        house: str | House,
        ports: Ports,
        *,
        mark: str,
        redact: Callable[[str], str] = str,
    ) -> None:
        """
        Args:
            redact: takes secrets out of what the server said, for error messages.
        """
        self._plan = plan
        self._house = house
        self._ports = ports
        self._mark = mark
        self._redact = redact
        self._tasks = Tasks()
        self._starting: asyncio.Task[RhetorError | None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._running: _Running | None = None
        self._failures = 0
        self._not_before_s = 0.0
        self._needed_by = 0
        self._idle: asyncio.TimerHandle | None = None
        self.state = State.STOPPED
        self.error: RhetorError | None = None
        """Why it failed."""

    @property
    def port(self) -> int | None:
        """Where it listens, while it is ready."""
        return self._running.port if self._running is not None and self.state is State.READY else None

    @property
    def pid(self) -> int | None:
        return self._running.child.pid if self._running is not None else None

    def said(self) -> str:
        """The last that it wrote, without secrets; also when it has ended."""
        return self._redact(self._running.child.said()) if self._running is not None else ""

    async def ensure_ready(self, timeout_s: float) -> int:
        """The port where it listens. Many may ask at once: it is started once.

        Raises:
            RhetorError: unavailable, it cannot be started, or not within that time.
        """
        end_s = _now_s() + timeout_s
        while (port := self.port) is None:
            if self._stopping is not None:
                await asyncio.wait([self._stopping], timeout=max(0.0, end_s - _now_s()))
            elif self._starting is None:
                self._starting = self._tasks.spawn(self._start(), f"start {self._plan.spec.label}")
            else:
                await self._started(self._starting, end_s)
            if _now_s() > end_s and self.port is None:
                raise self._failure(f"is not ready after {timeout_s:g} s")
        self._rest_later()
        return port

    @contextmanager
    def needed(self) -> Iterator[None]:
        """Meanwhile it is not stopped for being idle."""
        self._needed_by += 1
        try:
            yield
        finally:
            self._needed_by -= 1
            self._rest_later()

    async def ended(self) -> None:
        """Wait until the process that runs now has ended, for whatever reason."""
        if self._running is not None:
            await self._running.child.wait()

    async def stop(self) -> None:
        """End it. It can be started again."""
        if self._stopping is None:
            if self.state is State.STOPPED:
                return
            self._become(State.STOPPING)
            self._stopping = self._tasks.spawn(self._stop(), f"stop {self._plan.spec.label}")
        await asyncio.shield(self._stopping)

    # Starting.

    async def _started(self, starting: asyncio.Task[RhetorError | None], end_s: float) -> None:
        done, _ = await asyncio.wait([starting], timeout=max(0.0, end_s - _now_s()))
        if done and starting.cancelled():
            raise self._failure("was stopped while it started")
        if done and (error := starting.result()) is not None:
            raise error

    async def _start(self) -> RhetorError | None:
        """What went wrong, since all who wait want to know that."""
        self._become(State.STARTING)
        try:
            await asyncio.sleep(self._not_before_s - _now_s())
            error = await self._start_within()
            if error is not None and self._running is not None:
                await self._put_down(self._running)
        finally:
            self._starting = None
        if self.state is State.STARTING:  # nobody stops it meanwhile
            if error is not None:
                self._fail(error)
            else:
                self._become(State.READY)
                self._failures = 0
                self._rest_later()
        return error

    async def _start_within(self) -> RhetorError | None:
        try:
            async with asyncio.timeout(self._plan.start_s):
                await self._try_ports()
        except TimeoutError:
            return self._failure(f"is not ready after {self._plan.start_s:g} s")
        except RhetorError as error:
            return error
        return None

    async def _try_ports(self) -> None:
        for n in range(PORT_TRIES):
            running = await self._launch()
            if await running.ready:
                return
            await self._put_down(running)
            if is_free(running.port) or n == PORT_TRIES - 1:  # else it may have died of finding it taken
                raise self._failure(f"ended with {running.child.returncode} before it was ready")
            log.info("port was taken, another one is tried", extra={"service": self._plan.spec.label})

    async def _launch(self) -> _Running:
        port = self._ports.lease()
        ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        heard = _Heard(self._plan.ready, ready) if isinstance(self._plan.ready, bytes) else None
        spec = _with_port(self._plan.spec, port)
        try:
            child = await start(spec, self._house, mark=self._mark, on_said=heard)
        except BaseException:
            self._ports.give_back(port)
            raise
        running = _Running(child, port, ready)
        self._running = running
        running.attending = self._tasks.spawn(self._attend(running), f"attend {spec.label}")
        if not isinstance(self._plan.ready, bytes):
            running.probing = self._tasks.spawn(_probe(running, self._plan.ready), f"probe {spec.label}")
        return running

    async def _attend(self, running: _Running) -> None:
        code = await running.child.wait()
        if not running.ready.done():
            running.ready.set_result(False)
        elif self.state is State.READY and running is self._running:
            self._fail(self._failure(f"ended with {code}"))
            await self._put_down(running)

    # Stopping.

    async def _stop(self) -> None:
        try:
            if self._starting is not None:
                await stop(self._starting)
            if self._running is not None:
                await self._put_down(self._running)
            if self._idle is not None:
                self._idle.cancel()
        finally:
            self._become(State.STOPPED)
            self._stopping = None

    async def _put_down(self, running: _Running) -> None:
        if running.probing is not None:
            running.probing.cancel()
        await running.child.stop(self._plan.grace_s)
        if not running.put_down:
            running.put_down = True
            self._ports.give_back(running.port)
        if running.attending is not asyncio.current_task():
            await asyncio.wait([running.attending])

    def _rest_later(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._plan.idle_stop_s is not None and not self._needed_by:
            self._idle = asyncio.get_running_loop().call_later(self._plan.idle_stop_s, self._rest)

    def _rest(self) -> None:
        if self.state is State.READY and not self._needed_by and self._stopping is None:
            self._become(State.STOPPING)
            self._stopping = self._tasks.spawn(self._stop(), f"stop {self._plan.spec.label}")

    # What it is.

    def _become(self, state: State) -> None:
        assert state in MOVES[self.state], f"{self.state} -> {state}"
        self.state = state

    def _fail(self, error: RhetorError) -> None:
        self._become(State.FAILED)
        self.error = error
        self._failures += 1
        self._not_before_s = _now_s() + self._plan.restart.pause_s(self._failures)
        log.warning("service failed", extra={"service": self._plan.spec.label, "error": str(error)})

    def _failure(self, what: str) -> RhetorError:
        said = self.said().strip()[-SHOWN_CHARS:]
        message = f"{self._plan.spec.label} {what}"
        return RhetorError(f"{message}; it said: {said}" if said else message, Code.UNAVAILABLE)


@dataclass(slots=True, eq=False)
class _Running:
    child: Child
    port: int
    ready: asyncio.Future[bool]
    """False: it has ended before."""
    attending: asyncio.Task[None] = field(init=False)
    probing: asyncio.Task[None] | None = None
    put_down: bool = False


class _Heard:
    """Waits for certain words in what a child says, however it is cut."""

    def __init__(self, words: bytes, ready: asyncio.Future[bool]) -> None:
        self._words = words
        self._ready = ready
        self._last = b""

    def __call__(self, data: bytes) -> None:
        if self._ready.done():
            return
        together = self._last + data
        if self._words in together:
            self._ready.set_result(True)
        self._last = together[-len(self._words) :]


async def _probe(running: _Running, probe: Probe) -> None:
    while not running.ready.done():
        is_ready = await probe(running.port)
        if running.ready.done():
            return
        if is_ready:
            running.ready.set_result(True)
        else:
            await asyncio.sleep(PROBE_EVERY_S)


def _with_port(spec: Spec, port: int) -> Spec:
    argv = tuple(it.replace(PORT, str(port)) for it in spec.argv)
    env = {name: it.replace(PORT, str(port)) for name, it in spec.env.items()}
    return replace(spec, argv=argv, env=env)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
