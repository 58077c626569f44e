"""Our own language for anything: what requests become, and how results are told."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Image, Inline, Text, Url
from rhetor.core.errors import BadRequest, RhetorError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    MediumDelta,
    MediumLink,
    MediumStarted,
    Progress,
    Ranked,
    Spoken,
    Started,
    TextDelta,
    Timed,
    UsageReport,
    Vector,
)
from rhetor.core.media import Bytes, Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Message, Request, ResponseFormat, Role
from rhetor.core.usage import Usage
from rhetor.wire.base import ReplyInfo
from rhetor.wire.generate import GENERATE, GENERATE_DOOR
from rhetor.wire.generate.asking import LOOK, read_generate
from rhetor.wire.generate.conduit import CONDUIT, asked_for, capabilities
from rhetor.wire.generate.inputs import LOOKED_AT, Found, Reference, references
from rhetor.wire.generate.options import snake

URL = "https://files.example/cat.png"
DATA = b64encode(b"cat").decode()
ASSET = "asset_" + "0" * 24


def asked(capability: str, input: Any, options: Any = None, **more: Any) -> Request:
    said = {"capability": capability, "input": input, "options": options, **more}
    return GENERATE_DOOR.parse(orjson.dumps(said), {})


def says(*parts: Any) -> Chat:
    return Chat(messages=(Message(Role.USER, parts),))


MEANT: list[tuple[str, Any, Any, Any]] = [
    ("text-to-text", "hi", None, says(Text("hi"))),
    ("text-to-text", {"text": "hi", "image": URL}, None, says(Text("hi"), Image(Url(URL)))),
    ("text-to-text", {"prompt": "hi", "system": "be brief"}, None, Chat(
        messages=(Message(Role.SYSTEM, (Text("be brief"),)), Message(Role.USER, (Text("hi"),))))),
    ("text-to-text", "hi", {"topK": 4, "stop": "x", "responseFormat": {"type": "text"}}, Chat(
        messages=says(Text("hi")).messages, top_k=4, stop=("x",), response_format=ResponseFormat("text"))),
    ("image-to-text", URL, None, says(Text(LOOK), Image(Url(URL)))),
    ("image-to-text", {"image": {"base64": DATA, "media_type": "image/png"}, "prompt": "what?"}, None,
     says(Text("what?"), Image(Inline("image/png", DATA)))),
    ("image-to-text", f"data:image/png;base64,{DATA}", None,
     says(Text(LOOK), Image(Inline("image/png", DATA)))),
    ("embeddings", ["a", "b"], {"dimensions": 3}, Embed(inputs=("a", "b"), dimensions=3)),
    ("embeddings", {"texts": ["a"]}, None, Embed(inputs=("a",))),
    ("embeddings", "a", None, Embed(inputs=("a",))),
    ("text-to-image", {"prompt": "a cat"}, {"size": "64x32", "n": 2, "outputFormat": "webp", "spice": 1},
     Draw(prompt="a cat", size=(64, 32), count=2, format="image/webp", extra={"spice": 1})),
    ("text-to-image", "a cat", {"width": 64, "height": 32, "guidanceScale": 3.5, "num_inference_steps": 4},
     Draw(prompt="a cat", size=(64, 32), guidance=3.5, steps=4)),
    ("text-to-image", "a cat", {"size": [8, 9]}, Draw(prompt="a cat", size=(8, 9))),
    ("text-to-image", "a cat", {"size": "auto", "seed": None}, Draw(prompt="a cat")),
    ("image-to-image", {"prompt": "blue", "images": [URL, {"url": URL}], "mask": URL}, None,
     Draw(prompt="blue", images=(Url(URL), Url(URL)), mask=Url(URL))),
    ("text-to-audio", "hello", {"voice": "alloy", "format": "audio/mpeg", "speed": 1.5, "stability": 1},
     Speak(text="hello", voice="alloy", format="mp3", speed=1.5, extra={"stability": 1})),
    ("audio-to-text", {"audio": URL, "prompt": "names"}, {"language": "en", "diarize": True},
     Transcribe(audio=Url(URL), prompt="names", language="en", speakers=True)),
    ("rerank", {"query": "cat", "documents": ["a", {"text": "b"}]}, {"topN": 1},
     Rank(query="cat", documents=("a", "b"), most=1)),
    ("text-to-video", "a cat runs", {"duration": 5, "aspectRatio": "16:9", "fps": 24},
     Make(prompt="a cat runs", seconds=5, aspect_ratio="16:9", extra={"fps": 24})),
    ("image-to-video", {"image": URL, "prompt": "run"}, None, Make(prompt="run", sources=(Url(URL),))),
    ("video-to-audio", URL, {"format": "wav"}, Make(sources=(Url(URL),), format="audio/wav")),
]  # fmt: skip


@pytest.mark.parametrize(("capability", "input", "options", "meant"), MEANT)
@pytest.mark.promise("M21")
def test_every_capability_has_its_request(capability: str, input: Any, options: Any, meant: Any) -> None:
    request = asked(capability, input, options)
    assert (request.capability, request.input, request.unsaid) == (Capability(capability), meant, ())


def test_every_capability_has_a_door() -> None:
    assert set(GENERATE.doors) == set(Capability)
    told = {each["id"] for each in capabilities()}
    assert told == set(Capability) - {"embeddings", "count-tokens", "rerank"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [("topK", "top_k"), ("maxOutputTokens", "max_output_tokens"), ("top_p", "top_p"), ("Seed", "seed"),
     ("negative-prompt", "negative_prompt")],
)  # fmt: skip
def test_options_are_written_as_one_likes(said: str, expected: str) -> None:
    assert snake(said) == expected


def test_who_shall_answer() -> None:
    request = asked(
        "text-to-image", "x", provider="lab", model="brush", fallbacks=["a/b"], component="ergon", task="art",
        requirements={"prefer": "cost"}, timeout_s=5, detach_s=60, parents=["gen_1"], stream=True,
    )  # fmt: skip
    assert (request.model, request.fallbacks, request.component, request.task) == (
        "lab/brush", ("a/b",), "ergon", "art",
    )  # fmt: skip
    assert request.wanted is not None
    assert (request.wanted.prefer, request.timeout_s, request.detach_s) == ("cost", 5, 60)
    assert (request.parents, request.stream) == (("gen_1",), True)
    assert asked("text-to-image", "x", provider="lab", model="lab/brush").model == "lab/brush"
    assert asked("text-to-image", "x", provider="lab").model == "lab/"
    assert asked("text-to-image", "x").model == ""


def test_what_nobody_has_a_use_for_is_named() -> None:
    request = asked("text-to-text", {"text": "x", "mask": URL, "mood": 1}, {"spice": 1}, colour="red")
    assert request.unsaid == ("colour", "options.spice", "input.mask", "input.mood")


def test_references_are_found_and_followed() -> None:
    said = {
        "capability": "image-to-image",
        "input": {"prompt": {"generation": "gen_1"}, "images": [f"/v1/assets/{ASSET}", {"asset": "asset_x"}]},
    }
    found = {
        Reference("generation", "gen_1"): Found(generation="gen_1", text="make it blue"),
        Reference("asset", ASSET): Found(generation="gen_2", medium=Bytes("image/png", b"a")),
        Reference("asset", "asset_x"): Found(medium=Bytes("image/png", b"b")),
    }
    assert {reference for reference, _ in references(said)} == set(found)
    request = read_generate(said, b"{}", found)
    assert request.input == Draw(
        prompt="make it blue", images=(Bytes("image/png", b"a"), Bytes("image/png", b"b"))
    )
    assert request.parents == ("gen_1", "gen_2")
    assert request.recalled_bytes == 2


def test_what_refers_to_something_is_not_looked_for_without_end() -> None:
    """Each look costs a microsecond: the millions that fit into a body would hold up everybody."""
    wide: Any = [["a"] * LOOKED_AT] * LOOKED_AT
    assert references({"input": {"documents": wide, "image": {"asset": ASSET}}}) == []
    early = {"image": {"asset": ASSET}, "documents": ["a"] * LOOKED_AT}
    assert [reference for reference, _ in references({"input": early})] == [Reference("asset", ASSET)]


def test_a_prompt_that_looks_like_a_reference_is_a_prompt() -> None:
    assert references({"input": {"prompt": ASSET}}) == []
    assert asked("text-to-text", {"prompt": ASSET}).input == says(Text(ASSET))


@pytest.mark.parametrize(
    ("capability", "input", "found", "param"),
    [
        ("image-to-text", {"generation": "gen_1"}, Found(text="words"), "input"),
        ("text-to-image", {"asset": ASSET}, Found(medium=Bytes("image/png", b"a")), "input"),
    ],
)
def test_what_a_reference_leads_to_must_fit(capability: str, input: Any, found: Found, param: str) -> None:
    said = {"capability": capability, "input": input}
    ((reference, _),) = references(said)
    with pytest.raises(BadRequest) as caught:
        read_generate(said, b"{}", {reference: found})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input": [1]}, "input[0]"),
        ({"input": {"images": ["ftp://x"]}}, "input.images[0]"),
        ({"input": {"images": [URL] * 65}}, "input"),
        ({"options": {"n": 0}}, "options.n"),
        ({"options": {"size": "0x9"}}, "options.size"),
        ({"options": []}, "options"),
        ({"parents": ["x" * 101]}, "parents[0]"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"capability": "embeddings", "input": []}, "input"),
        ({"capability": "audio-to-text", "input": {"audio": [URL, URL]}}, "input.audio"),
        ({"capability": "text-to-text", "input": "x", "options": {"responseFormat": "xml"}},
         "options.responseFormat"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(changes: dict[str, Any], param: str) -> None:
    body = {"capability": "image-to-image", "input": URL, **changes}
    with pytest.raises(BadRequest) as caught:
        GENERATE_DOOR.parse(orjson.dumps(body), {})
    assert caught.value.param == param


# Replies.

META = {"served_by": "lab/brush", "cost_micros": 7, "generation_id": "gen_1"}


def info(**meta: Any) -> ReplyInfo:
    return ReplyInfo("gen_1", 0, "fast", meta={**META, **meta})


def told(request: Request, *events: Event, **meta: Any) -> Any:
    renderer = GENERATE_DOOR.renderer(request, info(**meta))
    return orjson.loads(renderer.render([Started("x", "y"), *events, Finished(FinishReason.STOP)]))


def test_a_text_is_told_whole() -> None:
    said = told(asked("text-to-text", "x"), TextDelta("a "), TextDelta("cat"), UsageReport(Usage(3, 2)))
    assert said == {
        "id": "gen_1",
        "object": "generation",
        "capability": "text-to-text",
        "model": "brush",
        "provider": "lab",
        "text": "a cat",
        "finish_reason": "stop",
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
        "cost_micros": 7,
        "meta": META,
    }


def test_what_else_may_come_of_it() -> None:
    ranking = asked("rerank", {"query": "cat", "documents": ["a", "b"]})
    assert told(ranking, Ranked(1, 0.9), Ranked(0, 0.1))["ranked"] == [
        {"index": 1, "score": 0.9, "document": "b"},
        {"index": 0, "score": 0.1, "document": "a"},
    ]
    vectors = told(asked("embeddings", ["a", "b"]), Vector(1, [2.0]), Vector(0, [1.0]))["embeddings"]
    assert vectors == [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [2.0]}]
    heard = told(
        asked("audio-to-text", URL), TextDelta("hi"), Timed("word", "hi", 0.0, 0.5, "A"), Spoken("en", 0.5)
    )
    assert heard["words"] == [{"text": "hi", "start_s": 0.0, "end_s": 0.5, "speaker": "A"}]
    assert (heard["language"], heard["duration_s"]) == ("en", 0.5)


def test_media_are_told_with_what_is_known_of_them() -> None:
    made = [{"index": 0, "id": "asset_1", "url": "/v1/assets/asset_1", "bytes": 3, "media_type": "image/png"}]
    drawing = asked("text-to-image", "x")
    said = told(
        drawing,
        MediumLink(0, "/v1/assets/asset_1", "image/png", "a red fox"),
        MediumStarted(1, "image/png"),
        MediumDelta(1, b"cat"),
        MediumLink(2, URL),
        assets=made,
        generation={"id": "gen_1"},
    )
    assert said["assets"] == [
        {**{k: v for k, v in made[0].items() if k != "index"}, "revised_prompt": "a red fox"},
        {"id": None, "media_type": "image/png", "base64": DATA},
        {"id": None, "url": URL, "media_type": None},
    ]
    assert said["usage"]["images"] == 3
    assert (said["generation"], "generation" in said["meta"]) == ({"id": "gen_1"}, False)


def test_a_stream_has_an_event_for_everything() -> None:
    request = asked("text-to-image", "x", stream=True)
    renderer = GENERATE_DOOR.renderer(request, info())
    out = renderer.render([Progress(None, "queued")]) + renderer.render(
        [Started("x", "y"), TextDelta("hm"), MediumStarted(0, "image/png"), MediumDelta(0, b"cat")]
    )
    out += renderer.render([Finished(FinishReason.STOP)])
    frames = [frame.split(b"\n") for frame in out.strip().split(b"\n\n")]
    names = [frame[0].removeprefix(b"event: ").decode() for frame in frames]
    assert names == ["started", "progress", "text", "asset", "usage", "finished"]
    said = [orjson.loads(frame[1].removeprefix(b"data: ")) for frame in frames]
    assert said[1] == {"fraction": None, "note": "queued"}
    assert said[3]["base64"] == DATA
    assert "base64" not in said[5]["assets"][0]
    assert "text" not in said[5]


def test_a_failure_is_told_as_everywhere() -> None:
    error = RhetorError("no foxes")
    renderer = GENERATE_DOOR.renderer(asked("text-to-image", "x", stream=True), info())
    frame = renderer.render([Failed(error)])
    assert frame.startswith(b"event: failed\n")
    assert orjson.loads(frame.split(b"data: ")[1]) == orjson.loads(GENERATE.render_error(error, "gen_1"))
    with pytest.raises(RhetorError):
        told(asked("text-to-image", "x"), Failed(error))


# MediaConduit.


def test_mediaconduits_bodies_are_ours_in_other_words() -> None:
    said = asked_for({"capability": "text-to-image", "input": {"content": "a fox"}}, "lab", "a/brush")
    assert said == {"capability": "text-to-image", "input": "a fox", "model": "lab/a/brush", "options": None}
    assert asked_for({"capability": "x", "input": [{"content": "a"}]}, "l", "b")["input"] == "a"
    error = orjson.loads(CONDUIT.render_error(RhetorError("no"), "req_1"))
    assert error == {"success": False, "error": "no", "code": "internal_error", "requestId": "req_1"}
