"""Black Forest Labs: tasks, regions, and how they end."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import Any

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Url
from rhetor.core.errors import Code
from rhetor.core.events import Medium, Progress
from rhetor.core.media import Draw, Make
from rhetor.core.request import Input
from rhetor.testing import Seen, Step, fails, headers, raw_frames
from tests.wire.media.errands import INLINE, KEY, MP4, PICTURE, PNG, Play, medium, run, said

pytestmark = pytest.mark.usefixtures("no_leaks", "hurried")

DRAW = Draw(prompt="a cat")
ID = "8ae9ff5a-3b7e-4f29-9b9c-3d7a41a3d4d1"


def vendor(*states: dict[str, Any], result: Step | None = None) -> Play:
    """Submits, and says these; after https://docs.bfl.ai/quick_start/generating_images (read 2026-11-21)."""
    left = list(states)

    def play(seen: Seen) -> Step:
        here = f"http://{seen.headers['host']}"
        if seen.path.startswith("/results/"):
            return result or medium()
        if seen.method == "POST":
            url = f"{here}/v1/get_result?id={ID}"
            return said({"id": ID, "polling_url": url, "cost": 3.0, "input_mp": 0.0, "output_mp": 1.0})
        state = left.pop(0) if left else ready()
        sample = state.get("result") and state["result"]["sample"].replace("HERE", here)
        return said(
            {"id": ID, **state, **({"result": {**state["result"], "sample": sample}} if sample else {})}
        )

    return play


def ready(sample: str = "HERE/results/sample.jpeg?se=1&sig=x%2Fy") -> dict[str, Any]:
    result = {"sample": sample, "prompt": "a small cat", "seed": 7, "start_time": 1.0, "end_time": 2.0}
    return {"status": "Ready", "result": result, "progress": None, "details": None, "preview": None}


async def test_a_picture_is_a_task() -> None:
    play = vendor(
        {"status": "Pending", "result": None, "progress": 0.5},
        ready(),
        result=medium(b"\xff\xd8\xff\xe0", "image/jpeg"),
    )
    heard = await run("bfl", "flux-2-pro", DRAW, Capability.TEXT_TO_IMAGE, play)

    assert heard.media == [("image/jpeg", b"\xff\xd8\xff\xe0")]
    assert heard.asked == [
        "POST /v1/flux-2-pro",
        "GET /v1/get_result",
        "GET /v1/get_result",
        "GET /results/sample.jpeg",
    ]
    assert heard.requests[1].target == f"/v1/get_result?id={ID}"
    assert heard.requests[3].target == "/results/sample.jpeg?se=1&sig=x%2Fy"
    assert [seen.headers.get("x-key") for seen in heard.requests] == [KEY, KEY, KEY, None]
    assert heard.progress == [Progress(None, "submitted"), Progress(0.5, "pending")]
    made = heard.folded.media[0]
    assert isinstance(made, Medium)
    assert made.prompt == "a small cat"


BASE64 = b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("model", "input", "capability", "fields", "dropped"),
    [
        (
            "flux-2-max",
            Draw(
                prompt="x",
                images=(PICTURE, Url("https://files.example/2.png")),
                size=(1024, 768),
                seed=7,
                format="image/png",
                negative_prompt="dogs",
                style="vivid",
                extra={"safety_tolerance": 1},
            ),
            "image-to-image",
            {
                "prompt": "x",
                "seed": 7,
                "output_format": "png",
                "width": 1024,
                "height": 768,
                "input_image": BASE64,
                "input_image_2": "https://files.example/2.png",
                "safety_tolerance": 1,
            },
            ["negative_prompt", "style"],
        ),
        (
            "flux-pro-1.0-fill",
            Draw(prompt="x", images=(INLINE,), mask=INLINE, steps=50, guidance=30.0),
            "image-to-image",
            {"prompt": "x", "image": "iVBORw==", "mask": "iVBORw==", "steps": 50, "guidance": 30.0},
            None,
        ),
        (
            "flux-3-video",
            Make(prompt="x", seconds=5.0, aspect_ratio="16:9", extra={"resolution": "hd"}),
            "text-to-video",
            {"mode": "t2v", "prompt": "x", "duration": 5, "aspect_ratio": "16:9", "resolution": "hd"},
            None,
        ),
        (
            "flux-3-video",
            Make(prompt="x", sources=(INLINE,), seed=7),
            "image-to-video",
            {"mode": "i2v", "prompt": "x", "keyframes": "iVBORw=="},
            ["seed"],
        ),
    ],
)
async def test_what_goes_in(
    model: str, input: Input, capability: str, fields: dict[str, Any], dropped: list[str] | None
) -> None:
    result = medium(MP4, "video/mp4") if "video" in capability else medium()
    heard = await run("bfl", model, input, Capability(capability), vendor(result=result))
    assert heard.requests[0].json == fields
    assert heard.meta.get("dropped") == dropped


