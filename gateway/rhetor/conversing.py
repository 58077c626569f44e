"""What is stored, as a configuration wants it: sessions, who converses in them, and assets."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from rhetor.config import AgentConfig, Config
from rhetor.core.clock import Clock
from rhetor.http.offered import find
from rhetor.pipeline.trip import Pipeline
from rhetor.services.house import House as Children
from rhetor.services.house import folder_id
from rhetor.services.reaper import reap
from rhetor.sessions.backend import Backend, Permissions
from rhetor.sessions.chat.backend import Chat
from rhetor.sessions.chat.conversation import Memory
from rhetor.sessions.founding import Defaults
from rhetor.sessions.manager import Sessions
from rhetor.sessions.program import Limits
from rhetor.sessions.surroundings import Limits as SessionLimits
from rhetor.sessions.surroundings import Passes
from rhetor.store.assets import AssetBooks, Assets
from rhetor.store.base import Documents, SessionStore
from rhetor.store.blobs import FileBlobs, MemoryBlobs
from rhetor.store.own import make_own
from rhetor.store.sql.folder import DATABASE, usual_folder
from rhetor.tasks import Tasks, supervise

log = logging.getLogger(__name__)

IN_MEMORY = ":memory:"
DOOR = "sessions"  # how the books name the calls of chats
SESSIONS = "sessions"
ASSETS = "assets"
MEMORY_MB = 256  # of assets, where they are kept in memory


class AssetLimits(TypedDict):
    keep_s: float
    each_mb: int
    all_mb: int
    notes: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an agent is started with."""

    children: Children
    warm_s: float
    environ: Mapping[str, str]
    limits: Callable[[str], Limits]
    """Of a model, by the name that the router knows."""


def _claude_code(setting: AgentConfig, around: Surroundings) -> Backend:
    from rhetor.sessions.claude_code.backend import ClaudeCode

    return ClaudeCode(
        setting.command or "claude",
        around.children,
        default_model=setting.default_model,
        models=setting.models,
        max_sessions=setting.max_sessions,
        warm_s=around.warm_s,
        limits=around.limits,
        environ=around.environ,
    )


def _opencode(setting: AgentConfig, around: Surroundings) -> Backend:
    from rhetor.sessions.opencode.backend import OpenCode

    return OpenCode(
        setting.command or "opencode",
        around.children,
        default_model=setting.default_model,
        models=setting.models,
        max_sessions=setting.max_sessions,
        warm_s=around.warm_s,
        environ=around.environ,
    )


def _codex(setting: AgentConfig, around: Surroundings) -> Backend:
    from rhetor.sessions.codex.backend import Codex

    return Codex(
        setting.command or "codex",
        around.children,
        default_model=setting.default_model,
        models=setting.models,
        max_sessions=setting.max_sessions,
        warm_s=around.warm_s,
        limits=around.limits,
        environ=around.environ,
    )


AGENTS: Mapping[str, Callable[[AgentConfig, Surroundings], Backend]] = {
    "claude_code": _claude_code,
    "opencode": _opencode,
    "codex": _codex,
}
"""Imported when they are on: most gateways run none."""


