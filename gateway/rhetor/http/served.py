"""One line of the table of what is served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from rhetor.wire.base import Wire

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Served:
    door: str
    method: str
    path: str
    handler: Handler
    wire: Wire
    """The language of its errors."""
    public: bool = False
    """Answers without a token."""
    query: tuple[str, ...] = ()
    """Query parameters that it understands."""
    takes_body: bool = True
    """Where the method has one."""
    upgrades: bool = False
    """To WebSocket."""
