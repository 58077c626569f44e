"""How often the chat platform's callers may come, as it promises; and what surrounds each of its handlers."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeAlias

from aiohttp import web

from rhetor.core.clock import Clock
from rhetor.core.errors import RhetorError
from rhetor.http.chat.accounts import name_key
from rhetor.http.chat.callers import Caller, caller_of
from rhetor.http.chat.refusals import limit_headers, refusal, too_many
from rhetor.http.house import HOUSE
from rhetor.http.ratelimit import Allowance, Windows, place_of
from rhetor.http.reply import header_safe
from rhetor.http.served import Handler

WINDOW_S = 15 * 60.0
CHATS = 50
"""New sessions and messages of one user in a window."""
SIGNING_IN = 5
"""Failed attempts from one address and for one account in a window; and accounts that one address made."""
CORRELATION = "x-correlation-id"
LONGEST = 200
HEADERS: web.RequestKey[dict[str, str]] = web.RequestKey("chat limit headers", dict)
"""What every reply to this request says of the limit, streams included."""

Asked: TypeAlias = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]


class Limits:
    """Those of one gateway; whoever cannot be told apart is limited together."""

    def __init__(self) -> None:
        self._windows: dict[str, Windows] = {}

    def chat(self, clock: Clock, caller: Caller, address: str | None) -> Allowance:
        """One message, or one new session."""
        key = f"owner {caller.owner}" if caller.owner else f"address {place_of(address)}"
        return self._of("chat", CHATS, clock).take(key)

    def sign_in(self, clock: Clock, address: str | None, login: str) -> Allowance:
        """One attempt: neither may one address try many accounts, nor many addresses one. It counts as failed
        until `forgive` says otherwise.

        Behind a proxy all callers have the proxy's address, and what counts is the account.
        """
        by_address = self._of("address", SIGNING_IN, clock).take(place_of(address))
        if by_address.retry_after_s is not None:
            return by_address
        by_account = self._of("account", SIGNING_IN, clock).take(_account(login))
        return min((by_account, by_address), key=lambda it: (it.retry_after_s is None, it.remaining))

    def forgive(self, clock: Clock, address: str | None, login: str) -> None:
        """That attempt was none to guess."""
        self._of("address", SIGNING_IN, clock).give_back(place_of(address))
        self._of("account", SIGNING_IN, clock).give_back(_account(login))

    def _of(self, kind: str, limit: int, clock: Clock) -> Windows:
        if (windows := self._windows.get(kind)) is None:
            windows = self._windows[kind] = Windows(limit, WINDOW_S, clock)
        return windows


def public(handler: Handler) -> Handler:
    """A handler for everybody, with the door's own errors."""

    @wraps(handler)
    async def handle(http: web.Request) -> web.StreamResponse:
        try:
            response = await handler(http)
        except RhetorError as error:
            response = refusal(error)
        if not response.prepared:
            response.headers.update(told_of(http))
        return response

    return handle


def private(handler: Asked, limits: Limits | None = None) -> Handler:
    """A handler for those who say who they are; with limits for those who do not come too often."""

    async def known(http: web.Request) -> web.StreamResponse:
        caller = await caller_of(http)
        if limits is not None:
            allowance = limits.chat(http.app[HOUSE].clock, caller, http.remote)
            ensure_allowed(http, allowance)
        return await handler(http, caller)

    return wraps(handler)(public(known))


def ensure_allowed(http: web.Request, allowance: Allowance) -> None:
    """
    Raises:
        Refused: rate_limited.
    """
    http[HEADERS] = limit_headers(allowance)
    if allowance.retry_after_s is not None:
        raise too_many(allowance)


def told_of(http: web.Request) -> dict[str, str]:
    """Headers that every reply to this request has."""
    headers = dict(http.get(HEADERS, {}))
    if (given := http.headers.get(CORRELATION)) is not None:
        headers[CORRELATION] = header_safe(given[:LONGEST])
    return headers


def _account(login: str) -> str:
    """By which attempts are counted: no other spelling of an account has a count of its own, and whatever is
    sent, this is not long."""
    return hashlib.sha256(name_key(login).encode("utf-8", "surrogatepass")).hexdigest()
