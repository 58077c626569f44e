"""MediaConduit's callers: an envelope around everything, jobs, and what results were made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rhetor.testing import Upstream, fails
from tests.conftest import Gateway, MakeGateway
from tests.http.media.studio import IMAGES, PNG, Predictions, fetched, picture, plays, studio

TRANSFORM = "/api/v1/transform/lab/brush"
FOX = {"capability": "text-to-image", "input": {"content": "a fox"}, "options": {"quality": "low"}}


@pytest.fixture
async def upstream(no_leaks: None) -> AsyncIterator[Upstream]:
    async with Upstream(anything=True) as server:
        server.always(plays({IMAGES: picture()}))
        yield server


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    return await make_gateway(studio(upstream))


async def ended(gateway: Gateway, url: str) -> Any:
    async with asyncio.timeout(10):
        while True:
            said = (await gateway.get(url))[1]["data"]
            if said["status"] not in ("pending", "running"):
                return said
            await asyncio.sleep(0.01)


@pytest.mark.promise("M21")
async def test_the_capabilities_have_the_names_that_they_had(gateway: Gateway) -> None:
    status, said = await gateway.get("/api/v1/capabilities")
    assert (status, said["success"], said["data"]["total"]) == (200, True, 14)
    told = {each["id"]: each for each in said["data"]["capabilities"]}
    assert told["text-to-image"]["name"] == "Text To Image"
    assert "lab" in told["text-to-image"]["providers"]
    assert {"text-to-3d", "audio-to-audio", "video-to-video"} <= told.keys()


async def test_a_transformation_is_a_job(gateway: Gateway) -> None:
    status, said = await gateway.post(TRANSFORM, FOX)
    assert (status, said["success"]) == (202, True)
    url = said["data"]["statusUrl"]
    assert url == f"/api/v1/jobs/{said['data']['jobId']}"
    job = await ended(gateway, url)
    assert (job["status"], job["progress"], job["providerId"], job["modelId"]) == (
        "completed",
        100,
        "lab",
        "brush",
    )
    assert (await fetched(gateway, job["result"]["url"]))[1] == PNG
    told = (await gateway.get(f"{url}/metadata"))[1]["data"]
    prompt = told["metadata"]["generation_prompt"]
    assert (told["asset_type"], told["format"]) == ("Image", "image/png")
    assert {
        name: prompt[name] for name in ("input", "options", "modelId", "provider", "transformationType")
    } == {
        "input": "a fox",
        "options": {"quality": "low"},
        "modelId": "brush",
        "provider": "lab",
        "transformationType": "text-to-image",
    }
    assert told["generation_chain"][0].keys() >= {
        "step", "asset_type", "model", "provider", "timestamp", "options", "content",
    }  # fmt: skip


async def test_it_is_cancelled(gateway: Gateway, upstream: Upstream) -> None:
    predictions = Predictions(upstream.base_url)
    upstream.always(predictions)
    path = "/api/v1/transform/replicate/black-forest-labs/flux-schnell"
    url = (await gateway.post(path, FOX))[1]["data"]["statusUrl"]
    async with asyncio.timeout(10):
        while (await gateway.get(url))[1]["data"]["status"] != "running":
            await asyncio.sleep(0.01)
    early = await gateway.get(f"{url}/download")
    assert (early[0], early[1]["success"]) == (400, False)
    async with gateway.session.delete(gateway.url + url) as reply:
        assert (await reply.json())["success"] is True
    assert (await ended(gateway, url))["status"] == "cancelled"
    async with asyncio.timeout(10):
        await predictions.cancelled.wait()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/v1/transform/nobody/x", FOX, 404),
        (TRANSFORM, {"capability": "text-to-image"}, 400),
        (TRANSFORM, {"input": "a fox"}, 400),
        (TRANSFORM, {"capability": "text-to-smell", "input": "a fox"}, 400),
    ],
)
async def test_errors_come_in_the_envelope(gateway: Gateway, path: str, body: Any, status: int) -> None:
    answered, said = await gateway.post(path, body)
    assert (answered, said["success"]) == (status, False)
    assert said["error"]
    missing = await gateway.get("/api/v1/jobs/nothing")
    assert (missing[0], missing[1]["success"]) == (404, False)


async def test_a_job_that_fails_says_why(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(fails(400, "no foxes"))
    url = (await gateway.post(TRANSFORM, FOX))[1]["data"]["statusUrl"]
    job = await ended(gateway, url)
    assert (job["status"], "no foxes" in job["error"]) == ("failed", True)
