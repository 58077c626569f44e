"""Generating anything over HTTP: every capability through one call, and what results were made of."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from rhetor.testing import Upstream, fails, raw_frames, says
from tests.conftest import Gateway, MakeGateway
from tests.http.media.studio import CHAT, IMAGES, PNG, SPEECH, fetched, picture, plays, sse, studio


@pytest.fixture
async def upstream(no_leaks: None) -> AsyncIterator[Upstream]:
    async with Upstream(anything=True) as server:
        server.always(plays({IMAGES: picture(), CHAT: says("a red fox in snow")}))
        yield server


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    return await make_gateway(studio(upstream))


async def generate(gateway: Gateway, capability: str, input: Any, **more: Any) -> Any:
    status, said = await gateway.post("/v1/generate", {"capability": capability, "input": input, **more})
    assert status == 200, said
    return said


@pytest.mark.promise("M05", "M09")
async def test_a_text(gateway: Gateway, upstream: Upstream) -> None:
    options = {
        "temperature": 0.5,
        "topP": 0.9,
        "maxOutputTokens": 7,
        "seed": 3,
        "responseFormat": "json",
        "x": 1,
    }
    said = await generate(gateway, "text-to-text", "say something", model="lab/small", options=options)
    assert (said["object"], said["text"]) == ("generation", "a red fox in snow")
    assert (said["provider"], said["model"]) == ("lab", "small")
    assert said["usage"] == {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
    assert said["meta"]["dropped"] == ["options.x"]
    sent = orjson.loads(upstream.requests[0].body)
    assert (sent["temperature"], sent["top_p"], sent["seed"]) == (0.5, 0.9, 3)
    assert sent["max_completion_tokens"] == 7
    assert sent["response_format"] == {"type": "json_object"}


async def test_a_picture_is_kept_as_an_asset(gateway: Gateway, upstream: Upstream) -> None:
    said = await generate(
        gateway, "text-to-image", {"prompt": "a fox"}, options={"size": "64x64", "spice": 2}
    )
    (asset,) = said["assets"]
    assert (asset["media_type"], asset["bytes"]) == ("image/png", len(PNG))
    assert "base64" not in asset
    status, content, headers = await fetched(gateway, asset["url"])
    assert (status, content, headers["content-type"]) == (200, PNG, "image/png")
    assert headers["x-rhetor-generation-id"] == said["id"]
    assert said["model"] == "brush"
    sent = orjson.loads(upstream.requests[0].body)
    assert (sent["prompt"], sent["size"]) == ("a fox", "64x64")


async def test_small_media_come_in_the_reply_where_that_is_wanted(gateway: Gateway) -> None:
    said = await generate(gateway, "text-to-image", "a fox", result="inline")
    (asset,) = said["assets"]
    assert b64decode(asset["base64"]) == PNG
    assert (await fetched(gateway, asset["url"]))[1] == PNG


async def test_speech_and_embeddings(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(plays({SPEECH: raw_frames([b"ID3abc", b"def"], content_type="audio/mpeg")}))
    said = await generate(gateway, "text-to-audio", "hello", options={"voice": "alloy"})
    assert (await fetched(gateway, said["assets"][0]["url"]))[1] == b"ID3abcdef"
    assert said["assets"][0]["media_type"] == "audio/mpeg"


async def test_embeddings(gateway: Gateway, upstream: Upstream) -> None:
    said = await generate(gateway, "embeddings", ["one", "two"], model="oai/m")
    assert [each["index"] for each in said["embeddings"]] == [0, 1]
    assert said["usage"]["input_tokens"] == 11


@pytest.mark.promise("M06", "M07")
async def test_a_chain_is_traced(gateway: Gateway, upstream: Upstream) -> None:
    """Words become a picture, and the picture becomes words: all of it is found from its end."""
    idea = await generate(gateway, "text-to-text", "think of an animal", model="lab/small")
    image = await generate(gateway, "text-to-image", {"generation": idea["id"]}, options={"quality": "low"})
    assert orjson.loads(upstream.requests[1].body)["prompt"] == "a red fox in snow"
    picture = {"asset": image["assets"][0]["id"]}
    caption = await generate(
        gateway, "image-to-text", {"image": picture, "prompt": "what is it?"}, model="lab/sees"
    )
    seen = orjson.loads(upstream.requests[2].body)["messages"][0]["content"][1]["image_url"]["url"]
    assert seen == f"data:image/png;base64,{b64encode(PNG).decode()}"

    assert image["generation"]["parents"] == [idea["id"]]
    assert caption["generation"] == {
        "id": caption["id"],
        "capability": "image-to-text",
        "model": "sees",
        "provider": "lab",
        "input": {"image": picture, "prompt": "what is it?"},
        "options": {},
        "time": caption["generation"]["time"],
        "parents": [image["id"]],
    }
    (source,) = caption["generation_prompt"]["input"]["sources"]
    prompt = source["metadata"]["generation_prompt"]
    assert (prompt["transformationType"], prompt["modelId"], prompt["provider"]) == (
        "text-to-image",
        "brush",
        "lab",
    )
    assert prompt["options"] == {"quality": "low"}
    deepest = prompt["input"]["sources"][0]["metadata"]["generation_prompt"]
    assert deepest["input"] == "think of an animal"

    status, traced = await gateway.get(f"/v1/generations/{caption['id']}/lineage")
    assert status == 200
    assert traced["complete"] is True
    assert [each["id"] for each in traced["generations"]] == [idea["id"], image["id"], caption["id"]]
    assert [(s["step"], s["asset_type"], s["model"]) for s in traced["generation_chain"]] == [
        (1, "text", "small"),
        (2, "image", "brush"),
        (3, "text", "sees"),
    ]
    assert traced["generation_chain"][0]["content"] == "a red fox in snow"
    near = (await gateway.get(f"/v1/generations/{caption['id']}/lineage?depth=1"))[1]
    assert ([each["id"] for each in near["generations"]], near["complete"]) == (
        [image["id"], caption["id"]],
        False,
    )


async def test_an_uploaded_picture_is_looked_at(gateway: Gateway, upstream: Upstream) -> None:
    async with gateway.session.post(
        f"{gateway.url}/v1/assets?name=fox.png", data=PNG, headers={"content-type": "image/png"}
    ) as reply:
        asset = await reply.json()
        assert reply.status == 201
    said = await generate(gateway, "image-to-text", asset["id"], model="lab/sees")
    assert said["text"] == "a red fox in snow"
    assert said["generation"]["parents"] == []


async def test_a_stream_tells_what_happens(gateway: Gateway) -> None:
    body = {"capability": "text-to-image", "input": "a fox", "stream": True}
    async with gateway.session.post(f"{gateway.url}/v1/generate", json=body) as reply:
        assert reply.content_type == "text/event-stream"
        told = await sse(reply)
    assert [name for name, _ in told] == ["started", "asset", "usage", "finished"]
    finished = told[-1][1]
    assert finished["assets"][0] == told[1][1]
    assert (await fetched(gateway, finished["assets"][0]["url"]))[1] == PNG


async def test_a_text_is_streamed_word_by_word(gateway: Gateway) -> None:
    body = {"capability": "text-to-text", "input": "hi", "model": "lab/small", "stream": True}
    async with gateway.session.post(f"{gateway.url}/v1/generate", json=body) as reply:
        told = await sse(reply)
    assert "".join(said["text"] for name, said in told if name == "text") == "a red fox in snow"
    assert told[-1][0] == "finished"
    assert told[-1][1]["usage"]["total_tokens"] == 18


@pytest.mark.parametrize("stream", [False, True])
async def test_who_cannot_answer_is_told_before_anything_is_written(
    gateway: Gateway, upstream: Upstream, stream: bool
) -> None:
    upstream.always(fails(400, "no foxes here"))
    body = {"capability": "text-to-image", "input": "a fox", "stream": stream}
    status, said = await gateway.post("/v1/generate", body)
    assert status == 400
    assert (said["code"], said["detail"]) == ("invalid_request", said["error"])
    assert "no foxes here" in said["error"]


@pytest.mark.parametrize(
    ("body", "param", "status"),
    [
        ({"input": "x"}, "capability", 400),
        ({"capability": "text-to-smell", "input": "x"}, "capability", 400),
        ({"capability": "text-to-image"}, "input", 400),
        ({"capability": "text-to-image", "input": 7}, "input", 400),
        ({"capability": "text-to-image", "input": {"image": "https://x/y"}}, "input", 400),
        ({"capability": "image-to-text", "input": "a fox"}, "input", 400),
        ({"capability": "image-to-text", "input": {"asset": "asset_0"}}, "input.asset", 404),
        ({"capability": "text-to-image", "input": {"generation": "gen_0"}}, "input.generation", 404),
        ({"capability": "text-to-image", "input": "x", "parents": ["gen_0"]}, "parents[0]", 404),
        ({"capability": "text-to-image", "input": "x", "options": {"size": "big"}}, "options.size", 400),
        ({"capability": "text-to-text", "input": "x", "options": {"topK": "a"}}, "options.topK", 400),
        ({"capability": "text-to-image", "input": "x", "result": "fax"}, "result", 400),
        ({"capability": "rerank", "input": "x"}, "input.documents", 400),
        ({"capability": "image-to-text", "input": "http://10.0.0.1/", "model": "lab/small"}, None, 400),
        ({"capability": "text-to-text", "input": "x", "requirements": {"mood": 1}}, "requirements.mood", 400),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said(
    gateway: Gateway, body: dict[str, Any], param: str | None, status: int
) -> None:
    answered, said = await gateway.post("/v1/generate", body)
    assert (answered, said.get("param")) == (status, param), said
    assert said["error"] == said["detail"]


async def test_others_find_nothing_of_it(make_gateway: MakeGateway, upstream: Upstream) -> None:
    tokens = {"ann": "env:ANN", "bob": "env:BOB"}
    gateway = await make_gateway(
        studio(upstream, server={"tokens": tokens}), {"ANN": "a" * 32, "BOB": "b" * 32}
    )
    ann, bob = ({"headers": {"x-api-key": letter * 32}} for letter in "ab")
    body = {"capability": "text-to-image", "input": "a fox"}
    said = (await gateway.post("/v1/generate", body, **ann))[1]
    url = said["assets"][0]["url"]
    lineage = f"/v1/generations/{said['id']}/lineage"
    assert [(await fetched(gateway, path, **ann))[0] for path in (url, lineage)] == [200, 200]
    assert [(await fetched(gateway, path, **bob))[0] for path in (url, lineage)] == [404, 404]
    assert (await fetched(gateway, url))[0] == 401
    stolen = {"capability": "image-to-text", "input": {"asset": said["assets"][0]["id"]}, "model": "lab/x"}
    assert (await gateway.post("/v1/generate", stolen, **bob))[0] == 404
    assert (await gateway.post("/v1/generate", {**body, "parents": [said["id"]]}, **bob))[0] == 404
    async with gateway.session.delete(gateway.url + url, **bob) as reply:  # type: ignore[arg-type]
        assert reply.status == 404


async def test_nothing_secret_is_noted(gateway: Gateway, upstream: Upstream) -> None:
    url = "https://ann:s3cret@files.example/cat.png?sig=s3cret"
    options = {"webhook_secret": "s3cret", "authorization": "s3cret", "max_tokens": 9}
    said = await generate(gateway, "image-to-text", {"url": url}, model="lab/sees", options=options)
    lineage = (await fetched(gateway, f"/v1/generations/{said['id']}/lineage"))[1]
    assert b"s3cret" not in lineage
    assert said["generation"]["input"] == {"url": "https://files.example/cat.png"}
    assert said["generation"]["options"]["max_tokens"] == 9


async def test_pictures_of_other_doors_are_traced_as_well(gateway: Gateway, upstream: Upstream) -> None:
    url = f"{gateway.url}/v1/images/generations"
    async with gateway.session.post(url, json={"model": "lab/brush", "prompt": "a fox", "n": 1}) as reply:
        assert b64decode((await reply.json())["data"][0]["b64_json"]) == PNG
        id = reply.headers["x-rhetor-generation-id"]
    (noted,) = (await gateway.get(f"/v1/generations/{id}/lineage"))[1]["generations"]
    assert (noted["capability"], noted["provider"], noted["input"]) == (
        "text-to-image",
        "lab",
        {"prompt": "a fox"},
    )


async def test_chats_of_other_doors_have_nothing_to_do_with_the_store(gateway: Gateway) -> None:
    body = {"model": "lab/small", "messages": [{"role": "user", "content": "hi"}]}
    async with gateway.session.post(f"{gateway.url}/v1/chat/completions", json=body) as reply:
        id = reply.headers["x-rhetor-generation-id"]
    assert gateway.app.house.assets._books is None
    assert (await gateway.get(f"/v1/generations/{id}/lineage"))[0] == 404


async def test_who_names_no_model_gets_one_that_satisfies_the_demands(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    given = studio(upstream)
    given["providers"]["lab"] |= {"models": ["brush"], "default_model": "brush", "tags": ["eu"]}
    gateway = await make_gateway(given)
    said = await generate(gateway, "text-to-image", "a fox", requirements={"tags": ["eu"]})
    assert said["meta"]["served_by"] == "lab/brush"
    body = {"capability": "text-to-image", "input": "a fox", "requirements": {"tags": ["us"]}}
    status, said = await gateway.post("/v1/generate", body)
    assert status in (400, 503)
    assert "not tagged us" in said["error"]


async def test_a_stream_that_was_detached_is_found_again(gateway: Gateway) -> None:
    body = {"capability": "text-to-image", "input": "a fox", "stream": True}
    headers = {"x-rhetor-detach": "60"}
    async with gateway.session.post(f"{gateway.url}/v1/generate", json=body, headers=headers) as reply:
        told = await reply.read()
        id = reply.headers["x-rhetor-generation-id"]
    assert told.startswith(b"id: generate:1.1\nevent: started\n")
    async with gateway.session.get(f"{gateway.url}/v1/generations/{id}/events") as reply:
        assert await reply.read() == told
    assert (await gateway.get(f"/v1/jobs/{id}"))[0] == 404  # it is none


async def test_nothing_is_noted_where_that_is_switched_off(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    gateway = await make_gateway(studio(upstream, assets={"lineage": False}))
    said = await generate(gateway, "text-to-image", "a fox")
    assert (said["generation"]["input"], "generation_prompt" in said) == ("a fox", False)
    assert (await gateway.get(f"/v1/generations/{said['id']}/lineage"))[0] == 404
    assert (await fetched(gateway, said["assets"][0]["url"]))[1] == PNG


async def test_nobody_refers_to_everything(gateway: Gateway) -> None:
    many = [{"asset": f"asset_{n}"} for n in range(65)]
    body = {"capability": "image-to-text", "input": {"images": many}}
    status, said = await gateway.post("/v1/generate", body)
    assert (status, said["param"]) == (400, "input")


async def test_what_is_named_twice_is_sent_twice(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """So it counts twice, else one picture becomes sixty in memory."""
    gateway = await make_gateway(studio(upstream, server={"max_body_mb": 1}))
    url, headers = f"{gateway.url}/v1/assets", {"content-type": "image/png"}
    async with gateway.session.post(url, data=bytes(600_000), headers=headers) as reply:
        picture = {"asset": (await reply.json())["id"]}
    for pictures, expected in (([picture], 200), ([picture, picture], 413)):
        body = {"capability": "image-to-text", "input": {"images": pictures}, "model": "lab/small"}
        assert (await gateway.post("/v1/generate", body))[0] == expected


@pytest.mark.parametrize("depth", ["21", "0" * 5_000, "00021", "٣", "-1"])
async def test_a_depth_is_a_small_number(gateway: Gateway, depth: str) -> None:
    status, said = await gateway.get("/v1/generations/gen_x/lineage", params={"depth": depth})
    assert (status, said["param"]) == (400, "depth")
