"""Tokens of Google Cloud, from an endpoint on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2.credentials import Credentials

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.testing import Upstream, raw_frames
from rhetor.transport.google import GoogleSigner

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CALL = Call("POST", "https://eu-aiplatform.example/v1/x", {"a": "b"}, b"{}")


@pytest.fixture
async def google(no_leaks: None) -> AsyncIterator[Upstream]:
    """Where tokens are given."""
    async with Upstream(anything=True, served=()) as server:
        yield server


@cache
def key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, format = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return made.private_bytes(encoding, format, serialization.NoEncryption()).decode()


def account(folder: Path, google: Upstream, **more: Any) -> GoogleSigner:
    """Who signs with a service account's file."""
    said = {
        "type": "service_account",
        "project_id": "lab",
        "private_key_id": "1",
        "private_key": key(),
        "client_email": "rhetor@lab.example",
        "token_uri": f"{google.base_url}/token",
        **more,
    }
    path = folder / "account.json"
    path.write_bytes(orjson.dumps(said))
    return GoogleSigner([SCOPE], {"GOOGLE_APPLICATION_CREDENTIALS": str(path)})


def gives(token: str, good_s: int = 3600) -> Any:
    said = {"access_token": token, "expires_in": good_s, "token_type": "Bearer"}
    return raw_frames([orjson.dumps(said)], content_type="application/json")


async def test_a_service_account_gets_a_token(google: Upstream, tmp_path: Path) -> None:
    google.always(gives("ya29.canary"))
    signed = await account(tmp_path, google).sign(CALL)
    assert signed.headers == {"a": "b", "authorization": "Bearer ya29.canary"}
    assert (signed.method, signed.url, signed.body) == (CALL.method, CALL.url, CALL.body)
    asked = await google.request()
    assert asked.path == "/token"
    assert b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer" in asked.body


async def test_one_token_is_for_all_calls(google: Upstream, tmp_path: Path) -> None:
    google.always(gives("ya29.canary"))
    signer = account(tmp_path, google)
    await asyncio.gather(*(signer.sign(CALL) for _ in range(10)))
    await signer.sign(CALL)
    assert len(google.requests) == 1


async def test_a_token_that_has_ended_is_replaced(google: Upstream, tmp_path: Path) -> None:
    google.next(gives("first", good_s=1), gives("second"))
    signer = account(tmp_path, google)
    tokens = [(await signer.sign(CALL)).headers["authorization"] for _ in range(2)]
    assert tokens == ["Bearer first", "Bearer second"]


async def test_who_pays_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `gcloud auth application-default login` leaves names a project beside the person."""

    def refresh(credentials: Credentials, request: object) -> None:
        credentials.token = "ya29.person"

    said = {"type": "authorized_user", "client_id": "1", "client_secret": "2", "refresh_token": "3"}
    path = tmp_path / "person.json"
    path.write_bytes(orjson.dumps({**said, "quota_project_id": "payer"}))
    monkeypatch.setattr(Credentials, "refresh", refresh)
    signed = await GoogleSigner([SCOPE], {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}).sign(CALL)
    assert signed.headers["authorization"] == "Bearer ya29.person"
    assert signed.headers["x-goog-user-project"] == "payer"


async def test_a_refusal_says_no_secret(google: Upstream, tmp_path: Path) -> None:
    """What the endpoint answers may repeat what it was sent."""
    body = b'{"error":"invalid_grant","error_description":"bad assertion eyJhbGciOi"}'
    google.always(raw_frames([body], 400, "application/json"))
    with pytest.raises(UpstreamError) as caught:
        await account(tmp_path, google).sign(CALL)
    assert caught.value.code is Code.UPSTREAM_AUTH
    assert "eyJ" not in caught.value.message


async def test_an_endpoint_that_is_not_there(tmp_path: Path, no_leaks: None) -> None:
    async with Upstream(anything=True, served=()) as gone:
        signer = account(tmp_path, gone)
    with pytest.raises(UpstreamError) as caught:
        await signer.sign(CALL)
    assert caught.value.code is Code.UPSTREAM_AUTH


@pytest.mark.parametrize("content", [None, b"{}", b"no json"])
async def test_without_credentials_it_says_what_to_set(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UpstreamError) as caught:
        await GoogleSigner([SCOPE], {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}).sign(CALL)
    assert caught.value.code is Code.NO_KEY
    assert "GOOGLE_APPLICATION_CREDENTIALS" in caught.value.message
