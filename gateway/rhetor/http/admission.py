"""Who comes in: Host and Origin against DNS rebinding and foreign pages, then the token; and how many."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.http.house import PRINCIPAL, SESSION, TOKEN, Gatekeeping, House
from rhetor.http.passes import PREFIX, digest

CLOSING = "the gateway is shutting down"
UNKNOWN_TOKEN = "this token is not known here"
ROOM_IN_S = (
    1.0  # what is told to callers for whom there is no room; trips mostly take longer, but they are many
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?:\[([\da-fA-F:.]+)\]|([^\s\[\]:@/]+))(?::\d*)?")


def admit(
    request: web.Request, house: House, public: bool, tickets: bool = False, passes: bool = False
) -> None:
    """Let the request in, or say why not. Public handlers skip the token, never the Host.

    Args:
        tickets: one of them will do for the token, as only a WebSocket needs it.
        passes: so will the key of a session.

    Raises:
        BadRequest: forbidden or unauthenticated.
    """
    rules = house.gatekeeping
    request[PRINCIPAL] = request[SESSION] = None  # looking for what is not there costs more
    _check_host(request, rules)
    _check_origin(request, rules)
    if house.passes.given and _shows_pass(request, house):
        if not (passes or public):
            raise BadRequest("the key of a session is for model calls only", Code.FORBIDDEN)
        return
    if public or not rules.tokens:
        return
    protocols = request.headers.get("Sec-WebSocket-Protocol") if tickets else None
    if protocols is not None and (token := house.tickets.redeem(protocols)) is not None:
        request[TOKEN] = token
    request[TOKEN], request[PRINCIPAL] = _known(request, rules)


def admit_again(request: web.Request, house: House) -> None:
    """Whether who came in by other rules may still ask, on the connection that is open since.

    Raises:
        BadRequest: forbidden; unauthenticated, the token is not known here any more.
    """
    admit(request, house, public=False)


def enter(house: House, task: asyncio.Task[Any]) -> None:
    """Let a task generate, if there is room; it is in `house.requests` until it is taken out.

    Raises:
        RhetorError: pool_full, with the time after which to come again.
    """
    most = house.max_requests
    if len(house.requests) >= most or house.pipeline.in_flight >= most:
        full = f"the gateway has {house.max_requests} requests under way; see server.max_requests"
        raise RhetorError(full, Code.POOL_FULL, retry_after_s=ROOM_IN_S)
    house.requests.add(task)


def allowed_origin(request: web.Request, rules: Gatekeeping) -> str | None:
    """The page's origin if it may read our replies; None when there is no page, or a foreign one."""
    origin = request.headers.get("Origin")
    if origin is None or not origin.isascii():
        return None
    return origin if origin in rules.origins or _same_origin(request, origin) else None


def _check_host(request: web.Request, rules: Gatekeeping) -> None:
    host = request.headers.get("Host")  # browsers always send one; only probes in HTTP/1.0 do not
    if rules.hosts is not None and host is not None and _name(host) not in rules.hosts:
        raise BadRequest("this Host is not ours; see server.allowed_hosts", Code.FORBIDDEN)


def _check_origin(request: web.Request, rules: Gatekeeping) -> None:
    if "Origin" not in request.headers:
        return
    upgrades = "Upgrade" in request.headers
    if request.method in SAFE_METHODS and not upgrades:
        return
    if allowed_origin(request, rules) is None:
        raise BadRequest("pages of this Origin may not call; see server.allowed_origins", Code.FORBIDDEN)


def _same_origin(request: web.Request, origin: str) -> bool:
    try:
        return urlsplit(origin).netloc == request.headers.get("Host", "") != ""
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _name(host: str) -> str:
    """The name in a Host header, without its port; empty when it is not one."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found is not None else ""


def _shown(request: web.Request) -> list[str]:
    headers = request.headers
    texts = (headers.get("x-api-key", ""), _bearer(headers.get("Authorization", "")))
    return [text for text in texts if text]


def _shows_pass(request: web.Request, house: House) -> bool:
    for shown in _shown(request):
        if shown.startswith(PREFIX) and (bearer := house.passes.given.get(digest(shown))) is not None:
            request[SESSION] = bearer.session
            if bearer.owner:
                request[PRINCIPAL] = bearer.owner
            return True
    return False


def _known(request: web.Request, rules: Gatekeeping) -> tuple[bytes, str]:
    """A token that was shown, and whose it is. SDKs may send a vendor's key beside it: one is enough."""
    shown = [digest(text) for text in _shown(request)]
    if (before := request.get(TOKEN)) is not None:
        shown.append(before)
    if not shown:
        raise BadRequest(
            "a token is needed: send it as `Authorization: Bearer …` or `x-api-key: …`", Code.UNAUTHENTICATED
        )
    for token in shown:
        if (principal := rules.tokens.get(token)) is not None:
            return token, principal
    raise BadRequest(UNKNOWN_TOKEN, Code.UNAUTHENTICATED)


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
