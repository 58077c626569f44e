"""What those may ask as well who signed in with an account, and have no other token."""

from __future__ import annotations

from functools import wraps

from aiohttp import web

from rhetor.http.admission import admit_again
from rhetor.http.chat.callers import token_of
from rhetor.http.chat.tokens import looks_like_one
from rhetor.http.house import HOUSE
from rhetor.http.served import Handler


def for_accounts_too(handler: Handler) -> Handler:
    """A handler that asks by itself who calls: it takes the token of an account, and those of the gateway."""

    @wraps(handler)
    async def handle(http: web.Request) -> web.StreamResponse:
        house, token = http.app[HOUSE], token_of(http)
        if house.gatekeeping.tokens and house.accounts is not None and token and looks_like_one(token):
            await house.accounts.verified(token)
        else:
            admit_again(http, house)
        return await handler(http)

    return handle
