"""Signatures of AWS, computed again by who gets the call: with AWS' own library, from what has arrived."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from rhetor.core.call import Call
from rhetor.core.errors import Code, UpstreamError
from rhetor.testing import Seen, Upstream, raw_frames
from rhetor.transport.aws import LARGE_BYTES, AwsSigner
from rhetor.transport.base import Progress
from rhetor.transport.pool import HttpPool
from rhetor.transport.signing import Signed

ID, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI-canary", "IQoJb3JpZ2luX2Vj"
KEYS = {"AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": SECRET}
PATH = "/model/eu.anthropic.claude-sonnet-4-5-v1%3A0/converse"


@pytest.fixture
async def aws(no_leaks: None) -> AsyncIterator[Upstream]:
    async with Upstream(anything=True, served=()) as server:
        server.always(raw_frames([b"{}"]))
        yield server


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever runs the tests may have credentials; no test finds them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


async def arrived(aws: Upstream, environ: Mapping[str, str], body: bytes = b'{"a":1}') -> Seen:
    """What the provider gets of a call."""
    headers = {"content-type": "application/json", "user-agent": "rhetor", "x-twice": "a   b"}
    pool = HttpPool(limit=1, connect_s=5.0)
    transport = Signed(pool, AwsSigner("bedrock", "eu-west-1", environ), aws.base_url)
    try:
        (await transport.open(Call("POST", aws.base_url + PATH, headers, body), Progress())).close()
    finally:
        await transport.close()
    return await aws.request()


def signature_of(seen: Seen, secret: str = SECRET, token: str | None = None) -> str:
    """What the call must be signed with."""
    told = seen.headers["authorization"]
    names = told.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    url = f"http://{seen.headers['host']}{seen.target}"
    request = AWSRequest(seen.method, url, {name: seen.headers[name] for name in names}, seen.body)
    request.context["timestamp"] = seen.headers["x-amz-date"]
    auth = SigV4Auth(ReadOnlyCredentials(ID, secret, token, None), "bedrock", "eu-west-1")
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return str(auth.signature(text, request))


@pytest.mark.parametrize("size", [7, LARGE_BYTES + 1])
async def test_what_arrives_is_what_was_signed(aws: Upstream, size: int) -> None:
    seen = await arrived(aws, KEYS, b"x" * size)
    told = seen.headers["authorization"]
    assert told.startswith(f"AWS4-HMAC-SHA256 Credential={ID}/")
    assert "/eu-west-1/bedrock/aws4_request" in told
    assert told.endswith(f"Signature={signature_of(seen)}")
    assert signature_of(seen, "another secret") != signature_of(seen)
    assert SECRET not in str(seen.headers)
    assert urlsplit(seen.target).path == PATH


async def test_the_token_of_a_session_is_signed_too(aws: Upstream) -> None:
    seen = await arrived(aws, {**KEYS, "AWS_SESSION_TOKEN": TOKEN})
    assert seen.headers["x-amz-security-token"] == TOKEN
    assert "x-amz-security-token" in seen.headers["authorization"]
    assert seen.headers["authorization"].endswith(f"Signature={signature_of(seen, token=TOKEN)}")


async def test_a_profile_of_the_command_line(
    aws: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"[lab]\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n"
    (tmp_path / "credentials").write_text(said)
    seen = await arrived(aws, {"AWS_PROFILE": "lab"})
    assert seen.headers["authorization"].endswith(f"Signature={signature_of(seen)}")


async def test_without_credentials_it_says_what_to_set(aws: Upstream) -> None:
    with pytest.raises(UpstreamError) as caught:
        await arrived(aws, {})
    assert caught.value.code is Code.NO_KEY
    assert "AWS_ACCESS_KEY_ID" in caught.value.message


async def test_a_role_that_may_not_be_assumed_is_no_key(
    aws: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STS refuses with a class that is none of botocore's usual ones."""

    def refuses(self: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "AssumeRole")

    monkeypatch.setattr(botocore.session.Session, "get_credentials", refuses)
    with pytest.raises(UpstreamError) as caught:
        await arrived(aws, {})
    assert (caught.value.code, caught.value.message) == (
        Code.NO_KEY,
        "AWS' credentials cannot be had: ClientError",
    )


async def test_an_unknown_profile_is_told(aws: Upstream) -> None:
    with pytest.raises(UpstreamError) as caught:
        await arrived(aws, {"AWS_PROFILE": "nowhere"})
    assert caught.value.code is Code.NO_KEY
    assert "nowhere" in caught.value.message
