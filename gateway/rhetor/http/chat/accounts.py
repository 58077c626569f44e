"""Accounts: who may sign in to the chat platform's door, and which tokens are good."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field, replace
from datetime import datetime

from rhetor.core.clock import Clock
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.ids import new_id
from rhetor.core.value import value
from rhetor.http.chat.passwords import Passwords
from rhetor.http.chat.tokens import Claims, Tokens, invalid
from rhetor.store.base import Documents

ROLE = "user"
"""Everybody's, also the first one's: no role opens anything here."""
NOBODY = ""  # the owner of accounts among the documents: they belong to the house
ACCOUNT = "account"
NAME = "account-name"
EMAIL = "account-email"
LEAST_PASSWORD = 8
MOST_PASSWORD = 1_000
MOST_EMAIL = 254  # characters, RFC 5321
MOST_REVOKED = 100  # tokens that an account took back and that are still running
_USERNAME = re.compile(r"\w[\w .-]{2,29}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@value(kw_only=True)
class Account:
    id: str
    username: str
    email: str | None
    password: str = field(repr=False)
    """What is kept of it."""
    created_at: datetime
    preferences: Mapping[str, JsonValue] = field(default_factory=dict)
    revoked: Mapping[str, int] = field(default_factory=dict)
    """Tokens that were taken back, each with the time at which it ends anyway."""
    revoked_before_s: int = 0
    """Tokens that were issued before are taken back, all of them."""


class Accounts:
    """
    Args:
        documents: opens the store in which they are kept.
        registration: whether anybody may make an account.
    """

    def __init__(
        self,
        secret: bytes,
        documents: Callable[[], Awaitable[Documents]],
        clock: Clock,
        *,
        registration: bool = False,
        passwords: Passwords | None = None,
    ) -> None:
        self.registration = registration
        self._tokens = Tokens(secret, clock)
        self._documents = documents
        self._clock = clock
        self._passwords = passwords or Passwords()
        self._writing = asyncio.Lock()
        """Held over reading and writing again what two may change at the same time. Both happen rarely."""

    async def register(self, username: str, email: str | None, password: str) -> Account:
        """A new account.

        Raises:
            BadRequest: conflict, the name or address is taken; or what is wrong with them.
        """
        name, address = username_of(username), email_of(email)
        check_password(password, name)
        hashed = await self._passwords.hashed(password)
        documents = await self._documents()
        async with self._writing:
            for kind, key in ((NAME, name_key(name)), (EMAIL, address)):
                if key is not None and await documents.load(kind, NOBODY, key) is not None:
                    message = "A user with this email or username already exists"
                    raise BadRequest(message, Code.CONFLICT)
            account = Account(
                id=new_id("usr"),
                username=name,
                email=address,
                password=hashed,
                created_at=self._clock.utc(),
            )
            await self._save(account)  # first: a name that leads nowhere could never be taken again
            await documents.save(NAME, NOBODY, name_key(name), {"id": account.id})
            if address is not None:
                await documents.save(EMAIL, NOBODY, address, {"id": account.id})
        return account

    async def signed_in(self, login: str, password: str) -> Account | None:
        """The account of this name or address, if that is its password. It takes the same time if not."""
        sensible = len(login) <= MOST_EMAIL and login.isprintable() and len(password) <= MOST_PASSWORD
        account = await self._named(login) if sensible else None
        kept = account.password if account is not None else None
        return account if await self._passwords.fits(password[:MOST_PASSWORD], kept) else None

    def issue(self, account: Account) -> str:
        return self._tokens.issue(account.id, account.username, ROLE)

    async def verified(self, token: str) -> Claims:
        """What a token says.

        Raises:
            BadRequest: forbidden; it is not ours, has expired, or was taken back.
        """
        claims = self._tokens.verified(token)
        account = await self.find(claims.user_id)
        if account is None or claims.jti in account.revoked or claims.issued_s < account.revoked_before_s:
            raise invalid()
        return claims

    async def revoke(self, claims: Claims) -> None:
        """Take a token back."""
        async with self._writing:
            if (account := await self.find(claims.user_id)) is None:
                return
            now_s = int(self._clock.utc().timestamp())
            running = {jti: end_s for jti, end_s in account.revoked.items() if end_s > now_s}
            running[claims.jti] = claims.expires_s
            if len(running) > MOST_REVOKED:  # rather all of them than one too few
                account = replace(account, revoked_before_s=now_s + 1)
                running = {}
            await self._save(replace(account, revoked=running))

    async def prefer(self, user_id: str, preferences: Json) -> Account:
        """Change some preferences.

        Raises:
            BadRequest: not_found.
        """
        async with self._writing:
            if (account := await self.find(user_id)) is None:
                raise BadRequest("User not found", Code.NOT_FOUND)
            account = replace(account, preferences={**account.preferences, **preferences})
            await self._save(account)
        return account

    async def find(self, user_id: str) -> Account | None:
        said = await (await self._documents()).load(ACCOUNT, NOBODY, user_id)
        return None if said is None else _read(user_id, said)

    async def _named(self, login: str) -> Account | None:
        documents = await self._documents()
        kind, key = (EMAIL, login.strip().lower()) if "@" in login else (NAME, name_key(login))
        found = await documents.load(kind, NOBODY, key)
        return None if found is None else await self.find(str(found["id"]))

    async def _save(self, account: Account) -> None:
        said: Json = {
            "username": account.username,
            "email": account.email,
            "password": account.password,
            "created_at": account.created_at.isoformat(),
            "preferences": account.preferences,
            "revoked": account.revoked,
            "revoked_before_s": account.revoked_before_s,
        }
        await (await self._documents()).save(ACCOUNT, NOBODY, account.id, said)


def username_of(text: str) -> str:
    """
    Raises:
        BadRequest: it will not do.
    """
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not _USERNAME.fullmatch(name):
        message = "username: expected 3 to 30 letters, digits, spaces, points, dashes or underscores"
        raise BadRequest(message, param="username")
    return name


def email_of(text: str | None) -> str | None:
    """
    Raises:
        BadRequest: it is no address.
    """
    address = (text or "").strip().lower()
    if not address:
        return None
    if len(address) > MOST_EMAIL or not _EMAIL.fullmatch(address) or not address.isprintable():
        raise BadRequest("email: expected an address, such as ada@example.org", param="email")
    return address


def check_password(password: str, username: str) -> None:
    """
    Raises:
        BadRequest: it will not do.
    """
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        message = f"password: expected {LEAST_PASSWORD} to {MOST_PASSWORD} characters"
        raise BadRequest(message, param="password")
    if password.casefold() == username.casefold() or len(set(password)) == 1:
        raise BadRequest("password: is too easily guessed", param="password")


def name_key(name: str) -> str:
    """By which a name is taken, however it is written."""
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()


def _read(id: str, said: Json) -> Account:
    email, preferences, revoked = said["email"], said["preferences"], said["revoked"]
    before_s = said["revoked_before_s"]
    assert isinstance(preferences, Mapping)
    assert isinstance(revoked, Mapping)
    assert isinstance(before_s, int)
    return Account(
        id=id,
        username=str(said["username"]),
        email=None if email is None else str(email),
        password=str(said["password"]),
        created_at=datetime.fromisoformat(str(said["created_at"])),
        preferences=preferences,
        revoked={jti: end_s for jti, end_s in revoked.items() if isinstance(end_s, int)},
        revoked_before_s=before_s,
    )
