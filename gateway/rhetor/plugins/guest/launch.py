"""Starting a guest's process: its environment, its confinement, and the door to its hosts."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from rhetor.core.errors import Code, UpstreamError
from rhetor.plugins.guest.environment import Environments, Program
from rhetor.plugins.guest.holds import Hold, hold, remove_left
from rhetor.plugins.guest.process import GuestProcess
from rhetor.plugins.guest.proxy import Proxy
from rhetor.plugins.guest.sandbox import PROXY_PORT, Means, Sandbox, make_order
from rhetor.plugins.guest.spec import CodeSpec
from rhetor.services.house import House

PASSED_ON = ("TZ", "LANG", "LC_ALL")
REDACTED = "[redacted]"
PREFIX = "rhetor-guest-"  # short: a Unix socket in it may have a path of 108 bytes
MIN_SECRET_LENGTH = 6
MOST_LOOKED_AT = 1000  # of a folder's files: in most, what holds for some holds for all


@dataclass(slots=True, eq=False)
class Running:
    """A guest's process, and what is there for it alone."""

    process: GuestProcess
    proxy: Proxy | None
    folder: Path
    """Where its world was put together, or where it may write."""
    holds: tuple[Hold, ...]
    """On that, and on its environment."""

    async def put_down(self) -> None:
        """End it, if it has not ended, and remove what it leaves."""
        await self.process.stop(UpstreamError(f"{self.process.label} was stopped", Code.UNAVAILABLE))
        if self.proxy is not None:
            await self.proxy.close()
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
        for held in self.holds:
            held.close()


class Launcher:
    """Starts the processes of one guest."""

    def __init__(self, spec: CodeSpec, house: House, sandbox: Sandbox, environments: Environments) -> None:
        self._spec = spec
        self._house = house
        self._sandbox = sandbox
        self._environments = environments

    async def prepare(self) -> Program:
        """
        Raises:
            RhetorError: its environment cannot be made, or it must be confined and cannot be.
        """
        await self._sandbox.ensure_allowed(self._spec)
        return await self._environments.ensure(self._spec)

    async def means(self) -> Means:
        """What confines this guest: it has a user of its own only where others may read its files."""
        means = await self._sandbox.means()
        if means.own_user and not await asyncio.to_thread(_others_may_read, self._spec.folder):
            means = replace(means, own_user=False)
        return means

    async def unreadable(self) -> Sequence[str]:
        """What the operator lets it read beside its own files, and why it cannot. Nothing is started."""
        reads = self._spec.reads
        if not reads:
            return ()
        return await asyncio.to_thread(unreadable, reads, (await self.means()).own_user)

    async def launch(
        self, on_end: Callable[[GuestProcess], None], on_made: Callable[[Running], None]
    ) -> Running:
        """
        Args:
            on_made: is told before anything is started; whoever is told puts it down.

        Raises:
            RhetorError: it does not start, and why.
        """
        spec = self._spec
        await self._sandbox.ensure_allowed(spec)
        program, environment = await self._environments.taken(spec)
        try:
            means = await self.means()
            folder, own = await asyncio.to_thread(_made)
        except BaseException:
            environment.close()
            raise
        proxy = Proxy(spec.hosts, spec.id) if spec.hosts else None
        process = GuestProcess(spec.id, on_end, self.redact)
        running = Running(process, proxy, folder, (environment, own))
        on_made(running)
        path, port = "", 0
        if proxy is not None:
            path, port = (
                (proxy.expect_socket(folder), PROXY_PORT) if means.namespaces else ("", await proxy.listen())
            )
        order = make_order(
            means,
            folder,
            program.argv,
            program.cwd,
            self._environ(program, port),
            (*program.readable, *map(str, spec.reads)),
            spec.limits,
            scratch=folder,
            has_hosts=bool(spec.hosts),
            proxy_socket=path,
            proxy_port=port,
            number=int.from_bytes(hashlib.sha256(spec.id.encode()).digest()[:4], "big"),
        )
        await running.process.start(self._house, order, f"guest {spec.id}", spec.limits.start_s)
        return running

    def redact(self, text: str) -> str:
        """Without the values that this guest was given."""
        for secret in self._spec.environ.values():
            if len(secret) >= MIN_SECRET_LENGTH:
                text = text.replace(secret, REDACTED)
        return text

    def _environ(self, program: Program, port: int) -> Mapping[str, str]:
        own = {name: it for name in PASSED_ON if (it := os.environ.get(name)) is not None}
        proxy = f"http://127.0.0.1:{port}"
        proxies = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), proxy) if port else {}
        path = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        return {"LANG": "C.UTF-8", **own, **self._spec.environ, **path, **program.env, **proxies}


def sweep() -> None:
    """Remove what the guests of a gateway have left that has died. Blocks."""
    remove_left(Path(tempfile.gettempdir()), PREFIX)


def unreadable(paths: Sequence[Path], by_others: bool) -> Sequence[str]:
    """Why these cannot be read, each of them that cannot, in words. Blocks.

    Args:
        by_others: by users who own none of it, as guests are that have a user of their own.
    """
    return [why for path in paths if (why := _why_unreadable(path, by_others)) is not None]


def _why_unreadable(path: Path, by_others: bool) -> str | None:
    if not os.path.exists(path):
        return f"{path} is not there, or nobody may look"
    if not by_others:
        return None if os.access(path, os.R_OK) else f"{path} may not be read by the gateway's user"
    looked_at = [str(path), *islice(_paths(path), MOST_LOOKED_AT)]
    closed = next((each for each in looked_at if not _is_open(each)), None)
    if closed is None:
        return None
    where = "" if closed == str(path) else f": {closed}"
    return (
        f"only its owner may read {path}{where}; the program runs as a user of its own: chmod -R o+rX {path}"
    )


def _made() -> tuple[Path, Hold]:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    held = hold(folder)
    assert held is not None, "nobody else knows it"
    return folder, held


def _others_may_read(folder: Path) -> bool:
    return all(_is_open(path) for path in _paths(folder))


def _paths(folder: Path) -> Iterable[str]:
    for root, _, names in os.walk(folder):
        yield root
        yield from (os.path.join(root, name) for name in names)


def _is_open(path: str) -> bool:
    found = os.lstat(path)
    wanted = 0o5 if os.path.isdir(path) else 0o4
    return os.path.islink(path) or found.st_mode & wanted == wanted
