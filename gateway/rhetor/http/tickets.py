"""Tickets for WebSockets of pages, which cannot send a token: a page's scripts may not set headers there.

Whoever shows a token over HTTP gets a ticket, and shows it as a subprotocol:

    new WebSocket(url, ["rhetor", "rhetor.ticket.…"])

It is good for one connection, soon, and stands in no URL that a log might keep.
It stands for that token, and opens nothing once the token is taken back.
"""

from __future__ import annotations

import secrets

from rhetor.core.clock import Clock

PROTOCOL = "rhetor"
"""What the gateway agrees to; a browser that offers protocols wants one of them back."""
PREFIX = "rhetor.ticket."
GOOD_FOR_S = 30.0  # a page asks for one just before it connects
MOST = 10_000  # at the same time; the oldest makes room


class Tickets:
    """Those that were given out and not shown yet, each with its token's digest."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._given: dict[str, tuple[float, bytes | None]] = {}

    def give(self, token: bytes | None) -> str:
        """A new one; None: no token was asked for."""
        now_s = self._clock.monotonic_s()
        for ticket, (ends_s, _) in list(self._given.items()):
            if ends_s > now_s and len(self._given) < MOST:
                break  # they are in the order of their ends
            del self._given[ticket]
        ticket = secrets.token_urlsafe(24)
        self._given[ticket] = (now_s + GOOD_FOR_S, token)
        return ticket

    def redeem(self, protocols: str) -> bytes | None:
        """The token for which one of these subprotocols is a good ticket, which it is no more."""
        for protocol in map(str.strip, protocols.split(",")):
            if not protocol.startswith(PREFIX):
                continue
            ends_s, token = self._given.pop(protocol.removeprefix(PREFIX), (0.0, None))
            if ends_s > self._clock.monotonic_s():
                return token
        return None
