"""Providers and models as MediaConduit's callers use them, behind a real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from rhetor.testing import Upstream, fails, hangs, says
from tekton_llm_client import (
    ConnectionError,
    InvalidRequestError,
    ServiceUnavailableError,
    TektonLLMError,
)
from tekton_llm_client.media import (
    MediaCapability,
    MediaModel,
    MediaProgress,
    ProviderCreationError,
    ProviderRegistry,
    Text,
)
from tests.client.scripted import ScriptedGateway
from tests.http.media.studio import PNG, SPEECH, Predictions, plays

FLUX = "black-forest-labs/flux-schnell"


@pytest.fixture(autouse=True)
async def patience() -> AsyncIterator[None]:
    async with asyncio.timeout(30):
        yield


@pytest.mark.promise("M04", "M05", "M06", "M23")
async def test_the_first_sample(registry: ProviderRegistry, upstream: Upstream) -> None:
    """A provider, a model, a text. It could be used at once, and the key that is given goes nowhere."""
    provider = await registry.get_provider("lab")
    with pytest.warns(UserWarning, match="api_key not used: the gateway has the keys"):
        await provider.configure(api_key="sk-of-somebody", base_url=None)
    await provider.configure({"apiKey": "sk-of-somebody"})  # it is said once

    model = await provider.get_model("small")
    result = await model.transform("Write a haiku about AI", {"maxOutputTokens": 9}, temperature=0.5)

    assert (model.get_id(), model.get_provider()) == ("small", "lab")
    assert str(result) == result.content == "a red fox in snow"
    prompt = result.metadata["generation_prompt"]
    assert {name: prompt[name] for name in ("input", "modelId", "provider", "options")} == {
        "input": "Write a haiku about AI",
        "modelId": "small",
        "provider": "lab",
        "options": {"maxOutputTokens": 9, "temperature": 0.5},
    }
    assert result.metadata["attempts"][0]["target"] == "lab/small"
    (request,) = upstream.requests
    body = orjson.loads(request.body)
    assert (body["temperature"], body["max_completion_tokens"]) == (0.5, 9)
    assert "sk-of-somebody" not in str(request)


@pytest.mark.promise("M05", "M07", "M09")
async def test_a_chain_keeps_its_lineage(
    registry: ProviderRegistry, upstream: Upstream, tmp_path: Path
) -> None:
    lab = await registry.get_provider("lab")
    idea = await lab.get_model("small").transform(Text.from_string("an animal"))
    told: list[MediaProgress] = []
    drawn = await lab.get_model("brush").transform(
        idea, capability=MediaCapability.TEXT_TO_IMAGE, size="64x64", on_progress=told.append
    )
    caption = await lab.get_model("small").transform([drawn, "what is it?"])

    assert drawn.asset is not None
    assert (await drawn.read(), drawn.asset.media_type, drawn.asset.size) == (PNG, "image/png", len(PNG))
    assert (await drawn.asset.save(tmp_path / "fox.png")).read_bytes() == PNG
    assert drawn.content == drawn.url == str(drawn.asset)
    assert orjson.loads(upstream.requests[1].body)["prompt"] == "a red fox in snow"
    traced = await caption.lineage()
    chain = [(step["asset_type"], step["generation_id"]) for step in traced["generation_chain"]]
    assert chain == [("text", idea.id), ("image", drawn.id), ("text", caption.id)]
    source = caption.metadata["generation_prompt"]["input"]["sources"][0]["metadata"]["generation_prompt"]
    assert source["input"]["sources"][0]["metadata"]["generation_prompt"]["input"] == "an animal"
    await drawn.asset.remove()
    with pytest.raises(InvalidRequestError):
        await drawn.asset.save(tmp_path / "again.png")
    assert sorted(path.name for path in tmp_path.glob("*.png*")) == ["fox.png"]


async def test_files_go_in_as_they_are(
    registry: ProviderRegistry, upstream: Upstream, tmp_path: Path
) -> None:
    model = (await registry.get_provider("lab")).get_model("small")
    sound = tmp_path / "a.wav"
    sound.write_bytes(b"RIFF0000WAVEfmt ")
    assert (await model.transform(sound)).content == "what was heard"
    assert b'filename="a.wav"' in upstream.requests[-1].body
    seen = await model.transform(PNG)  # it looks like one
    assert (seen.capability, seen.content) == ("image-to-text", "a red fox in snow")
    kept = await registry.upload(PNG, name="fox.png")
    assert (await model.transform({"prompt": "what?", "image": kept})).content == "a red fox in snow"
    spoken = await model.transform("Hello", capability="text-to-audio", voice="alloy")
    assert await spoken.read() == b"ID3abcdef"
    assert (await model.transform(spoken)).content == "what was heard"
    vectors = await model.transform(["one", "two"], capability="embeddings")
    assert (len(vectors.embeddings), vectors.content) == (2, "")


async def test_who_leaves_ends_it_at_the_provider(registry: ProviderRegistry, upstream: Upstream) -> None:
    model = (await registry.get_provider("lab")).get_model("small")
    told: list[str] = []
    assert (await model.transform("q", on_text=told.append)).content == "".join(told) == "a red fox in snow"
    assert "".join([text async for text in model.stream("q")]) == "a red fox in snow"
    for leave in (_break_off, _cancel):
        upstream.next(says("one two three").but(hangs(after=2)))
        await leave(model)
        await upstream.requests[-1].aborted()


async def _break_off(model: MediaModel) -> None:
    stream = model.stream("q")
    assert await anext(stream) == "one"
    await stream.aclose()


async def _cancel(model: MediaModel) -> None:
    begun = asyncio.Event()
    asked = asyncio.get_running_loop().create_task(model.transform("q", on_text=lambda _: begun.set()))
    await begun.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_a_job_says_how_far_it_is_and_ends_with_who_wanted_it(
    registry: ProviderRegistry, upstream: Upstream
) -> None:
    predictions = Predictions(upstream.base_url)
    upstream.always(predictions)
    model = (await registry.get_provider("replicate")).get_model(FLUX)
    job = await model.submit("a fox")

    def hear(progress: MediaProgress) -> None:
        predictions.done = predictions.done or progress.fraction == 0.3

    result = await registry.get_job(job.id).result(hear)
    assert (await result.read(), (await job.status())["status"]) == (PNG, "completed")

    predictions.done, under_way = False, asyncio.Event()

    def begin(progress: MediaProgress) -> None:
        if progress.fraction:
            under_way.set()

    asking = model.transform("a fox", job=True, on_progress=begin)
    asked = asyncio.get_running_loop().create_task(asking)
    await under_way.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await predictions.cancelled.wait()


async def test_errors_are_the_gateways(registry: ProviderRegistry, upstream: Upstream) -> None:
    lab = await registry.get_provider("lab")
    with pytest.raises(InvalidRequestError, match=r"options\.size") as caught:
        await lab.get_model("brush").transform("a fox", capability="text-to-image", size="big")
    assert caught.value.status == 400
    with pytest.raises(TektonLLMError) as refused:
        await lab.get_model("nobody/knows").transform("q")
    assert refused.value.code == "model_not_found"
    upstream.always(plays({SPEECH: fails(400, "no voice today")}))
    with pytest.raises(TektonLLMError, match="no voice today"):
        await lab.get_model("small").transform("hello", capability="text-to-audio")
    with pytest.raises(InvalidRequestError, match="cannot be sent as JSON"):
        await lab.get_model("small").transform("q", seed=object())
    together = await registry.get_provider("together")
    with pytest.raises(ProviderCreationError, match="TOGETHER_API_KEY"):
        await together.configure()
    assert not await together.is_available()


LISTS = {
    "/api/v1/providers": {
        "providers": {"lab": {"name": "Lab", "available": True, "models": []}},
        "status": {},
    },
    "/v1/models": {"data": []},
    "/api/v1/capabilities": {"data": {"capabilities": []}},
}


@pytest.mark.parametrize(
    ("frame", "kind", "said"),
    [
        (b'event: text\ndata: {"text": "a"}\n\n', ConnectionError, "in the middle of its reply"),
        (
            b'event: failed\ndata: {"error": "it broke", "code": "overloaded"}\n\n',
            ServiceUnavailableError,
            "it broke",
        ),
    ],
)
async def test_a_reply_that_breaks_off_is_no_result(
    scripted: ScriptedGateway, frame: bytes, kind: type[TektonLLMError], said: str
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path in LISTS:
            return web.json_response(LISTS[request.path])
        return web.Response(body=frame, content_type="text/event-stream")

    scripted.then(answer)
    async with ProviderRegistry(scripted.url) as registry:
        lab = await registry.get_provider("lab")
        with pytest.raises(kind, match=said):
            await lab.get_model("m").transform("q")
