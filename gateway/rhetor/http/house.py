"""What every door needs of the house, handed in once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from rhetor.core.clock import Clock
from rhetor.http.chat.accounts import Accounts
from rhetor.http.passes import Passes
from rhetor.http.plugged import Plugins
from rhetor.http.tickets import Tickets
from rhetor.pipeline.detached import Recordings
from rhetor.pipeline.trip import Pipeline
from rhetor.routing.catalog import Catalog
from rhetor.services.roster import Services
from rhetor.sessions.manager import Sessions
from rhetor.store.assets import Assets
from rhetor.store.base import Documents, Ledger, Transcripts
from rhetor.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Gatekeeping:
    """Who may come in.

    `tokens` maps each token's SHA-256 to the name it stands for; empty means
    that nobody is asked for one. `hosts` None means that any Host will do.
    """

    tokens: Mapping[bytes, str] = field(default_factory=dict)
    hosts: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class House:
    pipeline: Pipeline
    recordings: Recordings
    books: Ledger
    documents: Documents
    transcripts: Transcripts
    metrics: Metrics
    clock: Clock
    gatekeeping: Gatekeeping
    tickets: Tickets
    sessions: Sessions
    assets: Assets
    services: Services
    passes: Passes
    accounts: Accounts | None
    """Who may sign in; None: nobody can."""
    port: int
    max_body_bytes: int
    max_frame_bytes: int
    max_requests: int
    """Generations that may be under way at the same time, on all doors."""
    keepalive_s: float
    """How long a stream may be silent before it says that it is still there."""
    header_timeout_s: float
    """How long the head of a request may take, on a new connection from its beginning."""
    idle_timeout_s: float
    """How long a connection may be kept without a request."""
    soft_errors: frozenset[str]
    """Components that hear of errors in replies with status 200."""
    plugins: Plugins
    reload: Callable[[], Awaitable[None]]
    """Read the configuration again; raises what is wrong with it."""
    began_s: float = 0.0
    """When the house opened, on the monotonic clock."""
    closing: bool = False
    """No new trips: the house is about to stop."""
    requests: set[asyncio.Task[Any]] = field(default_factory=set)
    """Those that generate for callers, over HTTP and over WebSocket."""
    websockets: set[web.WebSocketResponse] = field(default_factory=set)

    @property
    def catalog(self) -> Catalog:
        return self.pipeline.registry.snapshot.catalog


HOUSE = web.AppKey("house", House)
PRINCIPAL: web.RequestKey[str | None] = web.RequestKey("principal")
"""Whose token the caller showed; None when none is asked for."""
SESSION: web.RequestKey[str | None] = web.RequestKey("session")
"""The session whose agent calls; None for everybody else."""
TOKEN = web.RequestKey("token", bytes)
"""The digest of that token; the caller may have shown it before, for a ticket."""