class Conversing:
    """What sessions need of the house, put together; started after it, and stopped before it."""

    def __init__(
        self, config: Config, environ: Mapping[str, str], clock: Clock, pipeline: Pipeline, passes: Passes
    ) -> None:
        setting = config.sessions
        self._folder = _folder(config.store.folder, environ)
        self._kept = config.store.folder != IN_MEMORY
        self._background = Tasks()
        self._children: Children | None = None
        self._documents: Documents | None = None
        self._asset_books: AssetBooks | None = None
        agents: dict[str, AgentConfig] = {name: getattr(setting, name) for name in AGENTS}
        backends: dict[str, Backend] = {"chat": _chat(config, clock, pipeline)}
        for name, agent in agents.items():
            if agent.enabled:
                backends[name] = AGENTS[name](agent, self._around(setting.warm_s, environ, pipeline))
        self.sessions = Sessions(
            backends,
            self._open_store,
            clock,
            passes,
            pipeline.explain,
            self._folder / SESSIONS,
            setting.directories,
            SessionLimits(
                max_live=setting.max_live,
                expire_s=setting.expire_s,
                turn_s=setting.turn_s,
                environment=frozenset(setting.environment),
            ),
            {
                name: Defaults(permissions=Permissions(agent.permissions), max_turns=agent.max_turns)
                for name, agent in agents.items()
            },
        )

        blobs = FileBlobs(self._folder / ASSETS) if self._kept else MemoryBlobs()
        self.assets = Assets(blobs, self._open_asset_books, clock, **self._asset_limits(config))

    def limit(self, config: Config) -> None:
        """From now on assets are kept as this configuration says."""
        self.assets.limit(**self._asset_limits(config))

    def start(self) -> None:
        """Find earlier sessions and assets, where there are any, and let old ones expire."""
        stored = self._kept and (self._folder / DATABASE).exists()
        if stored and (self._folder / ASSETS).exists():
            self.assets.wake()
        self._background.spawn(supervise("assets", self.assets.tidy), "assets")

        async def part() -> None:
            await self.sessions.start(stored)

        self._background.spawn(supervise("sessions", part), "sessions")

    async def documents(self) -> Documents:
        """What is kept beside the sessions, such as accounts.

        Raises:
            RhetorError: the store cannot be opened.
        """
        await self.sessions.open()
        assert self._documents is not None
        return self._documents

    async def stop(self) -> None:
        """Suspend what is live, and end what still runs."""
        await self._background.close()
        await self.sessions.close()
        self.assets.close()
        if self._children is not None:
            await self._children.close()
        if not self._kept:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _around(self, warm_s: float, environ: Mapping[str, str], pipeline: Pipeline) -> Surroundings:
        if self._children is None:
            make_own(self._folder)
            self._children = Children(folder_id(self._folder))
        return Surroundings(self._children, warm_s, environ, lambda model: _limits(pipeline, model))

    def _asset_limits(self, config: Config) -> AssetLimits:
        setting, most = config.assets, None if self._kept else MEMORY_MB
        each_mb, all_mb = (min(mb, most or mb) for mb in (setting.each_mb, setting.all_mb))
        return AssetLimits(keep_s=setting.keep_s, each_mb=each_mb, all_mb=all_mb, notes=setting.lineage)

    async def _open_asset_books(self) -> AssetBooks:
        await self.sessions.open()
        assert self._asset_books is not None
        return self._asset_books

    async def _open_store(self) -> SessionStore:
        from rhetor.store.sql.opening import open_store  # loads SQLAlchemy: once a session is asked for

        store = await asyncio.to_thread(open_store, self._folder if self._kept else None)
        self._documents, self._asset_books = store.documents, store.assets
        try:
            if self._children is not None:
                await reap(self._children.id)
        except BaseException:
            await store.sessions.close()  # else the folder stays taken, by nobody who uses it
            raise
        return store.sessions


def _folder(said: str | None, environ: Mapping[str, str]) -> Path:
    if said == IN_MEMORY:  # what agents write needs a place nevertheless
        return Path(tempfile.gettempdir()) / f"rhetor-{secrets.token_hex(8)}"
    return Path(said).expanduser().absolute() if said else usual_folder(environ)


def _limits(pipeline: Pipeline, model: str) -> Limits:
    found = find(pipeline.registry.snapshot.catalog, model)
    offer = found.offer if found is not None else None
    return Limits(offer.context_tokens, offer.max_output_tokens) if offer is not None else Limits()


def _chat(config: Config, clock: Clock, pipeline: Pipeline) -> Backend:
    setting = config.sessions.chat
    return Chat(
        lambda request: pipeline.trip(request, DOOR),
        clock,
        Memory(
            context_tokens=setting.context_tokens,
            summarize_tokens=setting.summarize_tokens,
            keep_s=setting.keep_s,
        ),
        default_model=setting.default_model,
        models=setting.models,
        max_sessions=setting.max_sessions,
    )
