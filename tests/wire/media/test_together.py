"""Together AI: pictures by width and height, speech in its own formats."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Inline, Url
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Medium
from rhetor.core.media import Draw, Speak
from rhetor.testing import fails
from tests.wire.media.calling import KEY, ROWS, ask, said, sound

pytestmark = pytest.mark.usefixtures("no_leaks")

FLUX = "black-forest-labs/FLUX.1-schnell"
# After the vendor's SDK for Python 3.1.1, ImageFile and ImageDataB64 (read 2026-11-21).
PICTURE = b"""{"id": "oFqC-1", "model": "black-forest-labs/FLUX.1-schnell", "object": "list",
 "data": [{"index": 0, "b64_json": "/9j/4AAQ", "type": "b64_json"}]}"""


@pytest.mark.parametrize(
    ("asked", "body", "dropped"),
    [
        ({}, {}, ()),
        (
            {
                "size": (1024, 768),
                "count": 2,
                "steps": 4,
                "seed": 7,
                "guidance": 3.5,
                "negative_prompt": "fog",
            },
            {"width": 1024, "height": 768, "n": 2, "steps": 4, "seed": 7, "guidance_scale": 3.5}
            | {"negative_prompt": "fog"},
            (),
        ),
        ({"format": "image/png"}, {"output_format": "png"}, ()),
        ({"format": "image/webp"}, {}, ("format: as the model likes",)),
        (
            {"quality": "high", "aspect_ratio": "1:1", "extra": {"disable_safety_checker": True, "mood": 1}},
            {"disable_safety_checker": True},
            ("mood", "aspect_ratio", "quality"),
        ),
        ({"images": (Url("https://x.example/a.png"),)}, {"image_url": "https://x.example/a.png"}, ()),
        (
            {"images": (Inline("image/png", "AAAA"), Inline("image/png", "BBBB"))},
            {"reference_images": ["data:image/png;base64,AAAA", "data:image/png;base64,BBBB"]},
            (),
        ),
    ],
)
async def test_pictures(asked: dict[str, Any], body: dict[str, Any], dropped: tuple[str, ...]) -> None:
    heard = await ask("together", FLUX, Draw(prompt="a cat", **asked), said(PICTURE))
    assert heard.seen.path == "/images/generations"
    assert heard.seen.headers["authorization"] == f"Bearer {KEY}"
    usual = {"model": FLUX, "prompt": "a cat", "n": 1, "response_format": "base64"}
    assert heard.seen.json == {**usual, **body}
    assert heard.dropped == dropped
    medium = heard.folded.media[0]
    assert isinstance(medium, Medium)
    assert (medium.media_type, medium.base64) == ("image/jpeg", "/9j/4AAQ")


@pytest.mark.parametrize(
    ("model", "asked", "body", "type", "dropped"),
    [
        ("hexgrad/Kokoro-82M", {}, {"voice": "af_alloy", "response_format": "mp3"}, "audio/mpeg", ()),
        (
            "cartesia/sonic",
            {"format": "pcm", "sample_rate": 16000, "voice": "laura", "language": "de"},
            {
                "voice": "laura",
                "response_format": "raw",
                "response_encoding": "pcm_s16le",
                "sample_rate": 16000,
            }
            | {"language": "de"},
            "audio/pcm",
            (),
        ),
        (
            "someone/else",
            {"format": "opus", "speed": 2.0, "extra": {"bit_rate": 64000}},
            {"response_format": "mp3", "bit_rate": 64000},
            "audio/mpeg",
            ("speed", "format: mp3 instead"),
        ),
    ],
)
async def test_speech(
    model: str, asked: dict[str, Any], body: dict[str, Any], type: str, dropped: tuple[str, ...]
) -> None:
    reply = sound(b"a", b"b", content_type="application/octet-stream")
    heard = await ask("together", model, Speak(text="Hi", **asked), reply)
    assert heard.seen.path == "/audio/speech"
    assert heard.seen.json == {"model": model, "input": "Hi", **body}
    assert heard.dropped == dropped
    medium = heard.folded.media[0]
    assert isinstance(medium, Medium)
    assert (medium.media_type, medium.data) == (type, b"ab")


async def test_a_refusal() -> None:
    body = b'{"error": {"message": "Unable to access model", "type": "invalid_request_error", "code": null}}'
    with pytest.raises(RhetorError, match="Unable to access model") as refused:
        await ask("together", FLUX, Draw(prompt="a cat"), fails(404, body=body))
    assert refused.value.code is Code.MODEL_NOT_FOUND


def test_the_rest_is_openais() -> None:
    row = ROWS["together"]
    assert row.wire == "openai"
    assert Capability.AUDIO_TO_TEXT in row.capabilities
    assert Capability.AUDIO_TO_TEXT not in row.wires
