"""How often Jelmore's callers may come, as its branch v1 limits them; and its errors around each handler."""

from __future__ import annotations

from collections.abc import Mapping
from functools import wraps

from aiohttp import web

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.ids import new_id
from rhetor.http.house import HOUSE, PRINCIPAL
from rhetor.http.ratelimit import Allowance, Windows, place_of
from rhetor.http.reply import refusal
from rhetor.http.served import Handler
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.jelmore import JELMORE

WINDOW_S = 60
A_MINUTE: Mapping[str, int] = {"create": 10, "get": 30, "input": 30, "list": 20, "stream": 5, "output": 60}
"""Calls of one caller, by kind; those of other kinds are not limited."""
INPUT = "input"
HEADERS: web.RequestKey[dict[str, str]] = web.RequestKey("limit headers", dict)
"""What every reply to this request says of the limit, streams included."""


class Limits:
    """Those of one gateway. Who shows a token is known by its owner, everybody else by the address."""

    def __init__(self) -> None:
        self._windows: dict[str, Windows] = {}

    def on(self, kind: str, handler: Handler) -> Handler:
        """A handler for this kind of call."""

        @wraps(handler)
        async def handle(http: web.Request) -> web.StreamResponse:
            allowance = self._take(kind, http)
            headers: dict[str, str] = {**allowance.headers, "x-ratelimit-window": str(WINDOW_S)}
            http[HEADERS], http[COUNTING] = headers, self
            if allowance.retry_after_s is not None:
                return _too_many(allowance, headers)
            try:
                response = await handler(http)
            except RhetorError as error:
                response = refusal(JELMORE, error, new_id("req"))
            if not response.prepared:
                response.headers.update(headers)
            return response

        return handle

    def ensure_input(self, http: web.Request) -> None:
        """One message on a connection.

        Raises:
            BadRequest: rate_limited.
        """
        allowance = self._take(INPUT, http)
        if allowance.retry_after_s is not None:
            wait_s = float(allowance.retry_after)
            raise BadRequest(_sentence(allowance), Code.RATE_LIMITED, retry_after_s=wait_s)

    def _take(self, kind: str, http: web.Request) -> Allowance:
        windows = self._windows.get(kind)
        if windows is None:
            clock = http.app[HOUSE].clock
            windows = self._windows[kind] = Windows(A_MINUTE[kind], WINDOW_S, clock)
        principal = http.get(PRINCIPAL)
        return windows.take(f"owner {principal}" if principal else f"address {place_of(http.remote)}")


COUNTING = web.RequestKey("limits", Limits)
"""Those that counted this request; they count what is said on its connection, too."""


def _too_many(allowance: Allowance, headers: Mapping[str, str]) -> web.Response:
    message = _sentence(allowance)
    said: dict[str, JsonValue] = {
        "error": "Rate limit exceeded",
        "message": message,
        "detail": message,
        "code": Code.RATE_LIMITED.value,
        "limit": allowance.limit,
        "window_seconds": WINDOW_S,
        "retry_after": allowance.retry_after,
        "remaining": allowance.remaining,
    }
    return web.Response(status=429, body=fields.dump(said), content_type=JSON_TYPE, headers=headers)


def _sentence(allowance: Allowance) -> str:
    return f"{allowance.limit} calls of this kind in {WINDOW_S} s are allowed"
