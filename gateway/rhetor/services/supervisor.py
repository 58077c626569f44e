"""A server that is started when somebody needs it, and again when it has died; stopped when nobody does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from rhetor.core.errors import Code, RhetorError
from rhetor.core.value import value
from rhetor.services.contact import PROBE_EVERY_S, Contact, Probe
from rhetor.services.launch import Launcher, Running
from rhetor.services.process import KILL_GRACE_S, OnSaid
from rhetor.tasks import Tasks, stop

log = logging.getLogger(__name__)

PORT_TRIES = 3  # somebody else may take a port between its lease and its use
SUSPECT_S = 3.0  # for one that refused a connection to answer: a busy server's queue may have been full
SHOWN_CHARS = 500  # of what it said last, in an error message


class State(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    SUSPECT = "suspect"
    """It could not be reached, or is silent. Nobody else is sent there until it has answered."""
    STOPPING = "stopping"
    FAILED = "failed"
    """It did not start, or has died; it is started again when somebody asks, and some time has passed."""


MOVES: Mapping[State, frozenset[State]] = {
    State.STOPPED: frozenset({State.STARTING, State.STOPPING}),
    State.STARTING: frozenset({State.READY, State.FAILED, State.STOPPING}),
    State.READY: frozenset({State.SUSPECT, State.FAILED, State.STOPPING}),
    State.SUSPECT: frozenset({State.READY, State.FAILED, State.STOPPING}),
    State.FAILED: frozenset({State.STARTING, State.STOPPING}),
    State.STOPPING: frozenset({State.STOPPED}),
}


@value(kw_only=True)
class Restart:
    """How long a server that failed is left alone: ever longer, until it was ready for a while."""

    first_s: float = 0.5
    most_s: float = 30.0
    steady_s: float = 0.0
    """For so long it must have been ready, for its failures before to be forgotten."""
    most: int | None = None
    """After so many failures in a row it is left alone for good, until somebody starts it; None: never."""

    def pause_s(self, failures: int) -> float:
        return min(self.first_s * 2.0 ** min(max(0, failures - 1), 32), self.most_s) if failures else 0.0


@value(kw_only=True)
class Plan:
    label: str
    """For logs and messages."""
    ready: bytes | Probe
    """What it writes, on either stream, when it takes connections; or who finds out."""
    alive: Probe | None = None
    """Who finds out whether it still takes connections, when somebody doubts it; None: as for `ready`, and
    where that is words, nobody."""
    well: Probe | None = None
    """Who finds out whether it still answers, when somebody has waited in vain; None: nobody can."""
    silent_s: float = 60.0
    """For so long it may neither be well nor be heard of, while no call waits for it."""
    start_s: float = 30.0
    """How long it may take until then."""
    idle_stop_s: float | None = None
    """When nobody has needed it for so long it is stopped; None: never."""
    grace_s: float = KILL_GRACE_S
    restart: Restart = field(default_factory=Restart)


def _ignore(_: object) -> None:
    pass


async def at_once() -> None:
    """There is nothing to wait for."""


class Service:
    """One supervised server. Its owner stops it in the end."""

    def __init__(
        self,
        plan: Plan,
        launcher: Launcher,
        *,
        redact: Callable[[str], str] = str,
        on_said: OnSaid = _ignore,
        on_change: Callable[[State], None] = _ignore,
        cleared: Callable[[], Awaitable[None]] = at_once,
    ) -> None:
        """
        Args:
            redact: takes secrets out of what the server said, for error messages.
            on_said: is told what it writes, secrets and all.
            on_change: is told of every state, once it has it.
            cleared: awaited before it is started; what it waits for is no failure of its own.
        """
        self._plan = plan
        self._launcher = launcher
        self._redact = redact
        self._on_said = on_said
        self._on_change = on_change
        self._cleared = cleared
        self._tasks = Tasks()
        self._starting: asyncio.Task[RhetorError | None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._running: _Running | None = None
        self._failures = 0
        self._not_before_s = 0.0
        self._forgiven = asyncio.Event()
        self._ready_since_s = 0.0
        self._needed_by = 0
        self._unneeded: asyncio.Future[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self.state = State.STOPPED
        self.error: RhetorError | None = None
        """Why it failed last."""
        self.closed = False
        """Its owner has done with it: it is not started any more, whoever still waits for it."""

    @property
    def port(self) -> int | None:
        """Where it listens, while it is ready."""
        return self._running.server.port if self._running is not None and self._is_ready else None

    @property
    def origin(self) -> str | None:
        """The same, as the beginning of an address."""
        return self._running.server.origin if self._running is not None and self._is_ready else None

    @property
    def pid(self) -> int | None:
        return self._running.server.pid if self._running is not None else None

    @property
    def own(self) -> bool:
        """Whether what runs was started here."""
        return self._running is None or self._running.server.own

    @property
    def contact(self) -> Contact:
        """Of what runs now, with those who call it."""
        assert self._running is not None
        return self._running.contact

    @property
    def needed_by(self) -> int:
        return self._needed_by

    @property
    def pause_left_s(self) -> float:
        """How long it is left alone yet, after it has failed."""
        return max(0.0, self._not_before_s - _now_s())

    @property
    def _is_ready(self) -> bool:
        return self.state is State.READY

    def said(self) -> str:
        """The last that it wrote, without secrets; also when it has ended."""
        return self._redact(self._running.server.said()) if self._running is not None else ""

    async def ensure_ready(self, timeout_s: float) -> int:
        """The port where it listens. Many may ask at once: it is started once.

        Raises:
            RhetorError: unavailable, it cannot be started, or not within that time.
        """
        end_s = _now_s() + timeout_s
        while (port := self.port) is None:
            if (others := self._stopping or self._checking) is not None:
                await asyncio.wait([others], timeout=max(0.0, end_s - _now_s()))
            elif self._starting is None:
                self._ensure_may_start()
                self._become(State.STARTING)
                self._starting = self._tasks.spawn(self._start(), f"start {self._plan.label}")
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
            if not self._needed_by and self._unneeded is not None:
                self._unneeded.set_result(None)
                self._unneeded = None
            self._rest_later()

    async def unneeded(self) -> None:
        """Wait until nobody needs it."""
        if self._needed_by:
            if self._unneeded is None:
                self._unneeded = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._unneeded)

    def doubt(self) -> None:
        """Somebody could not reach it: find out whether it answers, before anybody else is sent there."""
        alive = self._plan.alive or self._plan.ready
        if self._is_ready and self._running is not None and not isinstance(alive, bytes):
            self._become(State.SUSPECT)
            self._stop_checking()
            self._check_later(self._running, alive, SUSPECT_S)

    def waited_in_vain(self) -> None:
        """Somebody has given up waiting for it, for whatever reason: find out whether it hangs."""
        running, well = self._running, self._plan.well
        if well is None or running is None or not self._is_ready:
            return
        contact = running.contact
        contact.heard = False  # what was heard before says nothing, also where it is looked at already

        async def is_heard(origin: str) -> bool:
            return await well(origin) or contact.heard

        if self._checking is None:
            self._check_later(running, is_heard, self._plan.silent_s)

    async def known(self) -> None:
        """Wait until it is known whether it still answers: as long as calls that it may be busy with."""
        while self.state is State.SUSPECT and self._checking is not None:
            await asyncio.wait([self._checking])

    def forgive(self) -> None:
        """It may be started at once, however often it has failed."""
        self._failures = 0
        self._not_before_s = 0.0
        self._forgiven.set()

    async def ended(self) -> None:
        """Wait until the process that runs now has ended, for whatever reason."""
        if self._running is not None:
            await self._running.server.wait()

    async def stop(self) -> None:
        """End it. It can be started again."""
        if self._stopping is None:
            if self.state is State.STOPPED:
                return
            self._begin_to_stop()
        assert self._stopping is not None
        await asyncio.shield(self._stopping)

    # Starting.

    def _ensure_may_start(self) -> None:
        if self.closed:
            message = f"{self._plan.label} is not started any more: it was removed, or the gateway stops"
            raise RhetorError(message, Code.UNAVAILABLE)
        most = self._plan.restart.most
        if most is not None and self._failures >= most:
            message = f"{self._plan.label} failed {most} times in a row; start it by hand when it can work"
            raise RhetorError(f"{message}. The last time: {self.error}", Code.UNAVAILABLE)

    async def _started(self, starting: asyncio.Task[RhetorError | None], end_s: float) -> None:
        done, _ = await asyncio.wait([starting], timeout=max(0.0, end_s - _now_s()))
        if done and starting.cancelled():
            raise self._failure("was stopped while it started")
        if done and (error := starting.result()) is not None:
            raise error

    async def _start(self) -> RhetorError | None:
        """What went wrong, since all who wait want to know that."""
        try:
            await self._left_alone()
            await self._cleared()
            if self._running is not None:  # one that was given up may still be ending
                await self._put_down(self._running)
            error = await self._start_within()
            if error is not None and self._running is not None:
                await self._put_down(self._running)
        finally:
            self._starting = None
        if self.state is State.STARTING:  # nobody stops it meanwhile
            if error is not None:
                self._fail(error)
            else:
                self._ready_since_s = _now_s()
                self._become(State.READY)
                self._rest_later()
        return error

    async def _left_alone(self) -> None:
        """Wait until the pause after its failure is over."""
        while (left_s := self.pause_left_s) > 0:
            self._forgiven.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._forgiven.wait()

    async def _start_within(self) -> RhetorError | None:
        try:
            async with asyncio.timeout(self._plan.start_s):
                await self._try_ports()
        except TimeoutError:
            return self._failure(f"is not ready after {self._plan.start_s:g} s")
        except RhetorError as error:
            return error
        except Exception as error:  # a full disk, no port: what goes wrong once may go well later
            log.exception("service cannot be started", extra={"service": self._plan.label})
            return self._failure(f"cannot be started: {error}")
        return None

    async def _try_ports(self) -> None:
        for n in range(PORT_TRIES):
            running = await self._launch()
            if await running.ready and not running.attending.done():  # it may have died just then
                return
            await self._put_down(running)
            if not running.server.is_robbed() or n == PORT_TRIES - 1:
                raise self._failure(f"ended with {await running.server.wait()} before it was ready")
            log.info("port was taken, another one is tried", extra={"service": self._plan.label})

    async def _launch(self) -> _Running:
        ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        heard = _Heard(self._plan.ready, ready) if isinstance(self._plan.ready, bytes) else _ignore

        def on_said(data: bytes) -> None:
            heard(data)
            self._on_said(data)

        running = _Running(await self._launcher.launch(on_said), ready)
        self._running = running
        label = self._plan.label
        running.attending = self._tasks.spawn(self._attend(running), f"attend {label}")
        if not isinstance(self._plan.ready, bytes):
            running.probing = self._tasks.spawn(_probe(running, self._plan.ready), f"probe {label}")
        return running

    async def _attend(self, running: _Running) -> None:
        code = await running.server.wait()
        if not running.ready.done():
            running.ready.set_result(False)
        elif self.state in (State.READY, State.SUSPECT) and running is self._running:
            self._fail(self._failure(f"ended with {code}"))
            await self._put_down(running)

    def _check_later(self, running: _Running, probe: Probe, silent_s: float) -> None:
        work = self._check(running, probe, silent_s)
        self._checking = self._tasks.spawn(work, f"check {self._plan.label}")

    async def _check(self, running: _Running, probe: Probe, silent_s: float) -> None:
        """Believe it again, or give it up."""

        def on_missed() -> None:
            if self._is_ready:
                self._become(State.SUSPECT)

        if self.state is State.SUSPECT:
            await asyncio.sleep(PROBE_EVERY_S)  # one that dies takes connections for a moment
        look = partial(probe, running.server.origin)
        answers = await running.contact.comes_back(look, silent_s, on_missed)
        if self.state not in (State.READY, State.SUSPECT):
            return
        self._checking = None
        if not answers:
            self._fail(self._failure("does not answer any more"))
            await self._put_down(running)
        elif self.state is State.SUSPECT:
            self._become(State.READY)
            self._rest_later()

    def _stop_checking(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
            self._checking = None

    # Stopping.

    def _begin_to_stop(self) -> None:
        self._become(State.STOPPING)
        self._stopping = self._tasks.spawn(self._stop(), f"stop {self._plan.label}")

    async def _stop(self) -> None:
        try:
            for task in (self._starting, self._checking):
                if task is not None:
                    await stop(task)
            if self._running is not None:
                await self._put_down(self._running)
            if self._idle is not None:
                self._idle.cancel()
        finally:
            # One that was cancelled before it began has not said so.
            self._starting = self._stopping = self._checking = None
            self._become(State.STOPPED)

    async def _put_down(self, running: _Running) -> None:
        if running.probing is not None:
            running.probing.cancel()
        await running.server.stop(self._plan.grace_s)
        if running.attending is not asyncio.current_task():
            await asyncio.wait([running.attending])

    def _rest_later(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._plan.idle_stop_s is not None and not self._needed_by:
            self._idle = asyncio.get_running_loop().call_later(self._plan.idle_stop_s, self._rest)

    def _rest(self) -> None:
        if self._is_ready and not self._needed_by and self._stopping is None:
            self._begin_to_stop()

    # What it is.

    def _become(self, state: State) -> None:
        assert state in MOVES[self.state], f"{self.state} -> {state}"
        self.state = state
        self._on_change(state)

    def _fail(self, error: RhetorError) -> None:
        was_ready = self.state in (State.READY, State.SUSPECT)
        if was_ready and _now_s() - self._ready_since_s >= self._plan.restart.steady_s:
            self._failures = 0
        self._failures += 1
        self._not_before_s = _now_s() + self._plan.restart.pause_s(self._failures)
        self.error = error
        self._stop_checking()
        log.warning("service failed", extra={"service": self._plan.label, "error": str(error)})
        self._become(State.FAILED)

    def _failure(self, what: str) -> RhetorError:
        said = self.said().strip()[-SHOWN_CHARS:]
        message = f"{self._plan.label} {what}"
        return RhetorError(f"{message}; it said: {said}" if said else message, Code.UNAVAILABLE)


@dataclass(slots=True, eq=False)
class _Running:
    server: Running
    ready: asyncio.Future[bool]
    """False: it has ended before."""
    contact: Contact = field(default_factory=Contact)
    attending: asyncio.Task[None] = field(init=False)
    probing: asyncio.Task[None] | None = None


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
    server = running.server
    while not running.ready.done():
        is_ready = await probe(server.origin) and await server.vouches()
        if running.ready.done():
            return
        if is_ready:
            running.ready.set_result(True)
        else:
            await asyncio.sleep(PROBE_EVERY_S)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
