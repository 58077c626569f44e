"""Jobs: they go on by themselves, tell how far they are, and end when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.store.assets import Writing
from rhetor.testing import Gate, Upstream, fails, hangs, raw_frames
from rhetor.testing.script import Step
from rhetor.testing.seen import Seen
from tests.conftest import Gateway, MakeGateway
from tests.http.media.studio import PNG, SPEECH, Predictions, fetched, plays, sse, studio

PREDICTED = {
    "capability": "text-to-image",
    "input": "a fox",
    "model": "replicate/black-forest-labs/flux-schnell",
}
SPOKEN = {"capability": "text-to-audio", "input": "hello", "model": "lab/voice"}


@pytest.fixture
async def upstream(no_leaks: None) -> AsyncIterator[Upstream]:
    async with Upstream(anything=True) as server:
        yield server


@pytest.fixture
async def predictions(upstream: Upstream) -> Predictions:
    made = Predictions(upstream.base_url)
    upstream.always(made)
    return made


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    return await make_gateway(studio(upstream))


async def begun(gateway: Gateway, body: Any, **options: Any) -> Any:
    status, said = await gateway.post("/v1/jobs", body, **options)
    assert status == 202, said
    return said


async def until(gateway: Gateway, job: Any, status: str) -> Any:
    async with asyncio.timeout(10):
        while True:
            answered, said = await gateway.get(job["status_url"])
            assert answered == 200, said
            if said["status"] == status:
                return said
            await asyncio.sleep(0.01)


async def delete(gateway: Gateway, path: str) -> tuple[int, Any]:
    async with gateway.session.delete(gateway.url + path) as reply:
        return reply.status, await reply.json()


async def test_a_prediction_is_followed_to_its_end(gateway: Gateway, predictions: Predictions) -> None:
    job = await begun(gateway, PREDICTED)
    assert job["status"] in ("pending", "running")
    async with gateway.session.get(gateway.url + job["events_url"]) as reply:
        early = await sse(reply, until="progress")
        while early[-1][1]["fraction"] is None:
            early += await sse(reply, until="progress")
        assert early[-1] == ("progress", {"fraction": 0.3, "note": "processing"})
        running = (await gateway.get(job["status_url"]))[1]
        assert (running["status"], running["progress"]["fraction"]) == ("running", 0.3)
        status, said = await gateway.get(job["result_url"])
        assert (status, said["code"]) == (409, "conflict")
        predictions.done = True
        told = early + await sse(reply)
    names = [name for name, _ in told]
    assert (names[0], names[-3:]) == ("started", ["asset", "usage", "finished"])
    assert names.count("started") == 1

    ended = await until(gateway, job, "completed")
    assert (ended["progress"]["fraction"], ended["served_by"]) == (1.0, PREDICTED["model"])
    assert ended["generation_chain"][0]["content"] == "a fox"
    status, result = await gateway.get(job["result_url"])
    assert (status, result["id"], result["object"]) == (200, job["id"], "generation")
    status, content, headers = await fetched(gateway, job["download_url"])
    assert (status, content) == (200, PNG)
    assert headers["content-disposition"].startswith("attachment")
    listed = (await gateway.get("/v1/jobs?status=completed"))[1]["data"]
    assert [each["id"] for each in listed] == [job["id"]]
    assert (await gateway.get("/v1/jobs?status=running"))[1]["data"] == []
    assert (await gateway.get(f"/v1/generations/{job['id']}"))[1]["state"] == "finished"


async def test_a_stream_of_generate_tells_how_far_it_is_as_well(
    gateway: Gateway, predictions: Predictions
) -> None:
    url = f"{gateway.url}/v1/generate"
    async with gateway.session.post(url, json={**PREDICTED, "stream": True}) as reply:
        told = await sse(reply, until="progress")
        predictions.done = True
        told += await sse(reply)
    assert told[-1][0] == "finished"
    assert [name for name, _ in told[:2]] == ["started", "progress"]


async def test_who_comes_back_hears_the_rest(gateway: Gateway, predictions: Predictions) -> None:
    job = await begun(gateway, PREDICTED)
    url = gateway.url + job["events_url"]
    async with gateway.session.get(url) as reply:
        first = await reply.content.readuntil(b"\n\n")
        while first.startswith(b":"):
            first = await reply.content.readuntil(b"\n\n")
    id = first.split(b"\n")[0].removeprefix(b"id: ").decode()
    predictions.done = True
    await until(gateway, job, "completed")
    async with gateway.session.get(url, headers={"Last-Event-ID": id}) as reply:
        told = await sse(reply)
        last = told[-1]
    assert "started" not in [name for name, _ in told]
    assert last[0] == "finished"
    async with gateway.session.get(url) as reply:
        whole = (await reply.read()).strip().split(b"\n\n")
    end = whole[-1].split(b"\n")[0].removeprefix(b"id: ").decode()
    async with gateway.session.get(url, headers={"Last-Event-ID": end}) as reply:
        assert reply.status == 204


async def test_cancelling_reaches_the_provider(gateway: Gateway, predictions: Predictions) -> None:
    job = await begun(gateway, PREDICTED)
    await until(gateway, job, "running")
    async with gateway.session.get(gateway.url + job["events_url"]) as reply:
        await sse(reply, until="progress")
        status, said = await delete(gateway, job["status_url"])
        assert (status, said["status"], said["code"]) == (200, "cancelled", "cancelled")
        async with asyncio.timeout(10):
            await predictions.cancelled.wait()
        told = await sse(reply)
    assert told[-1][0] == "failed"
    assert told[-1][1]["code"] == "cancelled"
    assert (await gateway.get(job["result_url"]))[0] == 499
    assert (await delete(gateway, job["status_url"]))[0] == 200
    assert (await gateway.get(job["status_url"]))[0] == 404


async def test_a_stop_reaches_the_provider_as_well(gateway: Gateway, predictions: Predictions) -> None:
    job = await begun(gateway, PREDICTED)
    await until(gateway, job, "running")
    await gateway.app.stop()
    assert predictions.cancelled.is_set()


async def test_a_caller_who_leaves_a_stream_ends_it(gateway: Gateway, predictions: Predictions) -> None:
    async with gateway.session.post(
        f"{gateway.url}/v1/generate", json={**PREDICTED, "stream": True}
    ) as reply:
        await sse(reply, until="progress")
        reply.close()
    async with asyncio.timeout(10):
        await predictions.cancelled.wait()


async def test_a_job_that_fails_says_why(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(fails(422, "no foxes"))
    job = await begun(gateway, PREDICTED)
    ended = await until(gateway, job, "failed")
    assert "no foxes" in ended["error"]
    assert ended["attempts"][0]["outcome"] == ended["code"]
    async with gateway.session.get(gateway.url + job["events_url"]) as reply:
        assert reply.status == 422
        assert "no foxes" in (await reply.json())["error"]
    for url in (job["result_url"], job["download_url"]):
        assert (await gateway.get(url))[0] == 422


async def test_what_runs_and_what_fills_the_disk_is_counted(
    gateway: Gateway, predictions: Predictions
) -> None:
    async def counted() -> tuple[bool, bool]:
        text = (await fetched(gateway, "/metrics"))[1].decode()
        return "rhetor_jobs_running 1.0\n" in text, f"rhetor_assets_bytes {float(len(PNG))}\n" in text

    job = await begun(gateway, PREDICTED)
    assert await counted() == (True, False)
    predictions.done = True
    ended = await until(gateway, job, "completed")
    assert await counted() == (False, True)
    await delete(gateway, ended["assets"][0]["url"])
    assert await counted() == (False, False)


@pytest.mark.parametrize(
    ("more", "param"),
    [({"model": "x" * 1_001}, "model"), ({"fallbacks": ["lab/voice"] * 17}, "fallbacks")],
)
async def test_a_job_asks_for_no_more_than_others(gateway: Gateway, more: Any, param: str) -> None:
    status, said = await gateway.post("/v1/jobs", {**SPOKEN, **more})
    assert (status, said["param"]) == (400, param)


async def test_what_came_of_a_job_is_found_by_its_number(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(plays({SPEECH: raw_frames([b"RIFF"], content_type="audio/wav")}))
    job = await begun(gateway, SPOKEN, headers={"x-component-id": "ergon"})
    await until(gateway, job, "completed")
    for index, expected in (("0", 200), ("1", 400), ("00005", 400), ("0" * 5_000, 400), ("x", 400)):
        assert (await fetched(gateway, f"{job['download_url']}?index={index}"))[0] == expected
    assert (await gateway.booked())[0]["component"] == "ergon"


async def test_the_same_key_is_the_same_job(gateway: Gateway, predictions: Predictions) -> None:
    key = {"headers": {"Idempotency-Key": "k1"}}
    jobs = [await begun(gateway, PREDICTED, **key) for _ in range(2)]
    assert jobs[0]["id"] == jobs[1]["id"]
    status, said = await gateway.post("/v1/jobs", {**PREDICTED, "input": "a dog"}, **key)
    assert (status, said["code"]) == (409, "conflict")
    predictions.done = True
    await until(gateway, jobs[0], "completed")


async def test_a_large_result_passes_through_little_memory(gateway: Gateway, upstream: Upstream) -> None:
    """What is kept of a job does not grow with what it makes."""
    piece, pieces = bytes(1 << 20), 48
    upstream.always(plays({SPEECH: raw_frames([piece] * pieces, content_type="audio/wav")}))
    job = await begun(gateway, SPOKEN)
    ended = await until(gateway, job, "completed")
    assert ended["assets"][0]["bytes"] == pieces << 20
    assert gateway.app.house.recordings.total_bytes < 1 << 20
    assert (await gateway.get(job["result_url"]))[1]["assets"][0]["sha256"] == ended["assets"][0]["sha256"]


async def test_what_cannot_be_stored_is_downloaded_all_the_same(
    gateway: Gateway, predictions: Predictions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(writing: Writing, data: bytes) -> None:
        raise RhetorError("the disk is gone", Code.UNAVAILABLE)

    monkeypatch.setattr(Writing, "write", write)
    predictions.done = True
    said = await until(gateway, await begun(gateway, PREDICTED), "completed")
    assert said["not_stored"] == "the disk is gone"
    async with gateway.session.get(gateway.url + said["download_url"]) as reply:
        assert (reply.status, reply.content_type, await reply.read()) == (200, "image/png", PNG)
        assert reply.headers["content-disposition"].startswith("attachment")


async def test_what_breaks_off_leaves_no_half_asset(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()

    def play(seen: Seen) -> Step:
        return raw_frames([b"RIFF", b"more"], content_type="audio/wav").but(hangs(gate, after=1))

    upstream.always(play)
    job = await begun(gateway, SPOKEN)
    await until(gateway, job, "running")
    await delete(gateway, job["status_url"])
    assert (await gateway.get("/v1/assets"))[1]["data"] == []
    gate.open()


async def test_jobs_of_others_are_not_found(
    make_gateway: MakeGateway, predictions: Predictions, upstream: Upstream
) -> None:
    tokens = {"ann": "env:ANN", "bob": "env:BOB"}
    gateway = await make_gateway(
        studio(upstream, server={"tokens": tokens}), {"ANN": "a" * 32, "BOB": "b" * 32}
    )
    ann, bob = ({"headers": {"x-api-key": letter * 32}} for letter in "ab")
    job = await begun(gateway, PREDICTED, **ann)
    for path in (job[name] for name in ("status_url", "events_url", "result_url", "download_url")):
        assert (await gateway.get(path, **bob))[0] == 404
    assert (await gateway.get("/v1/jobs", **bob))[1]["data"] == []
    async with gateway.session.delete(gateway.url + job["status_url"], **bob) as reply:  # type: ignore[arg-type]
        assert reply.status == 404
    async with gateway.session.delete(gateway.url + job["status_url"], **ann) as reply:  # type: ignore[arg-type]
        assert reply.status == 200
