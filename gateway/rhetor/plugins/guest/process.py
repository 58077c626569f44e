"""A running guest: many calls at once over one pair of pipes, each with its own number."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from rhetor import __version__
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.plugins.guest.reply import WINDOW_BYTES, GuestReply
from rhetor.plugins.guest.sandbox import JAIL
from rhetor.services.house import House
from rhetor.services.process import Child, Spec
from rhetor.tasks import Tasks
from rhetor.wire.guest.frames import Frame, FrameSplitter, frame
from rhetor.wire.refusals import shortened

log = logging.getLogger(__name__)

PROTOCOL = 1
PROTOCOLS: tuple[int, ...] = (PROTOCOL,)
"""All that are spoken here."""
WRITE_S = 20.0  # a guest that does not read what it is asked for so long is broken
CANCEL_GRACE_S = 5.0  # a call that was cancelled has ended by then, or its guest hangs
STOP_GRACE_S = 2.0
DRAIN_S = 1.0  # the pipe of a dead child is closed after half of that, whoever holds it


class GuestProcess:
    """One process of a guest, from its start to its end. Its owner stops it.

    Args:
        on_end: is told once when it has ended, or cannot be trusted with another call.
        redact: takes secrets out of what it says.
    """

    def __init__(
        self, label: str, on_end: Callable[[GuestProcess], None], redact: Callable[[str], str]
    ) -> None:
        self.label = label
        self._on_end = on_end
        self._redact = redact
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._splitter = FrameSplitter()
        self._calls: dict[int, GuestReply] = {}
        self._left: dict[int, GuestReply] = {}
        """Given up, and not ended by the guest yet."""
        self._last_number = 0
        self._child: Child | None = None
        self._hello: asyncio.Future[Json] = self._loop.create_future()
        self.error: UpstreamError | None = None
        """Why no call is accepted any more, if not for being idle."""
        self._retired = False
        self._stopping: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._drained = asyncio.Event()
        self.answered = 0
        """Calls that it has ended itself."""
        self.sdk = ""

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    @property
    def busy(self) -> int:
        """Calls that somebody waits for."""
        return len(self._calls)

    @property
    def unended(self) -> int:
        """Calls that nobody waits for any more, and that it has not ended yet."""
        return len(self._left)

    @property
    def usable(self) -> bool:
        return self.error is None and not self._retired

    def said(self) -> str:
        """The last that it wrote to its log, without secrets."""
        return self._redact(self._child.said()) if self._child is not None else ""

    async def start(self, house: House, order: bytes, mark: str, start_s: float) -> None:
        """
        Raises:
            UpstreamError: unavailable, it did not start, and why.
        """
        spec = Spec(argv=JAIL, cwd=Path("/"), env={}, label=self.label, stdin=True, stdout="told")
        hello: dict[str, JsonValue] = {
            "do": "hello",
            "protocols": list(PROTOCOLS),
            "gateway": f"rhetor/{__version__}",
            "window": WINDOW_BYTES,
        }
        try:
            async with asyncio.timeout(start_s):
                self._child = await house.start(spec, mark=mark, on_out=self._on_out)
                self._tasks.spawn(self._watch(self._child), f"watch {self.label}")
                await self._say_hello(order + frame(hello), start_s)
        except TimeoutError:
            raise self._no_start(f"said nothing in {start_s:g} s") from None
        except UpstreamError:
            raise
        except RhetorError as error:
            raise self._no_start(error.message) from error

    async def _say_hello(self, data: bytes, within_s: float) -> None:
        assert self._child is not None
        try:
            await self._child.write(data, within_s)
        except RhetorError:
            if self._child.returncode is None:
                raise
        # Else it has ended already, and its end says more than that it could not be written to.
        self._greet(await asyncio.shield(self._hello))

    def call(self, body: bytes, on_done: Callable[[], None]) -> tuple[GuestReply, asyncio.Task[None]]:
        """Ask; the reply, and the sending of the question.

        Args:
            body: a frame without its number.
        """
        assert self._child is not None
        self._last_number += 1
        reply = GuestReply(self._last_number, self, on_done)
        self._calls[reply.number] = reply
        question = b'{"do":"call","call":%d,' % reply.number + body[1:]
        return reply, self._tasks.spawn(self._write(question), f"ask {self.label}")

    def retire(self) -> None:
        """No further call; it is stopped when those that run have ended."""
        if not self._retired:
            self._retired = True
            self._on_end(self)
            self._look()

    async def ended(self) -> None:
        """Wait until its process is gone."""
        await self._ended.wait()

    async def stop(self, error: UpstreamError, grace_s: float = STOP_GRACE_S) -> None:
        """End it; calls that run fail of this."""
        self._fail(error)
        if self._stopping is None:
            self._stopping = self._tasks.spawn(self._stop(grace_s), f"stop {self.label}")
        await asyncio.shield(self._stopping)
        await self._tasks.close()

    # What replies want.

    def grant(self, reply: GuestReply, credit: int) -> None:
        if self.error is None:
            self._send({"do": "more", "call": reply.number, "credit": credit})

    def give_up(self, reply: GuestReply) -> None:
        if self._calls.pop(reply.number, None) is not None and self.error is None:
            self._left[reply.number] = reply
            self._send({"do": "cancel", "call": reply.number})
            self._loop.call_later(CANCEL_GRACE_S, self._on_patience, reply.number)
        self._look()

    # What comes.

    def _on_out(self, data: bytes) -> None:
        if self.error is not None:
            if not data:
                self._drained.set()
            return
        if not data:
            self._drained.set()
            closed = UpstreamError(f"{self.label} closed its output", Code.CONNECTION_LOST)
            self._loop.call_later(DRAIN_S, self._fail, closed)  # unless its end says more
            return
        try:
            for each in self._splitter.feed(data):
                self._on_frame(each)
        except UpstreamError as error:
            self._distrust(f"{self.label}: {error.message}")

    def _on_frame(self, frame: Frame) -> None:
        number = frame.fields.get("call")
        if number is None and not self._hello.done():
            self._hello.set_result(frame.fields)
            return
        reply = self._calls.get(number) or self._left.get(number) if type(number) is int else None
        if reply is None:
            raise UpstreamError(f"the guest wrote of a call that is none: {number!r}"[:100], Code.PROTOCOL)
        if frame.fields.get("event") == "failed":
            frame = self._without_secrets(frame)
        if not reply.put(frame):
            raise UpstreamError("the guest wrote more than it was allowed to", Code.PROTOCOL)
        if reply.ended:
            self.answered += 1
            self._calls.pop(reply.number, None)
            self._left.pop(reply.number, None)
            self._look()

    def _without_secrets(self, failed: Frame) -> Frame:
        fields = {name: self._redact(it) if isinstance(it, str) else it for name, it in failed.fields.items()}
        return Frame(fields, failed.data, frame(fields))

    def _greet(self, hello: Json) -> None:
        """
        Raises:
            UpstreamError: it did not start, or speaks another version.
        """
        if hello.get("event") == "broken":
            raise self._no_start(self._redact(shortened(str(hello.get("message")))))
        if hello.get("event") != "hello" or hello.get("protocol") not in PROTOCOLS:
            spoken = ", ".join(map(str, PROTOCOLS))
            said = f"protocol {hello.get('protocol')!r}"[:40]
            raise self._no_start(f"speaks {said}, and the gateway {spoken}: one of the two is too old")
        self.sdk = str(hello.get("sdk", ""))[:80]

    def _no_start(self, why: str) -> UpstreamError:
        error = UpstreamError(f"{self.label} did not start: {why}", Code.UNAVAILABLE)
        self._fail(error)
        return error

    # Its end.

    async def _watch(self, child: Child) -> None:
        code = await child.wait()
        with suppress(TimeoutError):  # what it has written before its end may still be in the pipe
            async with asyncio.timeout(DRAIN_S):
                await self._drained.wait()
        how = f"with {code}" if 0 <= code < 128 else f"by signal {abs(code) % 128}"
        said = self.said().strip()
        log.log(
            logging.INFO if self.error is not None or self._retired else logging.WARNING,
            "guest ended",
            extra={"guest": self.label, "code": code, "said": said[-500:]},
        )
        if not self._hello.done():
            last = said.splitlines()[-1] if said else "without a word"
            self._no_start(f"it ended {how}: {shortened(last)}")
        # What it has written before its end may still be in the pipe, whose end is told as well.
        self._loop.call_later(
            0.2, self._fail, UpstreamError(f"{self.label} ended {how}", Code.CONNECTION_LOST)
        )

    def _on_patience(self, number: int) -> None:
        if number in self._left and self.error is None:
            log.warning("guest does not end a call that was cancelled", extra={"guest": self.label})
            self.retire()

    def _distrust(self, why: str) -> None:
        """It does not keep to the protocol: nothing that it says can be told apart any more."""
        log.warning("guest breaks the protocol", extra={"guest": self.label, "error": why})
        self._fail(UpstreamError(why, Code.PROTOCOL))

    def _fail(self, error: UpstreamError) -> None:
        if self.error is not None:
            return
        self.error = error
        if not self._hello.done():
            self._hello.set_exception(error)
            self._hello.exception()  # whoever starts it may be gone
        calls, self._calls, self._left = list(self._calls.values()), {}, {}
        for reply in calls:
            reply.fail(UpstreamError(error.message, error.code))
        if not self._retired:
            self._retired = True
            self._on_end(self)
        self._look()

    def _look(self) -> None:
        """Whether it is time to end it."""
        if (self._retired or self.error is not None) and not self._calls and self._stopping is None:
            self._stopping = self._tasks.spawn(self._stop(STOP_GRACE_S), f"stop {self.label}")

    async def _stop(self, grace_s: float) -> None:
        try:
            if self._child is not None:
                self._child.close_stdin()
                await self._child.stop(grace_s)
        finally:
            self._ended.set()

    # What goes.

    def _send(self, said: Mapping[str, JsonValue]) -> None:
        self._tasks.spawn(self._write(frame(said)), f"tell {self.label}")

    async def _write(self, data: bytes) -> None:
        assert self._child is not None
        try:
            await self._child.write(data, WRITE_S)
        except RhetorError as error:
            self._fail(UpstreamError(f"{self.label} cannot be asked: {error}", Code.CONNECTION_LOST))
