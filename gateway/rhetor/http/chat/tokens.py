"""Tokens that say who somebody is: JWTs with one algorithm, one issuer, and an end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rhetor.core.clock import Clock
from rhetor.core.errors import BadRequest, Code
from rhetor.core.ids import new_id
from rhetor.core.value import value

ALGORITHM = "HS256"
ISSUER = "rhetor"
GOOD_FOR_S = 24 * 3600
LONGEST = 4_096  # characters; ours have some 300
LEAST_SECRET_BYTES = 32
"""As long as what HS256 makes: RFC 7518, section 3.2 (read 2026-11-21)."""
LEAST_DIFFERENT = 8  # bytes of a secret: fewer are a key that was held down
KNOWN = frozenset({b"fallback-secret-change-in-production"})
"""Secrets that everybody can read in somebody's repository."""
REQUIRED = ("exp", "iat", "iss", "jti", "userId", "username", "role")
_TYPES: Mapping[str, type] = {
    "exp": int,
    "iat": int,
    "jti": str,
    "userId": str,
    "username": str,
    "role": str,
}


@value(kw_only=True)
class Claims:
    """What a good token says."""

    user_id: str
    username: str
    role: str
    jti: str
    """The token's own name, by which it is taken back."""
    issued_s: int
    """Unix time."""
    expires_s: int


def problem_of(secret: bytes) -> str | None:
    """What is wrong with a secret, and what to do; None: it will do."""
    remedy = "make one with `openssl rand -base64 48`"
    if len(secret) < LEAST_SECRET_BYTES:
        return f"must have at least {LEAST_SECRET_BYTES} bytes, not {len(secret)}: {remedy}"
    if secret in KNOWN or len(set(secret)) < LEAST_DIFFERENT:
        return f"is easily guessed: {remedy}"
    return None


class Tokens:
    """Issues and verifies with one secret.

    Raises:
        ValueError: the secret will not do, see `problem_of`.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        if (problem := problem_of(secret)) is not None:
            raise ValueError(problem)
        self._secret = secret
        self._clock = clock

    def issue(self, user_id: str, username: str, role: str) -> str:
        import jwt  # only where somebody signs in

        now_s = int(self._clock.utc().timestamp())
        said = {
            "userId": user_id,
            "username": username,
            "role": role,
            "iss": ISSUER,
            "iat": now_s,
            "exp": now_s + GOOD_FOR_S,
            "jti": new_id("tok"),
        }
        return jwt.encode(said, self._secret, algorithm=ALGORITHM)

    def verified(self, token: str) -> Claims:
        """
        Raises:
            BadRequest: forbidden, it is not ours, or not good any more. It does not say why.
        """
        claims = self._read(token)
        if claims is None or claims.expires_s <= self._clock.utc().timestamp():
            raise invalid()
        return claims

    def _read(self, token: str) -> Claims | None:
        """What it says; None: it is none of ours."""
        if len(token) > LONGEST or not token.isascii():
            return None
        import jwt

        try:
            said: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],  # whatever its own header says
                issuer=ISSUER,
                # The time is our clock's, which `verified` asks.
                options={"require": list(REQUIRED), "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
        if any(type(said[name]) is not kind for name, kind in _TYPES.items()):
            return None
        return Claims(
            user_id=said["userId"],
            username=said["username"],
            role=said["role"],
            jti=said["jti"],
            issued_s=said["iat"],
            expires_s=said["exp"],
        )


def looks_like_one(token: str) -> bool:
    """Three parts with points between: no token of a gateway's operator looks like that by accident."""
    return token.count(".") == 2 and token.startswith("ey")


def invalid() -> BadRequest:
    return BadRequest("Token is invalid or expired", Code.FORBIDDEN)
