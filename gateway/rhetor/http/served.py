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
    asks: bool = False
    """Public to the house, since it asks by itself who calls."""
    query: tuple[str, ...] = ()
    """Query parameters that it understands."""
    takes_body: bool = True
    """Where the method has one."""
    takes: tuple[str, ...] = ("application/json",)
    """The types that it may have."""
    passes: bool = False
    """Takes the key of a session, too: an agent calls its model here."""
    upgrades: bool = False
    """To WebSocket."""
    answers: tuple[int, ...] = (200,)
    """The statuses of replies that are no errors."""
    plain: bool = False
    """Where it upgrades: answers requests that do not, too."""
