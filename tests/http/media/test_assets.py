"""Assets over HTTP: up as a stream, down in any part, and nothing of them runs in a browser."""

from __future__ import annotations

import asyncio
import os
import resource
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rhetor.http.media import assets
from rhetor.http.media.assets import SAFE_HEADERS
from rhetor.tasks import spawn
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.media.studio import PNG, fetched

MIB = 1 << 20


async def uploaded(
    gateway: Gateway, data: Any, media_type: str = "image/png", name: str = "", **options: Any
) -> Any:
    url = f"{gateway.url}/v1/assets" + (f"?name={name}" if name else "")
    async with gateway.session.post(url, data=data, headers={"content-type": media_type}, **options) as reply:
        said = await reply.json()
        assert reply.status == 201, said
        return said


@pytest.fixture
async def gateway(make_gateway: MakeGateway) -> Gateway:
    return await make_gateway(settings(assets={"each_mb": 64, "all_mb": 128}))


async def test_up_and_down(gateway: Gateway) -> None:
    asset = await uploaded(gateway, PNG, name="../../etc/fox%20one.png")
    assert (asset["object"], asset["bytes"], asset["name"]) == ("asset", len(PNG), "fox one.png")
    assert asset["sha256"] == sha256(PNG).hexdigest()
    status, content, headers = await fetched(gateway, asset["url"])
    assert (status, content) == (200, PNG)
    assert headers["content-type"] == "image/png"
    assert headers["content-length"] == str(len(PNG))
    assert headers["etag"] == f'"{asset["sha256"]}"'
    assert headers["content-disposition"].startswith('inline; filename="fox one.png"')
    for name, value in SAFE_HEADERS.items():
        assert headers[name] == value
    async with gateway.session.head(gateway.url + asset["url"]) as reply:
        assert (reply.status, reply.headers["content-length"]) == (200, str(len(PNG)))
    listed = (await gateway.get("/v1/assets"))[1]["data"]
    assert [each["id"] for each in listed] == [asset["id"]]
    async with gateway.session.delete(gateway.url + asset["url"]) as reply:
        assert (await reply.json())["deleted"] is True
    assert (await fetched(gateway, asset["url"]))[0] == 404


async def test_a_form_is_a_file_too(gateway: Gateway) -> None:
    form = aiohttp.FormData()
    form.add_field("purpose", "test")
    form.add_field("file", PNG, filename="fox.png", content_type="image/png")
    async with gateway.session.post(f"{gateway.url}/v1/assets", data=form) as reply:
        asset = await reply.json()
        assert reply.status == 201, asset
    assert (asset["name"], asset["media_type"]) == ("fox.png", "image/png")
    assert (await fetched(gateway, asset["url"]))[1] == PNG


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-3", 206, slice(0, 4)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=2000-999999", 206, slice(2000, None)),
        ("bytes=999999-", 416, slice(0, 0)),
        ("bytes=-0", 416, slice(0, 0)),
        ("bytes=5-2", 200, slice(None)),
        ("bytes=0-1,4-5", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
    ],
)
async def test_a_part_of_it(gateway: Gateway, asked: str, status: int, part: slice) -> None:
    asset = await uploaded(gateway, PNG)
    answered, content, headers = await fetched(gateway, asset["url"], headers={"range": asked})
    assert (answered, content) == (status, PNG[part])
    if status == 206:
        start, end, _ = part.indices(len(PNG))
        assert headers["content-range"] == f"bytes {start}-{end - 1}/{len(PNG)}"
    if status == 416:
        assert headers["content-range"] == f"bytes */{len(PNG)}"


async def test_what_the_caller_has_is_not_sent_again(gateway: Gateway) -> None:
    asset = await uploaded(gateway, PNG)
    tag = f'"{asset["sha256"]}"'
    assert (await fetched(gateway, asset["url"], headers={"if-none-match": f'"x", W/{tag}'}))[0] == 304
    other = {"range": "bytes=0-3", "if-range": '"other"'}
    assert (await fetched(gateway, asset["url"], headers=other))[1] == PNG
    same = {"range": "bytes=0-3", "if-range": tag}
    assert (await fetched(gateway, asset["url"], headers=same))[1] == PNG[:4]


