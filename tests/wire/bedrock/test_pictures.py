"""Pictures of Amazon's and of Stability's models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Failed, Finished, FinishReason, UsageReport
from rhetor.core.media import Bytes, Draw
from rhetor.core.usage import Usage
from rhetor.wire.base import PLAIN, Outgoing
from rhetor.wire.bedrock.pictures import AT_ONCE, MOST, Pictures
from tests.wire.bedrock.speaking import media_of, request_of, told

NOVA, STABLE = "amazon.nova-canvas-v1:0", "stability.sd3-5-large-v1:0"
PNG = Bytes("image/png", b"\x89PNG")
CAT = Draw(prompt="a cat")
FULL = Draw(
    prompt="a cat",
    count=2,
    size=(1024, 768),
    seed=7,
    negative_prompt="dogs",
    guidance=5.0,
    format="image/jpeg",
    quality="hd",
    aspect_ratio="4:3",
    extra={"sharpness": 3},
)


def asked(draw: Draw, model: str) -> tuple[Any, Outgoing]:
    outgoing = Pictures().build(request_of(draw, Capability.TEXT_TO_IMAGE), model, PLAIN)
    return orjson.loads(outgoing.body), outgoing


def test_amazons_models_draw_several_at_once() -> None:
    body, outgoing = asked(FULL, NOVA)
    assert body == {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "a cat", "negativeText": "dogs"},
        "imageGenerationConfig": {
            "width": 1024,
            "height": 768,
            "quality": "premium",
            "cfgScale": 5.0,
            "seed": 7,
            "numberOfImages": 2,
        },
    }
    assert outgoing.path == "/model/amazon.nova-canvas-v1%3A0/invoke"
    assert outgoing.dropped == ("extra.sharpness", "aspect_ratio", "format")
    events = told(Pictures().decoder(False, outgoing), b'{"images":["iVBORw==","iVBORw=="]}')
    assert [(it.media_type, it.data) for it in media_of(events)] == [("image/png", b"\x89PNG")] * 2
    assert events[-2:] == [UsageReport(Usage(images=2)), Finished(FinishReason.STOP)]


def test_more_than_it_draws_at_once_is_asked_for_next() -> None:
    body, outgoing = asked(replace(CAT, count=AT_ONCE + 2), NOVA)
    assert body["imageGenerationConfig"]["numberOfImages"] == AT_ONCE
    decoder = Pictures().decoder(False, outgoing)
    decoder.feed(orjson.dumps({"images": ["iVBORw=="] * AT_ONCE}))
    follow = decoder.close().follow
    assert follow is not None
    assert follow.body is not None
    assert orjson.loads(follow.body)["imageGenerationConfig"]["numberOfImages"] == 2
    assert asked(replace(CAT, count=MOST + 1), NOVA)[1].dropped == (f"count: no more than {MOST}",)


@pytest.mark.parametrize(
    ("draw", "task"),
    [
        (
            replace(CAT, images=(PNG, PNG)),
            {
                "taskType": "IMAGE_VARIATION",
                "imageVariationParams": {"text": "a cat", "images": ["iVBORw==", "iVBORw=="]},
            },
        ),
        (
            replace(CAT, images=(PNG,), mask=PNG),
            {
                "taskType": "INPAINTING",
                "inPaintingParams": {"text": "a cat", "image": "iVBORw==", "maskImage": "iVBORw=="},
            },
        ),
    ],
)
def test_pictures_of_other_pictures(draw: Draw, task: Any) -> None:
    body, _ = asked(draw, NOVA)
    del body["imageGenerationConfig"]
    assert body == task


def test_stabilitys_models_draw_one_at_a_time() -> None:
    """Each with a seed of its own, or they were all the same."""
    body, outgoing = asked(FULL, STABLE)
    assert body == {
        "prompt": "a cat",
        "mode": "text-to-image",
        "aspect_ratio": "4:3",
        "negative_prompt": "dogs",
        "output_format": "jpeg",
        "seed": 7,
    }
    assert outgoing.dropped == ("extra.sharpness", "size", "quality", "guidance")
    said = b'{"seeds":[7],"finish_reasons":[null],"images":["/9j/4Q=="]}'
    events = told(Pictures().decoder(False, outgoing), said, said)
    assert [it.media_type for it in media_of(events)] == ["image/jpeg"] * 2
    body, outgoing = asked(replace(CAT, images=(PNG, PNG)), STABLE)
    assert (body["mode"], body["image"], body["strength"]) == ("image-to-image", "iVBORw==", 0.7)
    assert outgoing.dropped == ("images[1]",)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b'{"images":null,"finish_reasons":["Filter reason: prompt"]}', Code.CONTENT_POLICY),
        (b'{"images":[],"error":"All of the generated images have been blocked"}', Code.CONTENT_POLICY),
        (b"{}", Code.PROTOCOL),
        (b'{"__type":"ThrottlingException"}', Code.RATE_LIMITED),
    ],
)
def test_no_picture_is_no_success(said: bytes, code: Code) -> None:
    *_, last = told(Pictures().decoder(False, asked(CAT, STABLE)[1]), said)
    assert isinstance(last, Failed)
    assert last.error.code is code


def test_pictures_are_bytes() -> None:
    with pytest.raises(BadRequest) as caught:
        asked(replace(CAT, images=(Url("https://x.example/a.png"),)), NOVA)
    assert caught.value.param == "images[0]"
