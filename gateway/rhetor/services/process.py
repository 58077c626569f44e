"""A child process: started in a group of its own, heard, written to, and ended with whatever it started."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal, Protocol

from rhetor.core.errors import Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.core.value import value
from rhetor.services import minder
from rhetor.services.pipes import Lines, Reader, Ring, Writer
from rhetor.tasks import spawn

log = logging.getLogger(__name__)

KILL_GRACE_S = 5.0  # an agent that is asked to end saves its transcript
KILL_WITHIN_S = 2.0  # what was sent SIGKILL is gone at once, unless a disk keeps the kernel waiting
STRAY_GRACE_S = 0.5  # for what its children started elsewhere, which was asked to end at the same time
LINGER_S = 0.5  # after a child has ended its children may hold its pipes open
SAID_BYTES = 64 * 1024


@value(kw_only=True)
class Spec:
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    """The complete environment of the child: nothing is inherited."""
    label: str
    """For logs and messages: `claude_code ses_…`."""
    stdin: bool = False
    """A pipe that we write to; else /dev/null."""
    stdout: Literal["lines", "ring", "told"] = "ring"
    """lines: iterated by the owner; ring: only the last of it is kept; told: whoever starts it is told."""
    max_line_bytes: int = 32 << 20


class House(Protocol):
    """Whom children belong to."""

    id: str

    async def ensure_minded(self) -> None:
        """Somebody will end the children when this process dies."""


class Child:
    """A running child. Whoever started it stops it: also one that has ended holds its number until then."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        spec: Spec,
        id: str,
        on_said: OnSaid | None,
        on_out: OnSaid | None = None,
    ) -> None:
        self._process = process
        self._label = spec.label
        self._id = id
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._stopping: asyncio.Task[int] | None = None
        self._reaped = False
        self._ring = Ring(SAID_BYTES)
        self._on_said = on_said
        self.pid = process.pid
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = [Reader(_taken(process.stderr), self._hear, _nothing)]
        self._lines: Lines | None = None
        if spec.stdout == "lines":
            self._lines = Lines(_taken(process.stdout), spec.max_line_bytes, spec.label)
            self._readers.append(self._lines.reader)
        elif spec.stdout == "told":
            assert on_out is not None, "its spec says: told"
            self._readers.append(Reader(_taken(process.stdout), on_out, lambda: on_out(b"")))
        else:
            self._readers.append(Reader(_taken(process.stdout), self._hear, _nothing))
        self._writer = Writer(_taken(process.stdin), spec.label) if process.stdin is not None else None
        self._watch()

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative: the signal it died of."""
        return self._exited.result() if self._exited.done() else None

    def lines(self) -> AsyncIterator[bytes]:
        """Its standard output, line by line without their ends, until it is closed. While nobody asks for
        the next line, it is not read.

        Raises, when iterated:
            RhetorError: protocol_error, a line is longer than `max_line_bytes`.
        """
        assert self._lines is not None, "its spec says: ring"
        return self._lines

    async def write(self, data: bytes, within_s: float) -> None:
        """Write to its standard input.

        Raises:
            RhetorError: unavailable, it has ended, or does not read within that time.
        """
        assert self._writer is not None, "its spec says: no stdin"
        await self._writer.write(data, within_s)

    def close_stdin(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def said(self) -> str:
        """The last that it wrote to stderr, and to stdout where no lines are read; secrets may be in it."""
        return self._ring.text()

    async def wait(self) -> int:
        """Wait for its end. The exit code; negative: the signal it died of."""
        return await asyncio.shield(self._exited)

    def signal(self, number: int) -> None:
        """Send a signal to its group."""
        if not self._reaped:  # until then its number is nobody else's
            with suppress(ProcessLookupError, PermissionError):  # macOS: a group of zombies is not permitted
                os.killpg(self.pid, number)

    async def stop(self, grace_s: float = KILL_GRACE_S) -> int:
        """End it, and whatever it started: SIGTERM, after the grace SIGKILL. The exit code.

        Also when it has ended already; called twice it waits for the same end. It goes on when its caller is
        cancelled, and is over in bounded time.
        """
        if self._stopping is None:
            self._stopping = spawn(self._stop(grace_s), f"stop {self._label}")
        return await asyncio.shield(self._stopping)

    async def _stop(self, grace_s: float) -> int:
        self.signal(signal.SIGTERM)
        strays = await asyncio.to_thread(minder.signal_those, self._is_stray, signal.SIGTERM)
        if not await self._ends_within(grace_s):
            log.warning("child ignores SIGTERM", extra={"child": self._label, "pid": self.pid})
        elif strays:
            await asyncio.to_thread(minder.wait_for_those, self._is_stray, STRAY_GRACE_S)
        self.signal(signal.SIGKILL)
        left = await asyncio.to_thread(minder.end_those, self._is_stray, 0.0, KILL_WITHIN_S, 1)
        if not await self._ends_within(KILL_WITHIN_S) or left:
            log.error("child cannot be killed", extra={"child": self._label, "pid": self.pid, "strays": left})
        self._reap()
        return self._exited.result()

    async def _ends_within(self, time_s: float) -> bool:
        await asyncio.wait([self._exited], timeout=time_s)
        return self._exited.done()

    def owns(self, pid: int) -> bool:
        """Whether a process is this one, or descends from it."""
        return pid == self.pid or self._is_stray(pid)

    def _is_stray(self, pid: int) -> bool:
        """It descends from the child, and may have left its group."""
        if pid == self.pid:
            return False
        return minder.session_of(pid) == self.pid or minder.environment_of(pid).get(minder.CHILD) == self._id

    def _reap(self) -> None:
        self.close_stdin()
        for reader in self._readers:
            reader.close()
        self._reaped = True
        if not self._exited.done():
            self._exited.set_result(-signal.SIGKILL)
        self._process.poll()

    def _hear(self, data: bytes) -> None:
        self._ring.put(data)
        if self._on_said is not None:
            self._on_said(data)

    # Its end. No child watcher of asyncio's or uvloop's has a part in it: they reap at once, and as long as
    # nobody has reaped it, its number and its group cannot become somebody else's.

    def _watch(self) -> None:
        try:
            descriptor = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            threading.Thread(target=self._wait, name=f"wait for {self._label}", daemon=True).start()
            return
        self._loop.add_reader(descriptor, self._on_readable, descriptor)

    def _on_readable(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        self._on_exit(_exit_of(self._process))

    def _wait(self) -> None:
        code = _exit_of(self._process)
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._on_exit, code)

    def _on_exit(self, code: int) -> None:
        if not self._exited.done():
            self._exited.set_result(code)
        self._loop.call_later(LINGER_S, self._let_go)

    def _let_go(self) -> None:
        """What a dead child wrote is read: whoever holds its pipes open now is not it."""
        for reader in self._readers:
            if reader.paused:  # its owner has not fetched the last lines
                self._loop.call_later(LINGER_S, self._let_go)
            else:
                reader.close()


OnSaid = Callable[[bytes], None]


async def start(
    spec: Spec,
    house: str | House,
    *,
    mark: str,
    on_said: OnSaid | None = None,
    on_out: OnSaid | None = None,
) -> Child:
    """Start a child.

    Args:
        house: which gateway it belongs to; a former one's children are found by it.
        mark: what it is for, such as a session.
        on_said: is told what it writes to stderr, and to stdout where no lines are read.
        on_out: is told what it writes to stdout, where the spec says so; nothing, at its end.

    Raises:
        RhetorError: unavailable, it cannot be started, and why.
    """
    if not isinstance(house, str):
        await house.ensure_minded()
        house = house.id
    id = new_id("child")
    env = {**spec.env, minder.HOUSE: house, minder.MARK: mark, minder.CHILD: id}
    launch = _Launch(spec, env)
    try:
        process = await asyncio.to_thread(launch.run)
    except asyncio.CancelledError:
        launch.give_up()
        raise
    return Child(process, spec, id, on_said, on_out)


class _Launch:
    """A start in a thread, since it may wait for a disk; whoever waits for it may give up meanwhile."""

    def __init__(self, spec: Spec, env: Mapping[str, str]) -> None:
        self._spec = spec
        self._env = env
        self._lock = threading.Lock()
        self._started: subprocess.Popen[bytes] | None = None
        self._given_up = False

    def run(self) -> subprocess.Popen[bytes]:
        process = _popen(self._spec, self._env)
        with self._lock:
            self._started = process
            if self._given_up:
                _discard(process)
        return process

    def give_up(self) -> None:
        with self._lock:
            self._given_up = True
            if self._started is not None:
                _discard(self._started)


def _popen(spec: Spec, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    program = spec.argv[0]
    try:
        if not spec.cwd.is_dir():
            raise RhetorError(f"cannot start {spec.label}: no folder {spec.cwd}", Code.UNAVAILABLE)
        return subprocess.Popen(
            spec.argv,
            cwd=spec.cwd,
            env=env,
            stdin=subprocess.PIPE if spec.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        message = f"cannot start {spec.label}: no program {program!r}; install it, or say where it is"
        raise RhetorError(message, Code.UNAVAILABLE) from error
    except PermissionError as error:
        message = f"cannot start {spec.label}: {program!r} may not be run, or {spec.cwd} not be entered"
        raise RhetorError(message, Code.UNAVAILABLE) from error
    except (OSError, ValueError) as error:  # not a program, too long arguments, a NUL in one
        raise RhetorError(f"cannot start {spec.label}: {error}", Code.UNAVAILABLE) from error


def _discard(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()


def _exit_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end, and leave it to be reaped where the system can."""
    if sys.platform == "darwin":
        return process.wait()
    try:
        end = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        return process.wait()  # somebody else reaped it, and its exit code is unknown
    assert end is not None
    return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status


def _taken(pipe: IO[bytes]) -> int:
    """The descriptor alone, which is ours to close."""
    with pipe:
        return os.dup(pipe.fileno())


def _nothing() -> None:
    pass
