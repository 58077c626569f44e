"""Vendors who draw and film elsewhere, behind the doors: the same trip, fallbacks and books as for chats."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rhetor.testing import Upstream, fails, hangs
from tests.conftest import KEY, Gateway, MakeGateway, settings
from tests.http.media.studio import fetched
from tests.wire.media import test_bfl, test_fal, test_replicate
from tests.wire.media.errands import MP4, PNG, Play, medium, said
from tests.wire.openai import test_videos

pytestmark = pytest.mark.usefixtures("hurried")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    from rhetor.wire.media import errand

    monkeypatch.setattr(errand, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
async def first(no_leaks: None) -> AsyncIterator[Upstream]:
    async with Upstream(anything=True, served=()) as server:
        yield server


@pytest.fixture
async def second(no_leaks: None) -> AsyncIterator[Upstream]:
    async with Upstream(anything=True, served=()) as server:
        yield server


def vendor(at: Upstream, **said: Any) -> dict[str, Any]:
    return {"base_url": at.base_url, "key": "env:TEST_KEY", **said}


DRAWING: list[tuple[str, Play, int | None]] = [
    ("replicate/black-forest-labs/flux-schnell", test_replicate.vendor(["HERE/out/0.png"]), 3000),
    ("fal/fal-ai/flux/schnell", test_fal.vendor({"images": [{"url": "HERE/files/0.png"}]}), None),
    ("bfl/flux-2-pro", test_bfl.vendor(), 30_000),
    ("stability/core", lambda seen: medium(), 30_000),
]
"""Model, what its vendor says, and what a picture costs in micro-dollars."""
REFUSING: list[tuple[str, Play, str]] = [
    ("replicate/google/nano-banana", test_replicate.vendor(["https://evil.example/0.png"]), "protocol_error"),
    ("fal/fal-ai/flux-2", test_fal.vendor(fails(503, body=b"{}")), "unavailable"),
    ("bfl/flux-2-max", test_bfl.vendor({"status": "Task not found"}), "unavailable"),
    ("stability/ultra", lambda seen: medium(b"<h1>Busy</h1>", "text/html"), "protocol_error"),
]


@pytest.mark.promise("M35")
@pytest.mark.parametrize(
    ("draws", "refuses"), [*zip(DRAWING, [*REFUSING[1:], REFUSING[0]], strict=True)], ids=lambda it: it[0]
)
async def test_a_picture_is_drawn_by_whoever_can(
    make_gateway: MakeGateway,
    first: Upstream,
    second: Upstream,
    draws: tuple[str, Play, int | None],
    refuses: tuple[str, Play, str],
) -> None:
    first.always(refuses[1])
    second.always(draws[1])
    names = [refuses[0].partition("/")[0], draws[0].partition("/")[0]]
    gateway = await make_gateway(
        settings(
            providers={names[0]: vendor(first), names[1]: vendor(second)},
            routes={"art": {"targets": [refuses[0], draws[0]]}},
        )
    )
    body = {"model": "art", "prompt": "a cat", "response_format": "b64_json"}
    status, reply = await gateway.post("/v1/images/generations", body)

    assert status == 200, reply
    assert [b64decode(it["b64_json"]) for it in reply["data"]] == [PNG]
    (trip,) = await gateway.booked()
    tried = [(it["target"], it["outcome"]) for it in trip["attempts"]]
    assert tried == [(refuses[0], refuses[2]), (draws[0], "ok")]
    assert trip["cost_micros"] == draws[2]
    assert KEY not in str(reply)


FILMING: list[tuple[str, dict[str, Any], Play]] = [
    (
        "replicate/bytedance/seedance-1-lite",
        {},
        test_replicate.vendor("HERE/out/0.mp4", {}, result=medium(MP4, "video/mp4")),
    ),
    (
        "fal/fal-ai/veo3",
        {},
        test_fal.vendor(
            {"video": {"url": "HERE/files/0.mp4"}},
            {"status": "IN_PROGRESS", "logs": []},
            result=medium(MP4, "video/mp4"),
        ),
    ),
    (
        "films/sora",
        {"wire": "openai", "path": "/v1", "capabilities": ["text-to-video"]},
        test_videos.vendor(test_videos.video("in_progress", progress=50)),
    ),
]


async def ended(gateway: Gateway, job: Any) -> Any:
    async with asyncio.timeout(10):
        while True:
            status, said = await gateway.get(job["status_url"])
            assert status == 200, said
            if said["status"] not in ("pending", "running"):
                return said
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("model", "row", "play"), FILMING, ids=[it[0] for it in FILMING])
async def test_films_are_jobs(
    make_gateway: MakeGateway, first: Upstream, model: str, row: dict[str, Any], play: Play
) -> None:
    first.always(play)
    provider = vendor(first, **{name: value for name, value in row.items() if name != "path"})
    provider["base_url"] += row.get("path", "")
    gateway = await make_gateway(settings(providers={model.partition("/")[0]: provider}))
    asked = {"capability": "text-to-video", "input": "a cat", "model": model}
    status, job = await gateway.post("/v1/jobs", asked)
    assert status == 202, job

    assert (await ended(gateway, job))["status"] == "completed"
    _, result = await gateway.get(job["result_url"])
    (asset,) = result["assets"]
    assert asset["media_type"] == "video/mp4"
    assert (await fetched(gateway, asset["url"]))[1] == MP4


async def test_a_job_that_is_cancelled_takes_its_prediction_along(
    make_gateway: MakeGateway, first: Upstream
) -> None:
    working = {"id": "r1", "status": "IN_PROGRESS"}

    def play(seen: Any) -> Any:
        place = f"{first.base_url}/fal-ai/veo3/requests/r1"
        urls = {"status_url": f"{place}/status", "response_url": place, "cancel_url": f"{place}/cancel"}
        step = said({"request_id": "r1", **working, **urls})
        return step.but(hangs()) if seen.path.endswith("/status") else step

    first.always(play)
    gateway = await make_gateway(settings(providers={"fal": vendor(first)}))
    asked = {"capability": "text-to-video", "input": "a cat", "model": "fal/fal-ai/veo3"}
    _, job = await gateway.post("/v1/jobs", asked)
    await (await first.request(2)).hanging()
    async with gateway.session.delete(gateway.url + job["status_url"]) as reply:
        assert reply.status == 200

    told = await first.request(3)
    assert (told.method, told.path) == ("PUT", "/fal-ai/veo3/requests/r1/cancel")
    assert told.headers["authorization"] == f"Key {KEY}"
