"""Who calls: by an account's token, by a token of the gateway's, or by none where it asks for none."""

from __future__ import annotations

from aiohttp import web

from rhetor.core.errors import BadRequest, Code
from rhetor.core.value import value
from rhetor.http.chat.tokens import Claims, invalid, looks_like_one
from rhetor.http.house import HOUSE, SESSION, House
from rhetor.http.passes import digest

OWNER_PREFIX = "user:"
NO_TOKEN = "No token provided"


@value
class Caller:
    owner: str
    """Whose sessions are this caller's."""
    claims: Claims | None = None
    """What the token says, where it is an account's."""


async def who(http: web.Request) -> str:
    """The owner of this caller's sessions.

    Raises:
        BadRequest: unauthenticated, a token is needed; forbidden, this one is not good.
    """
    return (await caller_of(http)).owner


async def caller_of(http: web.Request) -> Caller:
    """The same with what is known beside it."""
    if http.get(SESSION) is not None:  # an agent must not lead conversations in its caller's name
        raise BadRequest("the key of a session is for model calls only", Code.FORBIDDEN)
    return await caller_with(http.app[HOUSE], token_of(http))


async def caller_with(house: House, token: str | None) -> Caller:
    """Who has this token.

    Raises:
        BadRequest: as above.
    """
    accounts, tokens = house.accounts, house.gatekeeping.tokens
    if token is None:
        if tokens or accounts is not None:
            raise BadRequest(NO_TOKEN, Code.UNAUTHENTICATED)
        return Caller("")
    if accounts is not None and looks_like_one(token):
        claims = await accounts.verified(token)
        return Caller(OWNER_PREFIX + claims.user_id, claims)
    if (principal := tokens.get(digest(token))) is not None:
        return Caller(principal)
    if tokens or accounts is not None:
        raise invalid()
    return Caller("")


def token_of(http: web.Request) -> str | None:
    """What the caller shows; None: nothing."""
    scheme, _, token = http.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        token = ""
    return token.strip() or http.headers.get("x-api-key") or None
