"""How a server comes to run: as a child of ours on a port that is leased for it, or in another way that keeps
the same contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from rhetor.core.errors import Code, RhetorError
from rhetor.services import listening
from rhetor.services.ports import LOOPBACK, Ports, is_free
from rhetor.services.process import Child, House, OnSaid, Spec, start

PORT = "{port}"
SETTLE_S = 1.0  # a program that finds its port taken has said so and ended by then


class Running(Protocol):
    """A server that was started, or found. Whoever has it stops it in the end."""

    @property
    def origin(self) -> str:
        """Where it listens: `http://127.0.0.1:40123`."""

    @property
    def port(self) -> int: ...

    @property
    def pid(self) -> int | None: ...

    @property
    def own(self) -> bool:
        """Whether it is ours to stop; else it ran before, and goes on when we are done with it."""

    def said(self) -> str:
        """The last that it wrote, as far as it is known; secrets may be in it."""

    async def wait(self) -> int:
        """Wait for its end. Its exit code; negative: the signal it died of."""

    async def vouches(self) -> bool:
        """Whether it is this one that answers there, as far as anybody can tell; awaited once it does."""

    def is_robbed(self) -> bool:
        """Whether somebody else has its port, now that it has ended: another one may help."""

    async def stop(self, grace_s: float) -> None:
        """End it, where it is ours, and give everything back. Idempotent."""


class Launcher(Protocol):
    async def launch(self, on_said: OnSaid) -> Running:
        """Start it.

        Args:
            on_said: is told what it writes.

        Raises:
            RhetorError: unavailable, it cannot be started, and why.
        """


class Program:
    """Starts a program as a child; `{port}` in its arguments and variables becomes its port."""

    def __init__(
        self, spec: Spec, house: str | House, ports: Ports, *, mark: str, port: int | None = None
    ) -> None:
        """
        Args:
            port: the one that it always has; None: any that is free.
        """
        self._spec = spec
        self._house = house
        self._ports = ports
        self._mark = mark
        self._port = port

    async def launch(self, on_said: OnSaid) -> RunningProgram:
        port = self._port or self._ports.lease()
        if self._port is not None and not is_free(port):
            message = (
                f"port {port} is taken by another program: stop that one, or say `reuse: {{port: {port}}}`"
            )
            raise RhetorError(f"cannot start {self._spec.label}: {message}", Code.UNAVAILABLE)
        try:
            child = await start(_with_port(self._spec, port), self._house, mark=self._mark, on_said=on_said)
        except BaseException:
            self._ports.give_back(port)
            raise
        return RunningProgram(child, port, lambda: self._ports.give_back(port))


class RunningProgram:
    """Implements `Running`."""

    own = True

    def __init__(self, child: Child, port: int, give_back: Callable[[], None]) -> None:
        self._child = child
        self._give_back = give_back
        self.port = port
        self.origin = f"http://{LOOPBACK}:{port}"

    @property
    def pid(self) -> int:
        return self._child.pid

    def said(self) -> str:
        return self._child.said()

    async def wait(self) -> int:
        return await self._child.wait()

    async def vouches(self) -> bool:
        """Somebody who took the port may answer in its place: then it ends, having found that out."""
        if await asyncio.to_thread(listening.is_held, self.port, self._child.owns) is False:
            with suppress(TimeoutError):  # somebody of whom we see nothing may listen for it, as engines do
                await asyncio.wait_for(self._child.wait(), SETTLE_S)
        return self._child.returncode is None

    def is_robbed(self) -> bool:
        return not is_free(self.port)

    async def stop(self, grace_s: float) -> None:
        await self._child.stop(grace_s)
        self._give_back()


def _with_port(spec: Spec, port: int) -> Spec:
    argv = tuple(it.replace(PORT, str(port)) for it in spec.argv)
    env = {name: it.replace(PORT, str(port)) for name, it in spec.env.items()}
    return replace(spec, argv=argv, env=env)
