"""Passwords: kept as what scrypt makes of them, and compared in constant time."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode

from rhetor.core.errors import Code, RhetorError
from rhetor.core.value import value

NAME = "scrypt"
SALT_BYTES = 16
HASH_BYTES = 32
AT_ONCE = 2  # each fills a core for a third of a second, and 16 MiB
MOST_WAITING = 64
SPARE_BYTES = 1 << 20  # that OpenSSL wants beside what scrypt itself fills


@value
class Cost:
    """How dear one guess is: n must be a power of two; 128 · n · r bytes are filled, p times."""

    n: int = 1 << 14
    r: int = 8
    p: int = 5


USUAL = Cost()
"""One of the equally strong choices of OWASP's Password Storage Cheat Sheet (as known on 2026-11-21): the one
that a small machine can do for several callers at the same time."""


class Passwords:
    """Hashes on threads, few at a time."""

    def __init__(self, cost: Cost = USUAL) -> None:
        self._cost = cost
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._nobodys = _written(cost, secrets.token_bytes(SALT_BYTES), bytes(HASH_BYTES))

    async def hashed(self, password: str) -> str:
        """What is kept of a password: never the same twice."""
        salt = secrets.token_bytes(SALT_BYTES)
        return _written(self._cost, salt, await self._hash(password, self._cost, salt))

    async def fits(self, password: str, kept: str | None) -> bool:
        """Whether it is this one; None: there is none, which takes as long to find out."""
        cost, salt, expected = _read(kept or self._nobodys)
        found = await self._hash(password, cost, salt)
        return hmac.compare_digest(found, expected) and kept is not None

    async def _hash(self, password: str, cost: Cost, salt: bytes) -> bytes:
        """
        Raises:
            RhetorError: pool_full, too many sign in at the same time.
        """
        if self._waiting >= MOST_WAITING:
            raise RhetorError("too many sign in at the same time", Code.POOL_FULL, retry_after_s=5.0)
        self._waiting += 1
        try:
            async with self._places:
                return await asyncio.to_thread(_scrypt, password.encode(), cost, salt)
        finally:
            self._waiting -= 1


def _scrypt(password: bytes, cost: Cost, salt: bytes) -> bytes:
    filled = 128 * cost.r * (cost.n + cost.p) + SPARE_BYTES
    return hashlib.scrypt(password, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=filled, dklen=HASH_BYTES)


def _written(cost: Cost, salt: bytes, hashed: bytes) -> str:
    return f"{NAME}${cost.n}${cost.r}${cost.p}${b64encode(salt).decode()}${b64encode(hashed).decode()}"


def _read(kept: str) -> tuple[Cost, bytes, bytes]:
    """With the cost of its time: a dearer one counts for passwords that are set from then on."""
    _, n, r, p, salt, hashed = kept.split("$")
    return Cost(int(n), int(r), int(p)), b64decode(salt), b64decode(hashed)
