"""Services that an engine runs: one of a compose file, raised through the command `docker`.

The command is a child with arguments, never a line for a shell. What is relied on:

- `up --detach`, `stop --timeout`, `down`, `ps --all --format json`, and
  `logs --follow --no-color --no-log-prefix --tail`
  (https://docs.docker.com/reference/cli/docker/compose/, read 2026-11-21).
- `ps --format json` writes one object a line since 2.21.0, and wrote one array before
  (https://github.com/docker/compose/pull/13868, read 2026-11-21). `Publishers` has the ports, or is null.
- `logs --follow` does not end when the container does
  (https://github.com/docker/compose/issues/8715, read 2026-11-21), so its end is looked for.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from rhetor.core.content import JsonValue
from rhetor.core.errors import Code, RhetorError
from rhetor.core.value import value
from rhetor.services.command import Outcome, run
from rhetor.services.contact import Probe
from rhetor.services.ports import LOOPBACK
from rhetor.services.process import Child, House, OnSaid, Spec, start
from rhetor.services.spec import Compose
from rhetor.tasks import spawn

log = logging.getLogger(__name__)

ASK_S = 30.0  # of `ps` on a busy engine
UP_S = 3600.0  # it may load an image of some gigabytes; the service's own clock is shorter
DOWN_S = 120.0
SLACK_S = 10.0  # of the engine, over the grace of a container
WATCH_S = 5.0
TAIL = "200"  # lines of its log from before
SHOWN_CHARS = 500
ANYWHERE = frozenset({"", "0.0.0.0", "::", "127.0.0.1", "::1"})
HINTS = {
    "Cannot connect to the Docker daemon": "no container engine runs here, or this user may not use it",
    "permission denied while trying to connect": "this user may not use the container engine",
    "unknown shorthand flag: 'f' in -f": "`docker` has no compose: install docker-compose-plugin",
    "is not a docker command": "`docker` has no compose: install docker-compose-plugin",
}
"""What it means that the command says so. The third and fourth: https://github.com/docker/for-linux/issues/1330,
https://github.com/hyperledger-cello/cello/issues/473 (read 2026-11-21)."""


@value
class Container:
    """What `ps` tells of one."""

    state: str
    exit_code: int
    published: Mapping[int, tuple[str, int]]
    """By the port inside, where it is found outside."""

    @property
    def is_running(self) -> bool:
        return self.state == "running"


class Composed:
    """A launcher that raises one service of a compose file."""

    def __init__(
        self,
        label: str,
        compose: Compose,
        house: str | House,
        *,
        mark: str,
        env: Mapping[str, str],
        assigned: int | None,
        raised: Path,
        alive: Probe,
        redact: Callable[[str], str],
    ) -> None:
        """
        Args:
            env: the whole environment of the command, and so what the file's `${…}` can be.
            assigned: the port that it was told to publish, if any.
            raised: a file that is there while a container runs that we have started.
            alive: whether somebody listens at an origin.
            redact: takes secrets out of what is said.
        """
        self._label = label
        self._compose = compose
        self._house = house
        self._mark = mark
        self._env = env
        self._assigned = assigned
        self._raised = raised
        self._alive = alive
        self._redact = redact

    async def launch(self, on_said: OnSaid) -> RunningContainer:
        """Raise it, unless it runs: then it is used as it is, and ours only if we had started it."""
        before = await self.look()
        running = before is not None and before.is_running
        if not running:
            await asyncio.to_thread(_mark, self._raised)
        try:
            return await self._raise(running, on_said)
        except BaseException:
            if not running:  # whoever gives up here must not leave behind what is about to run
                await asyncio.shield(spawn(self.halt(SLACK_S), f"halt {self._label}"))
            raise

    async def _raise(self, running: bool, on_said: OnSaid) -> RunningContainer:
        if not running:
            await self._docker("up", "--detach", self._compose.service, within_s=UP_S, on_said=on_said)
        container = await self.look()
        if container is None or not container.is_running:
            raise await self._ended_at_once(container)
        logs = await self._follow_logs(on_said)
        origin, port = self._where(container)
        own = not running or await asyncio.to_thread(self._raised.exists)
        return RunningContainer(self, origin, port, own, logs, self._alive)

    async def _ended_at_once(self, container: Container | None) -> RhetorError:
        words = ("logs", "--no-color", "--no-log-prefix", "--tail", TAIL, self._compose.service)
        said = self._shown((await self._docker(*words, within_s=ASK_S)).out)
        how = "has no container" if container is None else f"ended with {container.exit_code} at once"
        return RhetorError(f"{self._label} {how}; it said: {said}", Code.UNAVAILABLE)

    def _where(self, container: Container) -> tuple[str, int]:
        """What is published counts, then what was assigned, then the port inside, of the host's network."""
        host, port = container.published.get(
            self._compose.port, (LOOPBACK, self._assigned or self._compose.port)
        )
        host = LOOPBACK if host in ANYWHERE else host
        return f"http://{host}:{port}", port

    async def look(self) -> Container | None:
        """What there is of it, running or not."""
        service = self._compose.service
        said = await self._docker("ps", "--all", "--format", "json", service, within_s=ASK_S)
        found = [container for name, container in parse_ps(said.out) if name in (service, "")]
        return next((it for it in found if it.is_running), found[0] if found else None)

    async def halt(self, grace_s: float) -> None:
        grace = str(math.ceil(grace_s))
        await self._docker("stop", "--timeout", grace, self._compose.service, within_s=grace_s + SLACK_S)
        await asyncio.to_thread(self._raised.unlink, missing_ok=True)

    async def down(self) -> None:
        """Remove the containers and networks of the whole file; volumes stay.

        Raises:
            RhetorError: the engine does not.
        """
        await self._docker("down", within_s=DOWN_S)
        await asyncio.to_thread(self._raised.unlink, missing_ok=True)

    async def _follow_logs(self, on_said: OnSaid) -> Child:
        words = ("logs", "--follow", "--no-color", "--no-log-prefix", "--tail", TAIL, self._compose.service)
        return await start(self._spec(words, "ring"), self._house, mark=self._mark, on_said=on_said)

    async def _docker(self, *words: str, within_s: float, on_said: OnSaid | None = None) -> Outcome:
        spec = self._spec(words, "lines")
        done = await run(spec, self._house, mark=self._mark, within_s=within_s, on_said=on_said)
        if done.code != 0:
            said = self._shown(done.err or done.out)
            hint = next((hint for words, hint in HINTS.items() if words in said), None)
            what = hint or f"`docker compose {words[0]}` ended with {done.code}"
            raise RhetorError(f"{self._label}: {what}; it said: {said}", Code.UNAVAILABLE)
        return done

    def _shown(self, said: str) -> str:
        """The end of what was said; secrets are taken out before it is cut, so no part of one is left."""
        return self._redact(said.strip())[-SHOWN_CHARS:]

    def _spec(self, words: tuple[str, ...], stdout: str) -> Spec:
        file = self._compose.file
        project = () if self._compose.project is None else ("--project-name", self._compose.project)
        return Spec(
            argv=("docker", "compose", "--file", str(file), *project, *words),
            cwd=file.parent,
            env=self._env,
            label=f"docker compose {words[0]} of {self._label}",
            stdout="lines" if stdout == "lines" else "ring",
        )


