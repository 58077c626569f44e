"""OpenRouter: pictures, drawn and changed at one place."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.content import Inline
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Medium
from rhetor.core.media import Draw
from rhetor.core.usage import Usage
from rhetor.testing import fails
from tests.wire.media.calling import ask, said

pytestmark = pytest.mark.usefixtures("no_leaks")

MODEL = "bytedance-seed/seedream-4.5"
# After the vendor's SDK for Python 1.3.84, ImageGenerationResponse (read 2026-11-21).
PICTURE = b"""{"created": 1748372400, "data": [{"b64_json": "iVBORw0KGgoAAAA=", "media_type": "image/png"}],
 "usage": {"prompt_tokens": 0, "completion_tokens": 4175, "total_tokens": 4175, "cost": 0.04}}"""


@pytest.mark.parametrize(
    ("asked", "body", "dropped"),
    [
        ({}, {}, ()),
        ({"size": (2048, 1024), "aspect_ratio": "2:1", "count": 2}, {"size": "2048x1024", "n": 2}, ()),
        (
            {
                "aspect_ratio": "16:9",
                "quality": "high",
                "background": "transparent",
                "seed": 1,
                "end_user": "u",
            }
            | {"format": "image/svg+xml", "extra": {"resolution": "2K", "mood": 1}},
            {"aspect_ratio": "16:9", "quality": "high", "background": "transparent", "seed": 1, "user": "u"}
            | {"output_format": "svg", "resolution": "2K"},
            ("mood",),
        ),
        (
            {"images": (Inline("image/png", "AAAA"),), "steps": 3},
            {"input_references": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            ("steps",),
        ),
    ],
)
async def test_pictures(asked: dict[str, Any], body: dict[str, Any], dropped: tuple[str, ...]) -> None:
    heard = await ask("openrouter", MODEL, Draw(prompt="a cat", **asked), said(PICTURE))
    assert heard.seen.path == "/images"
    assert heard.seen.json == {"model": MODEL, "prompt": "a cat", **body}
    assert heard.dropped == dropped
    medium = heard.folded.media[0]
    assert isinstance(medium, Medium)
    assert (medium.media_type, medium.base64) == ("image/png", "iVBORw0KGgoAAAA=")
    assert heard.folded.usage == Usage(output_tokens=4175, images=1)


async def test_a_refusal() -> None:
    body = b'{"error": {"code": 402, "message": "Insufficient credits"}}'
    with pytest.raises(RhetorError, match="Insufficient credits") as refused:
        await ask("openrouter", MODEL, Draw(prompt="a cat"), fails(402, body=body))
    assert refused.value.code is Code.UPSTREAM_BILLING
