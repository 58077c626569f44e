"""Pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import Code
from rhetor.core.events import Event, Failed, Finished, FinishReason, RefusalDelta, UsageReport
from rhetor.core.media import Bytes, Draw
from rhetor.core.usage import Usage
from rhetor.wire.base import PLAIN, Outgoing
from rhetor.wire.gemini.pictures import MOST, Pictures
from tests.wire.gemini.speaking import media_of, request_of, told, usage

BANANA, IMAGEN = "gemini-3-pro-image", "imagen-4.0-generate-001"
CAT = Draw(prompt="a cat")
FULL = Draw(
    prompt="a cat",
    count=2,
    size=(1920, 1080),
    seed=7,
    negative_prompt="dogs",
    guidance=5.0,
    format="image/jpeg",
    quality="high",
    extra={"sharpness": 3},
)


def asked(draw: Draw, model: str = BANANA) -> tuple[Any, Outgoing]:
    outgoing = Pictures().build(request_of(draw, Capability.TEXT_TO_IMAGE), model, PLAIN)
    return orjson.loads(outgoing.body), outgoing


def shown(draw: Draw, *replies: object, model: str = BANANA) -> list[Event]:
    decoder = Pictures().decoder(False, asked(draw, model)[1])
    return told(decoder, *(orjson.dumps(it) for it in replies))


def picture(*parts: object, reason: str = "STOP", **said: object) -> dict[str, object]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason}], **said}


JPEG = {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/4Q=="}}


def test_a_picture_is_part_of_a_content() -> None:
    body, outgoing = asked(CAT)
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
        "generationConfig": {"responseModalities": ["IMAGE"]},
    }
    assert outgoing.path == f"/models/{BANANA}:generateContent"


def test_what_it_should_look_like() -> None:
    body, outgoing = asked(FULL)
    assert body["generationConfig"] == {
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
        "seed": 7,
    }
    assert outgoing.dropped == ("quality", "extra.sharpness", "negative_prompt", "guidance", "format")


@pytest.mark.parametrize(
    ("size", "ratio", "word"),
    [((1024, 1024), "1:1", "1K"), ((768, 1365), "9:16", "1K"), ((4096, 3072), "4:3", "4K")],
)
def test_sizes_become_the_nearest_ratio(size: tuple[int, int], ratio: str, word: str) -> None:
    wanted = asked(replace(CAT, size=size))[0]["generationConfig"]["imageConfig"]
    assert wanted == {"aspectRatio": ratio, "imageSize": word}
    older = asked(replace(CAT, size=size), "gemini-2.5-flash-image")[0]["generationConfig"]["imageConfig"]
    assert older == {"aspectRatio": ratio}


def test_pictures_of_other_pictures() -> None:
    body, _ = asked(replace(CAT, images=(Bytes("image/png", b"\x89PNG"),), aspect_ratio="3:2"))
    assert body["contents"][0]["parts"][1] == {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
    assert body["generationConfig"]["imageConfig"] == {"aspectRatio": "3:2"}


def test_several_pictures_are_several_calls() -> None:
    thought = {"thought": True, **JPEG}
    first = picture(thought, JPEG, {"text": "There."}, **usage(10, 1392), responseId="a")
    events = shown(replace(CAT, count=2), first, picture(JPEG, **usage(10, 1392)))
    assert [(it.media_type, it.base64) for it in media_of(events)] == [("image/jpeg", "/9j/4Q==")] * 2
    assert events[-2:] == [UsageReport(Usage(20, 2784, images=2)), Finished(FinishReason.STOP)]


def test_nobody_gets_more_than_a_few() -> None:
    _, outgoing = asked(replace(CAT, count=MOST + 1))
    assert outgoing.dropped == (f"count: no more than {MOST}",)


def test_what_may_not_be_drawn_is_refused() -> None:
    said = picture(reason="IMAGE_SAFETY")
    said["candidates"][0]["finishMessage"] = "Unable to show this."  # type: ignore[index]
    events = shown(CAT, said)
    assert events[1:] == [RefusalDelta("Unable to show this."), Finished(FinishReason.REFUSAL)]


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        (picture(reason="NO_IMAGE", **usage(9)), Code.PROTOCOL, "no picture in it"),
        (picture({"text": "Which cat?"}), Code.PROTOCOL, "Which cat?"),
        (picture(reason="MALFORMED_RESPONSE"), Code.UPSTREAM_ERROR, "MALFORMED_RESPONSE"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, Code.CONTENT_POLICY, "SAFETY"),
        ({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, Code.RATE_LIMITED, "429"),
    ],
)
def test_no_picture_is_no_success(said: object, code: Code, text: str) -> None:
    *_, last = shown(CAT, said)
    assert isinstance(last, Failed)
    assert last.error.code is code
    assert text in last.error.message


def test_imagen_makes_predictions() -> None:
    body, outgoing = asked(FULL, IMAGEN)
    assert body == {
        "instances": [{"prompt": "a cat"}],
        "parameters": {
            "sampleCount": 2,
            "aspectRatio": "16:9",
            "negativePrompt": "dogs",
            "guidanceScale": 5.0,
            "seed": 7,
            "outputOptions": {"mimeType": "image/jpeg"},
            "addWatermark": False,
        },
    }
    assert outgoing.path == f"/models/{IMAGEN}:predict"
    said = {"mimeType": "image/png", "bytesBase64Encoded": "iVBORw==", "prompt": "one cat"}
    events = shown(FULL, {"predictions": [said, {"raiFilteredReason": "58061214"}]}, model=IMAGEN)
    [medium] = media_of(events)
    assert (medium.base64, medium.prompt) == ("iVBORw==", "one cat")
    assert events[-2:] == [UsageReport(Usage(images=1)), Finished(FinishReason.STOP)]


def test_imagen_says_why_there_is_none() -> None:
    *_, last = shown(CAT, {"predictions": [{"raiFilteredReason": "violence"}]}, model=IMAGEN)
    assert isinstance(last, Failed)
    assert last.error.code is Code.CONTENT_POLICY
    assert "violence" in last.error.message
    _, outgoing = asked(replace(CAT, images=(Bytes("image/png", b"\x89PNG"),)), IMAGEN)
    assert outgoing.dropped == ("images: the model draws from words alone",)
