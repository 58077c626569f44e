"""Tokens: what is ours and good is taken, and nothing else, however it is made."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import BadRequest, Code
from rhetor.http.chat.tokens import GOOD_FOR_S, Tokens, looks_like_one, problem_of
from rhetor.testing import FakeClock

SECRET = b"canary-secret-0123456789abcdefghijklmnop"
OTHER = b"another-secret-0123456789abcdefghijklmno"
PUBLIC_KEY = b"""-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALt0gZ0cR0gnFQWQ6FZcHiwHJp6q3pGZ
-----END PUBLIC KEY-----
"""
"""Stands for a key that everybody knows, as those of RS256 are."""


def part(said: object) -> str:
    text = said if isinstance(said, str) else json.dumps(said)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def signed(header: object, payload: object, key: bytes = SECRET, by: str = "sha256") -> str:
    """A token made by hand: libraries refuse to make what attackers do."""
    body = f"{part(header)}.{part(payload)}"
    signature = hmac.new(key, body.encode(), by).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def claims(**changes: Any) -> dict[str, Any]:
    now_s = int(FakeClock().utc().timestamp())
    said = {
        "userId": "usr_1",
        "username": "ada",
        "role": "user",
        "iss": "rhetor",
        "iat": now_s,
        "exp": now_s + 3600,
        "jti": "tok_1",
        **changes,
    }
    return {name: value for name, value in said.items() if value is not ...}


HS256: Mapping[str, str] = {"alg": "HS256", "typ": "JWT"}
ALIEN = signed(HS256, claims(), OTHER)
GOOD = signed(HS256, claims())

ATTACKS = {
    "no algorithm": f"{part({'alg': 'none'})}.{part(claims())}.",
    "no algorithm, in capitals": f"{part({'alg': 'NONE'})}.{part(claims())}.",
    "no algorithm, with a signature": signed({"alg": "none"}, claims()),
    "no signature": f"{part(HS256)}.{part(claims())}.",
    "another key": ALIEN,
    "no key": signed(HS256, claims(), b""),
    "another length of hash": signed({"alg": "HS512"}, claims(), by="sha512"),
    "RS256 with our secret": signed({"alg": "RS256"}, claims()),
    "RS256's public key as the secret": signed(HS256, claims(), PUBLIC_KEY),
    "ES256": signed({"alg": "ES256"}, claims()),
    "an algorithm that nobody knows": signed({"alg": "HS256 "}, claims()),
    "no algorithm said": signed({"typ": "JWT"}, claims()),
    "an algorithm that is no text": signed({"alg": ["HS256"]}, claims()),
    "its own key in the header": signed(
        {"alg": "HS256", "jwk": {"kty": "oct", "k": part("x")}, "kid": "../../dev/null"}, claims(), b""
    ),
    "a critical extension": signed({"alg": "HS256", "crit": ["b64"], "b64": False}, claims()),
    "a header that is no object": signed(["HS256"], claims()),
    "expired": signed(HS256, claims(exp=claims()["iat"] - 1)),
    "expires now": signed(HS256, claims(exp=claims()["iat"])),
    "never expires": signed(HS256, claims(exp=...)),
    "expires at a word": signed(HS256, claims(exp="never")),
    "expires at a fraction": signed(HS256, claims(exp=1e300)),
    "expires at true": signed(HS256, claims(exp=True)),
    "expires at NaN": signed(HS256, json.dumps(claims()).replace(str(claims()["exp"]), "NaN")),
    "another issuer": signed(HS256, claims(iss="someone-else")),
    "no issuer": signed(HS256, claims(iss=...)),
    "two issuers": signed(HS256, claims(iss=["rhetor", "someone-else"])),
    "no id": signed(HS256, claims(jti=...)),
    "an id that is no text": signed(HS256, claims(jti=7)),
    "no user": signed(HS256, claims(userId=...)),
    "a user that is an object": signed(HS256, claims(userId={"$ne": None})),
    "no role": signed(HS256, claims(role=...)),
    "not good yet": signed(HS256, claims(nbf=4_000_000_000)),
    "claims that are no object": signed(HS256, ["admin"]),
    "claims that are no JSON": signed(HS256, "{"),
    "nested claims": signed(HS256, "[" * 2000),
    "a nested header": f"{part('[' * 2000)}.{part(claims())}.AAAA",
    "truncated": GOOD[:-5],
    "without its last part": GOOD.rpartition(".")[0],
    "only points": "..",
    "nothing": "",
    "another part": f"{GOOD}.AAAA",
    "no base64": "ey$.ey$.$$$",
    "no ASCII": GOOD[:-1] + "é",
    "broken text": GOOD[:-1] + "\udcff",
    "with a space": GOOD + " ",
    "with a NUL": GOOD + "\0",
    "huge": GOOD + "A" * 5_000_000,
    "a huge name": signed(HS256, claims(username="a" * 10_000)),
    "the payload of another one": ".".join(
        [GOOD.split(".")[0], part(claims(userId="usr_2")), GOOD.split(".")[2]]
    ),
}


def tokens(clock: FakeClock | None = None) -> Tokens:
    return Tokens(SECRET, clock or FakeClock())


def test_one_of_ours_says_who_it_is() -> None:
    clock = FakeClock()
    token = tokens(clock).issue("usr_7", "ada", "user")

    found = tokens(clock).verified(token)

    assert (found.user_id, found.username, found.role) == ("usr_7", "ada", "user")
    assert found.expires_s - found.issued_s == GOOD_FOR_S == 24 * 3600
    said = jwt.decode(token, options={"verify_signature": False})
    assert said.keys() == {"userId", "username", "role", "iss", "iat", "exp", "jti"}
    assert looks_like_one(token)


def test_the_one_made_by_hand_is_good() -> None:
    """So that the attacks below fail for the reason that they name."""
    assert tokens().verified(GOOD).user_id == "usr_1"


@pytest.mark.promise("P17")
@pytest.mark.parametrize("token", ATTACKS.values(), ids=ATTACKS)
def test_none_else_is_taken(token: str) -> None:
    with pytest.raises(BadRequest) as refused:
        tokens().verified(token)

    assert refused.value.code is Code.FORBIDDEN
    assert refused.value.message == "Token is invalid or expired", "it does not say what was wrong"


def test_it_ends_by_our_clock() -> None:
    clock = FakeClock()
    token = tokens(clock).issue("usr_7", "ada", "user")

    clock.advance(timedelta(hours=24).total_seconds() - 1)
    assert tokens(clock).verified(token)
    clock.advance(1)
    with pytest.raises(BadRequest):
        tokens(clock).verified(token)


def test_each_has_a_name_of_its_own() -> None:
    made = tokens()
    assert made.verified(made.issue("u", "a", "user")).jti != made.verified(made.issue("u", "a", "user")).jti


@given(place=st.integers(0, len(GOOD) - 1), letter=st.characters(codec="ascii"))
def test_no_letter_of_one_can_be_changed(place: int, letter: str) -> None:
    changed = GOOD[:place] + letter + GOOD[place + 1 :]
    if _bits(changed) == _bits(GOOD):
        return  # the last letter of a part has bits that mean nothing
    with pytest.raises(BadRequest):
        tokens().verified(changed)


def _bits(token: str) -> list[bytes | str]:
    read: list[bytes | str] = []
    for each in token.split("."):
        try:
            read.append(base64.urlsafe_b64decode(each + "=" * (-len(each) % 4)))
        except ValueError:
            read.append(each)
    return read


class TestSecrets:
    @pytest.mark.promise("P25")
    @pytest.mark.parametrize(
        "secret",
        [b"", b"short", b"x" * 31, b"a" * 64, b"abc" * 20, b"fallback-secret-change-in-production"],
        ids=["none", "short", "31 bytes", "one letter", "three letters", "everybody's"],
    )
    def test_weak_ones_are_refused(self, secret: bytes) -> None:
        problem = problem_of(secret)

        assert problem is not None
        assert "openssl rand" in problem
        if secret:
            assert secret.decode() not in problem
        with pytest.raises(ValueError, match="openssl"):
            Tokens(secret, FakeClock())

    def test_a_good_one_will_do(self) -> None:
        assert problem_of(SECRET) is None
        assert problem_of(hashlib.sha256(b"anything").digest()) is None

    def test_it_is_seen_nowhere(self) -> None:
        made = tokens()
        assert SECRET.decode() not in repr(made)
        assert SECRET.decode() not in made.issue("usr_7", "ada", "user")
