"""An agent that is a program: where it is, whether it can be used, what it may know, what it died of."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from rhetor.core.clock import Clock, SystemClock
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.value import value
from rhetor.services.process import Child, House, Spec, start
from rhetor.sessions.backend import Condition, Setup

VERSION_S = 10.0
FRESH_S = 30.0  # how long what was found of it is believed
EXIT_S = 2.0  # from the end of its output to its own
LAST_WORDS = 500  # characters of stderr that an error repeats

INHERITED = ("PATH", "LANG", "LANGUAGE", "TZ", "TERM", "SHELL", "USER", "LOGNAME")
INHERITED_PREFIX = "LC_"
PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})

SECRETIVE = re.compile(r"(?i)(token|secret|password|passwd|api_?key|credential|auth(?!or))")
SHORTEST_SECRET = 8  # a shorter value stands in other words as well
REDACTED = b"[redacted]"

Clean = Callable[[bytes], bytes]


@value
class Limits:
    """Of a model, in tokens; None: as the agent thinks of names that it does not know."""

    context: int | None = None
    output: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    """What is known of a program before it is looked at."""

    name: str
    """The backend's."""
    title: str
    """For people."""
    version: re.Pattern[str]
    """Finds its version's three numbers in what it says to `--version`."""
    oldest: tuple[int, int, int]
    install: str
    """The command that installs it."""


class Program:
    """
    Args:
        command: its name, or its path.
        children: whom its processes belong to.
        environ: this gateway's own environment; None: that of this process.
    """

    def __init__(
        self,
        make: Make,
        command: str,
        children: str | House,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._make = make
        self._command = command
        self._children = children
        self._environ = os.environ if environ is None else environ
        self._clock = clock or SystemClock()
        self._checking = asyncio.Lock()
        self._checked_s = 0.0
        self._condition: Condition | None = None

    def inherited(self) -> dict[str, str]:
        """The harmless part of this gateway's own environment."""
        return {
            name: text
            for name, text in self._environ.items()
            if name in INHERITED or name.startswith(INHERITED_PREFIX)
        }

    def find(self) -> str:
        """Where it is: a child has no PATH to be looked for in but its own.

        Raises:
            RhetorError: unavailable, it is nowhere.
        """
        if (found := shutil.which(self._command, path=self._environ.get("PATH"))) is None:
            setting = f"sessions.{self._make.name}.command"
            raise failure(
                self._make.name,
                f"no program {self._command!r}: install it with `{self._make.install}`, or set {setting}",
            )
        return found

    async def start(self, spec: Spec, mark: str) -> Child:
        """
        Raises:
            RhetorError: unavailable, it cannot be started.
        """
        try:
            return await start(spec, self._children, mark=mark)
        except RhetorError as error:
            raise UpstreamError(error.message, error.code, origin=self._make.name) from error

    async def check(self) -> Condition:
        """See `Backend.check`."""
        async with self._checking:  # whoever comes meanwhile gets what the first one found
            now_s = self._clock.monotonic_s()
            if self._condition is None or now_s - self._checked_s >= FRESH_S:
                self._condition = await self._look()
                self._checked_s = self._clock.monotonic_s()
            return self._condition

    async def _look(self) -> Condition:
        try:
            binary = self.find()
            wanted = Spec(
                argv=(binary, "--version"),
                cwd=Path("/"),
                env=self.inherited(),
                label=f"{self._make.name} --version",
            )
            child = await self.start(wanted, self._make.name)
        except RhetorError as error:
            return Condition(healthy=False, error=error.message)
        found = Condition(healthy=False, binary=binary)
        try:
            async with asyncio.timeout(VERSION_S):
                code = await child.wait()
        except TimeoutError:
            return replace(found, error=f"`{binary} --version` took longer than {VERSION_S:g} s")
        finally:
            await child.stop(0.0)
        return self._judged(found, code, child.said().strip())

    def _judged(self, found: Condition, code: int, said: str) -> Condition:
        match = self._make.version.search(said)
        if code != 0 or match is None:
            error = f"`{found.binary} --version` ended with status {code} and said {said[:200]!r}"
            return replace(found, error=error)
        version = ".".join(match.groups())
        if tuple(map(int, match.groups())) < self._make.oldest:
            oldest = ".".join(map(str, self._make.oldest))
            error = (
                f"{self._make.title} {version} is older than {oldest}: update it with `{self._make.install}`"
            )
            return replace(found, version=version, error=error)
        return replace(found, healthy=True, version=version)


def failure(name: str, what: str) -> UpstreamError:
    """Of an agent that cannot be used, or not any more."""
    return UpstreamError(what, Code.UNAVAILABLE, origin=name)


async def death(child: Child, name: str, program: str, clean: Clean) -> RhetorError:
    """Why there is nothing more to read: how it ended, and what it said last."""
    try:
        async with asyncio.timeout(EXIT_S):
            code = await child.wait()
    except TimeoutError:
        how = f"{program} has closed its output"
    else:
        how = f"{program} was ended by signal {-code}" if code < 0 else f"{program} ended with status {code}"
    words = clean(child.said().encode()).decode(errors="replace").strip()
    return failure(name, f"{how}: {words[-LAST_WORDS:]}" if words else how)


def around_proxies(setup: Setup) -> dict[str, str]:
    """The gateway is asked directly, also where other addresses are reached through a proxy."""
    if not any(name.upper() in PROXIES for name in setup.environment):
        return {}
    host = urlsplit(setup.access.url).hostname or ""
    known = setup.environment.get("NO_PROXY") or setup.environment.get("no_proxy")
    direct = ",".join(filter(None, (known, host)))
    return {"NO_PROXY": direct, "no_proxy": direct}


def cleaner(setup: Setup) -> Clean:
    """What takes the session's secrets out of whatever the agent says: it may print its environment."""
    secrets = [setup.access.token] if setup.access.token else []
    secrets += [
        text
        for name, text in setup.environment.items()
        if len(text) >= SHORTEST_SECRET and SECRETIVE.search(name)
    ]
    known = {form for secret in secrets for form in _forms(secret)}
    if not known:
        return bytes
    pattern = re.compile(b"|".join(re.escape(each) for each in sorted(known, key=len, reverse=True)))
    return lambda line: pattern.sub(REDACTED, line)


def _forms(secret: str) -> set[bytes]:
    """As it is, and as JSON writes it, once and twice: inputs of tools are streamed as JSON in JSON."""
    forms = {secret}
    for _ in range(2):
        forms |= {json.dumps(each, ensure_ascii=plain)[1:-1] for each in forms for plain in (True, False)}
    return {form.encode() for form in forms}