async def test_a_film() -> None:
    play = vendor(
        {"status": "Reasoning"},
        {"status": "Generating"},
        ready("HERE/results/sample.mp4"),
        result=medium(MP4, "video/mp4"),
    )
    heard = await run("bfl", "flux-3-video", Make(prompt="a cat"), Capability.TEXT_TO_VIDEO, play)
    assert heard.media == [("video/mp4", MP4)]
    assert [step.note for step in heard.progress] == ["submitted", "reasoning", "generating"]


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (
            {"status": "Request Moderated", "details": {"Moderation Reasons": ["Safety Filter"]}},
            Code.CONTENT_POLICY,
            "Safety Filter",
        ),
        ({"status": "Content Moderated", "result": None}, Code.CONTENT_POLICY, "Content Moderated"),
        ({"status": "Error", "details": {"error": "Boom"}}, Code.UPSTREAM_ERROR, "Boom"),
        ({"status": "Task not found"}, Code.UNAVAILABLE, "Task not found"),
        ({"status": "Ready", "result": None}, Code.PROTOCOL, "made nothing"),
        (ready("HERE/results/sample.mp4"), Code.PROTOCOL, "something else than an image"),
        (ready("https://evil.example/0.png"), Code.PROTOCOL, "evil.example, which is no host of 'bfl'"),
    ],
)
async def test_tasks_that_made_no_picture(state: dict[str, Any], code: Code, words: str) -> None:
    heard = await run(
        "bfl",
        "flux-2-pro",
        DRAW,
        Capability.TEXT_TO_IMAGE,
        vendor(state, result=medium(MP4, "video/mp4")),
    )
    assert heard.error.code is code
    assert words in heard.error.message


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (402, b'{"detail": "Insufficient credits"}', Code.UPSTREAM_BILLING, "Insufficient credits"),
        (403, b'{"detail": "Not authenticated - Invalid Authentication"}', Code.UPSTREAM_AUTH, "key"),
        (404, b'{"detail": "Not Found"}', Code.MODEL_NOT_FOUND, "Not Found"),
        (422, b'{"detail": [{"loc": ["width"], "msg": "Odd"}]}', Code.INVALID_REQUEST, "width: Odd"),
        (429, b'{"detail": "Too many active tasks"}', Code.RATE_LIMITED, "active tasks"),
    ],
)  # fmt: skip
async def test_refusals(status: int, body: bytes, code: Code, words: str) -> None:
    heard = await run(
        "bfl", "flux-2-pro", DRAW, Capability.TEXT_TO_IMAGE, lambda seen: fails(status, body=body)
    )
    assert heard.error.code is code
    assert words in heard.error.message


@pytest.mark.parametrize("input", [Draw(prompt="x", count=2)])
async def test_several_pictures_are_for_somebody_else(input: Input) -> None:
    heard = await run("bfl", "flux-2-pro", input, Capability.TEXT_TO_IMAGE, vendor())
    assert (heard.error.code, heard.requests) == (Code.UNSUPPORTED, [])


async def test_polls_and_results_may_be_redirected() -> None:
    """https://docs.bfl.ai/api-reference/flux3 says that they are (read 2026-11-21)."""
    inner = vendor(ready())

    def play(seen: Seen) -> Step:
        if seen.path == "/v1/get_result":
            return raw_frames([b""], status=307).but(headers({"location": "/eu/get_result"}))
        return inner(seen)

    heard = await run("bfl", "flux-2-pro", DRAW, Capability.TEXT_TO_IMAGE, play)
    assert heard.media == [("image/png", PNG)]
    assert heard.requests[2].headers["x-key"] == KEY


@pytest.mark.live
@pytest.mark.skipif("BFL_API_KEY" not in os.environ, reason="needs a key")
async def test_the_vendor_itself() -> None:
    from tests.wire.media.errands import live

    assert (await live("bfl", "flux-2-klein-4b", os.environ["BFL_API_KEY"])).startswith("image/")
