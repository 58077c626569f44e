"""The transport to a guest: a program that is started when it is needed, and again when it has died."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from rhetor.core.call import Call
from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.plugins.guest.environment import Environments
from rhetor.plugins.guest.launch import Launcher, Running
from rhetor.plugins.guest.process import GuestProcess
from rhetor.plugins.guest.reply import GuestReply
from rhetor.plugins.guest.sandbox import Fact, Sandbox, what_is_enforced
from rhetor.plugins.guest.spec import CodeSpec
from rhetor.services.house import House
from rhetor.services.supervisor import Restart
from rhetor.tasks import Tasks
from rhetor.transport.base import Phase, Progress
from rhetor.transport.slots import Slots
from rhetor.wire.base import ModelEntry
from rhetor.wire.guest import GUEST, MODELS_PATH, result_of
from rhetor.wire.guest.asking import CALL_PATH

log = logging.getLogger(__name__)

BASE_URL = "guest:"
"""Of rows whose provider is a guest: there is nobody to connect to."""
TEST_PATH = "/test_connection"
QUESTIONS = {path: b'{"method":"%s"}\n' % path[1:].encode() for path in (MODELS_PATH, TEST_PATH)}
WAITING = 1000
ASK_S = 30.0
ANSWER_BYTES = 16 << 20
WAIT_FOR_RESTART_S = 2.0  # longer pauses are for somebody else to fill

State: TypeAlias = Literal["stopped", "starting", "ready", "failed", "closed"]


class GuestTransport:
    """Calls to one code provider.

    A death fails the calls that run, and nothing else; the first one is made good at once, further ones in
    a row after ever longer pauses.

    Args:
        folder: where environments are kept; several transports may share it.
        sandbox: several may share it; None: the guest must be confined.
        environ: the gateway's own variables, for installers.
    """

    def __init__(
        self,
        spec: CodeSpec,
        folder: Path,
        house: House,
        *,
        sandbox: Sandbox | None = None,
        restart: Restart | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.spec = spec
        environments = Environments(folder, house, environ)
        self._launcher = Launcher(spec, house, sandbox or Sandbox(house), environments)
        self._restart = restart or Restart()
        self._slots = Slots(spec.limits.calls, WAITING)
        self._tasks = Tasks()
        self._starting: asyncio.Task[None] | None = None
        self._running: Running | None = None
        self._all: set[Running] = set()
        self._failures = 0
        self._not_before_s = 0.0
        self._idle: asyncio.TimerHandle | None = None
        self._closed = False
        self._said = ""
        self.starts = 0
        self.error: UpstreamError | None = None
        """Why it ended last, or did not start."""

    @property
    def state(self) -> State:
        if self._closed:
            return "closed"
        if self._running is not None:
            return "ready"
        if self._starting is not None:
            return "starting"
        return "failed" if self.error is not None else "stopped"

    @property
    def pid(self) -> int | None:
        return self._running.process.pid if self._running is not None else None

    @property
    def unended(self) -> int:
        """Calls that nobody waits for any more, and that it has not ended yet."""
        return self._running.process.unended if self._running is not None else 0

    def said(self) -> str:
        """The last that it wrote to its log, without secrets; also when it has ended."""
        return self._running.process.said() if self._running is not None else self._said

    async def enforced(self) -> Sequence[Fact]:
        """What it is kept from on this machine."""
        return what_is_enforced(await self._launcher.means(), self.spec)

    async def unreadable(self) -> Sequence[str]:
        """What `plugins.reads` lets it read, and it cannot, with the reason."""
        return await self._launcher.unreadable()

    async def prepare(self) -> None:
        """Make its environment, without running any of its code.

        Raises:
            RhetorError: it cannot be made, or the guest must be confined and cannot be.
        """
        await self._launcher.prepare()

    async def test(self) -> str:
        """Ask it whether it works; its own words.

        Raises:
            RhetorError: it does not, and why.
        """
        said = result_of(await self._ask(TEST_PATH)).get("message")
        return self._launcher.redact(str(said))[:500] if said else "it works"

    async def models(self) -> Sequence[ModelEntry]:
        """
        Raises:
            RhetorError: it cannot be asked, or does not say.
        """
        return GUEST.read_models(await self._ask(MODELS_PATH))

    async def open(self, call: Call, progress: Progress) -> GuestReply:
        body = _body(call)
        if self._closed:
            raise _closed()
        if not self._slots.take():
            progress.phase = Phase.QUEUED
            await self._slots.wait(call.caller)
        if self._idle is not None:
            self._idle.cancel()
        done = _Once(self._on_done)
        try:
            progress.phase = Phase.STARTING
            running = await self._ready()
            progress.phase = Phase.AWAITING_HEADERS
            reply, sending = running.process.call(body, done)
        except BaseException:
            done()
            raise
        try:
            await asyncio.shield(sending)  # half a question would spoil all that follow
        except BaseException:
            reply.close()
            raise
        progress.phase = Phase.READING
        return reply

    async def stop(self) -> None:
        """End it; it starts again when somebody asks."""
        for running in list(self._all):
            await running.put_down()
        self._failures, self._not_before_s, self.error = 0, 0.0, None

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._slots.close()
        if self._idle is not None:
            self._idle.cancel()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        for running in list(self._all):
            await running.process.stop(_closed())
            await running.put_down()
        await self._tasks.close()

    async def _ask(self, path: str) -> bytes:
        """The answer to a question that is no generation."""
        try:
            async with asyncio.timeout(ASK_S + self.spec.limits.start_s):
                reply = await self.open(Call("POST", BASE_URL + path), Progress())
                try:
                    return await reply.read(ANSWER_BYTES)
                finally:
                    reply.close()
        except TimeoutError:
            raise UpstreamError(f"{self.spec.id} does not answer", Code.TOTAL_TIMEOUT) from None

    # Starting.

    async def _ready(self) -> Running:
        while True:
            if self._closed:
                raise _closed()
            if self._running is not None:
                return self._running
            if self._starting is None:
                await self._until_allowed()
            if self._starting is None and self._running is None:
                self.error = None
                self._starting = self._tasks.spawn(self._start(), f"start {self.spec.id}")
            if self._starting is not None:
                await asyncio.wait([self._starting])
                if self._running is None and self.error is not None:
                    raise UpstreamError(self.error.message, self.error.code)

    async def _until_allowed(self) -> None:
        """
        Raises:
            UpstreamError: unavailable, it keeps dying and is left alone for a while.
        """
        wait_s = self._not_before_s - _now_s()
        if wait_s > WAIT_FOR_RESTART_S and self.error is not None:
            message = f"{self.error.message}; it is started again in {wait_s:.0f} s"
            raise UpstreamError(message, Code.UNAVAILABLE, retry_after_s=wait_s)
        await asyncio.sleep(max(wait_s, 0.0))

    async def _start(self) -> None:
        try:
            self._running = await self._launcher.launch(self._on_end, self._on_made)
            self.starts += 1
            log.info("guest started", extra={"guest": self.spec.id, "pid": self.pid})
        except RhetorError as error:
            self._count_failure(UpstreamError(error.message, error.code))
        except Exception as error:  # whoever waits must hear of it, or would try again and again
            log.exception("guest cannot start", extra={"guest": self.spec.id})
            self._count_failure(UpstreamError(f"{self.spec.id} cannot start: {error}", Code.UNAVAILABLE))
        finally:
            self._starting = None

    def _on_made(self, running: Running) -> None:
        self._all.add(running)

    # Its end.

    def _on_end(self, process: GuestProcess) -> None:
        """It takes no further calls; those that run may go on."""
        self._said = process.said()
        started = self._running is not None and self._running.process is process
        if started:
            self._running = None
        if process.answered:
            self._failures = 0
        if started and process.error is not None and not self._closed:
            self._count_failure(process.error)
        for running in [it for it in self._all if it.process is process]:
            self._tasks.spawn(self._attend(running), f"attend {self.spec.id}")

    async def _attend(self, running: Running) -> None:
        await running.process.ended()
        await running.put_down()
        self._said = running.process.said() or self._said
        self._all.discard(running)

    def _count_failure(self, error: UpstreamError) -> None:
        self.error = error
        self._not_before_s = _now_s() + self._restart.pause_s(self._failures)
        self._failures += 1

    # Idling.

    def _on_done(self) -> None:
        self._slots.give_back()
        idle_s = self.spec.limits.idle_stop_s
        if idle_s is not None and not self._slots.taken and not self._closed:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = asyncio.get_running_loop().call_later(idle_s, self._rest)

    def _rest(self) -> None:
        if self._running is not None and not self._running.process.busy and not self._slots.taken:
            self._running.process.retire()


class _Once:
    """A callback that is called once, however often it is called."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work: Callable[[], None] | None = work

    def __call__(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            work()


def _body(call: Call) -> bytes:
    """
    Raises:
        BadRequest: guests are not asked this.
    """
    path = urlsplit(call.url).path
    if path == CALL_PATH and call.body is not None:
        return call.body
    if path not in QUESTIONS:
        raise BadRequest(f"guests are not asked for {path!r}")
    return QUESTIONS[path]


def _closed() -> UpstreamError:
    return UpstreamError("the guest's transport is closed", Code.UNAVAILABLE)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