@pytest.mark.parametrize(
    "media_type",
    [
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "text/javascript",
        "IMAGE/SVG+XML",
        "x",
    ],
)
async def test_nothing_runs_in_a_browser(gateway: Gateway, media_type: str) -> None:
    asset = await uploaded(gateway, b"<svg onload=alert(1)>", media_type)
    _, _, headers = await fetched(gateway, asset["url"])
    assert headers["content-disposition"].startswith("attachment")
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]


async def test_to_be_saved(gateway: Gateway) -> None:
    asset = await uploaded(gateway, PNG)
    _, _, headers = await fetched(gateway, asset["url"] + "?download=true")
    assert headers["content-disposition"].startswith(f'attachment; filename="{asset["id"]}.png"')


async def test_too_large_is_refused_while_it_comes(gateway: Gateway) -> None:
    async def endless() -> Any:
        while True:
            yield bytes(MIB)

    try:
        async with gateway.session.post(f"{gateway.url}/v1/assets", data=endless()) as reply:
            assert (reply.status, (await reply.json())["code"]) == (413, "request_too_large")
    except aiohttp.ClientConnectionError:
        pass  # it was still sending
    assert (await gateway.get("/v1/assets"))[1]["data"] == []


HALF = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nhalf of it'


@pytest.mark.parametrize(
    "body",
    [b"", b"--x\r\nbroken", HALF, HALF + b"\r\n", HALF + bytes(300_000)],
    ids=["empty", "broken", "cut", "cut at a line", "long"],
)
async def test_what_is_no_file_is_refused(gateway: Gateway, body: bytes) -> None:
    media_type = "multipart/form-data; boundary=x" if body else "image/png"
    url = f"{gateway.url}/v1/assets"
    async with gateway.session.post(url, data=body, headers={"content-type": media_type}) as reply:
        assert (reply.status, (await reply.json())["code"]) == (400, "invalid_request")
    assert (await gateway.get("/v1/assets"))[1]["data"] == []


async def test_who_leaves_in_the_middle_of_an_upload_leaves_nothing(gateway: Gateway) -> None:
    begun = asyncio.Event()

    async def half() -> Any:
        yield bytes(MIB)
        begun.set()
        await asyncio.Event().wait()

    sending = spawn(gateway.session.post(f"{gateway.url}/v1/assets", data=half()), "upload")
    await begun.wait()
    sending.cancel()
    await asyncio.wait([sending])
    assert (await gateway.get("/v1/assets"))[1]["data"] == []


@pytest.mark.parametrize(
    ("media_type", "head"),
    [
        ("image/png", b""),
        ("multipart/form-data; boundary=x", HALF),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\n'),
    ],
    ids=["a file", "a file in a form", "a form without one"],
)
async def test_who_sends_a_byte_now_and_then_holds_no_place_for_ever(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, media_type: str, head: bytes
) -> None:
    monkeypatch.setattr(assets, "BODY_S", 0.3)
    refused = asyncio.Event()

    async def trickle() -> Any:
        yield head
        while not refused.is_set():
            yield b"x"
            await asyncio.sleep(0.01)

    url, headers = f"{gateway.url}/v1/assets", {"content-type": media_type}
    async with asyncio.timeout(10), gateway.session.post(url, data=trickle(), headers=headers) as reply:
        refused.set()
        assert reply.status == 408, await reply.text()
    assert (await gateway.get("/v1/assets"))[1]["data"] == []


async def test_who_is_slow_and_steady_is_heard_out(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come is paid for in time, so that no line is too slow for a large file."""
    monkeypatch.setattr(assets, "BODY_S", 1.0)
    monkeypatch.setattr(assets, "LEAST_BYTES_PER_S", 10)

    async def steady() -> Any:
        for _ in range(4):
            yield bytes(10)
            await asyncio.sleep(0.4)

    async with gateway.session.post(f"{gateway.url}/v1/assets", data=steady()) as reply:
        assert (reply.status, (await reply.json())["bytes"]) == (201, 40)


async def test_they_outlive_the_gateway(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """And are streamed: what is fetched fills no memory."""
    given = settings(store={"folder": str(tmp_path / "state")})
    first = await make_gateway(given)
    data = os.urandom(MIB) * 24
    asset = await uploaded(first, BytesIO(data), "video/mp4")
    await first.app.stop()
    second = await make_gateway(given)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    digest = sha256()
    async with second.session.get(second.url + asset["url"]) as reply:
        assert reply.status == 200
        async for piece in reply.content.iter_any():
            digest.update(piece)
    assert digest.hexdigest() == asset["sha256"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 16 << 10
