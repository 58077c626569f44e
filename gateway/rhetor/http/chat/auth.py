"""Signing in: register, login, logout, profile and preferences (the chat platform)."""

from __future__ import annotations

from typing import TypeAlias

from aiohttp import web

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.http.chat.accounts import ROLE, Account, Accounts
from rhetor.http.chat.asked import (
    MOST_NAME,
    MOST_PROMPT,
    MOST_TEMPERATURE,
    MOST_TOKENS,
    Wanted,
    number,
    whole,
    words,
)
from rhetor.http.chat.callers import Caller, token_of
from rhetor.http.chat.limits import Limits, ensure_allowed
from rhetor.http.chat.refusals import Refused
from rhetor.http.house import HOUSE, House
from rhetor.http.listing import listing
from rhetor.http.passes import digest
from rhetor.http.reply import read_body
from rhetor.http.served import Handler
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE

TEMPERATURE = 0.7  # the platform's usual one, and what its page shows first

Json: TypeAlias = dict[str, JsonValue]


def registering(limits: Limits) -> Handler:
    async def register(http: web.Request) -> web.Response:
        """Make an account, and sign in with it (the chat platform)."""
        house, accounts = _accounts(http)
        said = fields.parse_object(await read_body(http))
        username, password = words(said, "username", 100), words(said, "password", 10_000)
        email = words(said, "email", 1_000)
        if not username or not password:
            raise Refused(
                "Missing required fields", "Username and password are required", Code.INVALID_REQUEST
            )
        ensure_allowed(http, limits.sign_in(house.clock, http.remote, email or username))
        if not (accounts.registration or _may_make_accounts(http, house)):
            message = (
                "Registration is closed here: ask whoever runs this gateway, or set sessions.registration"
            )
            raise Refused("Registration closed", message, Code.FORBIDDEN)
        try:
            account = await accounts.register(username, email, password)
        except BadRequest as error:
            if error.code is Code.CONFLICT:
                raise Refused("User already exists", error.message, Code.CONFLICT) from None
            raise
        if not accounts.registration:  # else anybody could fill the store with them
            limits.forgive(house.clock, http.remote, email or username)
        told: Json = {
            "message": "User registered successfully",
            "token": accounts.issue(account),
            "user": user(house, account),
        }
        return secret(told, status=201)

    return register


def signing_in(limits: Limits) -> Handler:
    async def login(http: web.Request) -> web.Response:
        """Sign in with an address or a name, and a password (the chat platform)."""
        house, accounts = _accounts(http)
        said = fields.parse_object(await read_body(http))
        name = words(said, "email", 10_000) or words(said, "username", 10_000)
        password = words(said, "password", 10_000)
        if not name or not password:
            raise Refused("Missing credentials", "Email and password are required", Code.INVALID_REQUEST)
        ensure_allowed(http, limits.sign_in(house.clock, http.remote, name))
        account = await accounts.signed_in(name, password)
        if account is None:
            raise Refused("Invalid credentials", "Invalid email or password", Code.UNAUTHENTICATED)
        limits.forgive(house.clock, http.remote, name)
        told: Json = {
            "message": "Login successful",
            "token": accounts.issue(account),
            "user": user(house, account),
        }
        return secret(told)

    return login


async def logout(http: web.Request, caller: Caller) -> web.Response:
    """Take the token back with which this is asked (the chat platform)."""
    _, accounts = _accounts(http)
    if caller.claims is not None:
        await accounts.revoke(caller.claims)
    return secret({"message": "Logout successful"})


async def profile(http: web.Request, caller: Caller) -> web.Response:
    """Who is signed in (the chat platform)."""
    house, accounts = _accounts(http)
    account = await accounts.find(_user_id(caller))
    if account is None:
        raise _no_user()
    return secret({"user": user(house, account)})


async def preferences(http: web.Request, caller: Caller) -> web.Response:
    """Change the preferences of who is signed in (the chat platform)."""
    house, accounts = _accounts(http)
    said = fields.parse_object(await read_body(http))
    wanted: Json = {
        "defaultProvider": words(said, "defaultProvider", MOST_NAME),
        "defaultModel": words(said, "defaultModel", MOST_NAME),
        "defaultTemperature": number(said, "defaultTemperature", 0, MOST_TEMPERATURE),
        "defaultMaxTokens": whole(said, "defaultMaxTokens", 1, MOST_TOKENS),
        "systemPrompt": words(said, "systemPrompt", MOST_PROMPT),
    }
    account = await accounts.prefer(
        _user_id(caller), {key: value for key, value in wanted.items() if value is not None}
    )
    return secret(
        {"message": "Preferences updated successfully", "preferences": _preferences(house, account)}
    )


async def preferred(house: House, caller: Caller) -> Wanted:
    """How this caller would have new sessions that say nothing of it."""
    account = None
    if house.accounts is not None and caller.claims is not None:
        account = await house.accounts.find(caller.claims.user_id)
    said = account.preferences if account is not None else {}
    return Wanted(
        provider=words(said, "defaultProvider", MOST_NAME) or None,
        model=words(said, "defaultModel", MOST_NAME) or None,
        system=words(said, "systemPrompt", MOST_PROMPT) or None,
        temperature=number(said, "defaultTemperature", 0, MOST_TEMPERATURE),
        max_tokens=whole(said, "defaultMaxTokens", 1, MOST_TOKENS),
    )


def user(house: House, account: Account) -> Json:
    """An account as its owner reads it."""
    return {
        "id": account.id,
        "username": account.username,
        "email": account.email,
        "role": ROLE,
        "preferences": _preferences(house, account),
        "createdAt": account.created_at.isoformat(),
    }


def secret(told: Json, status: int = 200) -> web.Response:
    """A reply that nobody in between may keep."""
    headers = {"cache-control": "no-store"}
    return web.Response(status=status, body=fields.dump(told), content_type=JSON_TYPE, headers=headers)


def _preferences(house: House, account: Account) -> Json:
    """With what is usual here where nothing else is preferred."""
    usual = listing(house.catalog)
    return {
        "defaultProvider": usual.default_provider,
        "defaultModel": usual.default_model,
        "defaultTemperature": TEMPERATURE,
        "systemPrompt": "",
        **account.preferences,
    }


def _accounts(http: web.Request) -> tuple[House, Accounts]:
    """
    Raises:
        Refused: unavailable, nobody can sign in here.
    """
    house = http.app[HOUSE]
    if house.accounts is None:
        message = (
            "Nobody can sign in at this gateway: set sessions.jwt_secret to a reference to a secret of at "
            "least 32 bytes, such as env:JWT_SECRET, or send one of its tokens"
        )
        raise Refused("Accounts are off", message, Code.UNAVAILABLE)
    return house, house.accounts


def _may_make_accounts(http: web.Request, house: House) -> bool:
    """Whoever has the run of the gateway: everybody where it asks for no token, else who has one of its."""
    tokens = house.gatekeeping.tokens
    shown = token_of(http)
    return not tokens or (shown is not None and digest(shown) in tokens)


def _user_id(caller: Caller) -> str:
    if caller.claims is None:
        raise _no_user()
    return caller.claims.user_id


def _no_user() -> Refused:
    message = "this token is the gateway's, and no account's"
    return Refused("User not found", message, Code.NOT_FOUND)