class RunningContainer:
    """Implements `Running`."""

    pid = None

    def __init__(
        self, composed: Composed, origin: str, port: int, own: bool, logs: Child, alive: Probe
    ) -> None:
        self.origin = origin
        self.port = port
        self.own = own
        self._composed = composed
        self._logs = logs
        self._alive = alive
        self._left = asyncio.Event()

    def said(self) -> str:
        return self._logs.said()

    async def wait(self) -> int:
        """While its port takes connections it runs; else the engine is asked."""
        while not self._left.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await self._left.wait()
                    break
            if await self._alive(self.origin):
                continue
            with suppress(RhetorError):  # an engine that cannot be asked now says nothing of it
                container = await self._composed.look()
                if container is None or not container.is_running:
                    return container.exit_code if container is not None else 0
        return 0

    async def vouches(self) -> bool:
        return True

    def is_robbed(self) -> bool:
        return False

    async def stop(self, grace_s: float) -> None:
        if self._left.is_set():
            return
        self._left.set()
        await self._logs.stop(0.0)
        if self.own:
            try:
                await self._composed.halt(grace_s)
            except RhetorError as error:
                log.error("container cannot be stopped", extra={"error": str(error)})


def parse_ps(text: str) -> Iterator[tuple[str, Container]]:
    """The service and the container of each entry: an array, or an object a line."""
    for piece in (text,) if text.lstrip().startswith("[") else text.splitlines():
        try:
            said = orjson.loads(piece)
        except orjson.JSONDecodeError:  # a warning of the command's
            continue
        for entry in said if isinstance(said, list) else [said]:
            if isinstance(entry, dict):
                yield str(entry.get("Service", "")), _container(entry)


def _container(entry: Mapping[str, JsonValue]) -> Container:
    publishers = entry.get("Publishers")
    published: dict[int, tuple[str, int]] = {}
    for it in publishers if isinstance(publishers, list) else []:
        if not isinstance(it, dict) or it.get("Protocol", "tcp") != "tcp":
            continue
        inside, outside = it.get("TargetPort"), it.get("PublishedPort")
        if isinstance(inside, int) and isinstance(outside, int) and outside:  # 0: it is not published
            published.setdefault(inside, (str(it.get("URL", "")), outside))
    code = entry.get("ExitCode")
    state = str(entry.get("State", "")).lower()
    return Container(state, code if isinstance(code, int) else 0, published)


def _mark(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
