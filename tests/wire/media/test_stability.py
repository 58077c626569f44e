"""Stability AI: forms in, media out, filters that call a blur a success, and the few that take their time."""

from __future__ import annotations

import os
from typing import Any

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Url
from rhetor.core.errors import Code
from rhetor.core.media import Bytes, Draw, Make, Speak
from rhetor.core.request import Input
from rhetor.testing import Seen, Step, fails, headers, raw_frames
from rhetor.wire.media import stability
from rhetor.wire.multipart import parse_form
from tests.wire.media.errands import INLINE, KEY, MP4, PICTURE, PNG, medium, run, said

pytestmark = pytest.mark.usefixtures("no_leaks", "hurried")

DRAW = Draw(prompt="a cat")
SUCCESS = headers({"finish-reason": "SUCCESS", "seed": "343940597", "x-request-id": "r1"})


def form(seen: Seen) -> dict[str, Any]:
    return dict(parse_form(seen.body, seen.headers["content-type"]))


async def test_a_picture_is_the_reply() -> None:
    heard = await run("stability", "core", DRAW, Capability.TEXT_TO_IMAGE, lambda seen: medium().but(SUCCESS))
    assert heard.media == [("image/png", PNG)]
    (seen,) = heard.requests
    assert seen.path == "/v2beta/stable-image/generate/core"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["accept"] == "image/*"
    assert form(seen) == {"prompt": "a cat"}


CAT = Bytes("image/png", PNG, "image.png")
CASES: list[Any] = [
    pytest.param(
        "sd3.5-large",
        Draw(prompt="x", size=(1920, 1080), seed=7, guidance=4.0, format="image/jpeg", negative_prompt="y"),
        "text-to-image",
        "stable-image/generate/sd3",
        {"prompt": "x", "negative_prompt": "y", "seed": "7", "output_format": "jpeg", "cfg_scale": "4.0",
         "aspect_ratio": "16:9", "model": "sd3.5-large"},
        None,
        id="sd3",
    ),
    pytest.param(
        "sd3.5-flash",
        Draw(prompt="x", images=(PICTURE,), size=(512, 512), extra={"strength": 0.95}),
        "image-to-image",
        "stable-image/generate/sd3",
        {"prompt": "x", "mode": "image-to-image", "strength": "0.95", "model": "sd3.5-flash", "image": CAT},
        None,
        id="sd3 of a picture",
    ),
    pytest.param(
        "ultra",
        Draw(prompt="x", images=(PICTURE,), aspect_ratio="1:1", steps=9, end_user="u"),
        "image-to-image",
        "stable-image/generate/ultra",
        {"prompt": "x", "strength": "0.6", "aspect_ratio": "1:1", "image": CAT},
        ["steps", "user"],
        id="ultra of a picture",
    ),
    pytest.param(
        "edit/inpaint",
        Draw(prompt="x", images=(PICTURE,), mask=INLINE, style="anime", extra={"grow_mask": 7}),
        "image-to-image",
        "stable-image/edit/inpaint",
        {"prompt": "x", "style_preset": "anime", "grow_mask": "7", "image": CAT,
         "mask": Bytes("image/png", b"\x89PNG\x1c"[:0] + b"\x89PNG"[:4], "mask.png")},
        None,
        id="inpaint",
    ),
    pytest.param(
        "stable-audio-2.5",
        Speak(text="a waltz", format="mp3", voice="nova"),
        "text-to-audio",
        "audio/stable-audio-2/text-to-audio",
        {"prompt": "a waltz", "output_format": "mp3", "model": "stable-audio-2.5"},
        ["voice"],
        id="music",
    ),
    pytest.param(
        "stable-audio-3",
        Make(prompt="louder", sources=(Bytes("audio/wav", b"RIFF"),), seconds=30.0),
        "audio-to-audio",
        "audio/stable-audio/audio-to-audio",
        {"prompt": "louder", "duration": "30.0", "model": "stable-audio-3",
         "audio": Bytes("audio/wav", b"RIFF", "audio.wav")},
        None,
        id="music of music",
    ),
    pytest.param(
        "stable-fast-3d",
        Make(sources=(PICTURE,), extra={"remesh": "none"}),
        "image-to-3d",
        "3d/stable-fast-3d",
        {"remesh": "none", "image": CAT},
        None,
        id="3D",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("model", "input", "capability", "path", "fields", "dropped"), CASES)
async def test_what_goes_in(
    model: str, input: Input, capability: str, path: str, fields: dict[str, Any], dropped: Any
) -> None:
    kinds = {"audio": ("audio/mpeg", b"ID3"), "3d": ("model/gltf-binary", b"glTF")}
    media_type, data = kinds.get(capability.rpartition("-to-")[2], ("image/png", PNG))
    heard = await run(
        "stability", model, input, Capability(capability), lambda seen: medium(data, media_type)
    )
    assert heard.media == [(media_type, data)]
    assert heard.asked == [f"POST /v2beta/{path}"]
    assert form(heard.requests[0]) == fields
    assert heard.meta.get("dropped") == dropped


async def test_a_blur_is_not_what_was_asked_for() -> None:
    """It comes with status 200; the header says why, as the description of `finish-reason` has it."""
    filtered = medium().but(headers({"finish-reason": "CONTENT_FILTERED"}))
    heard = await run("stability", "core", DRAW, Capability.TEXT_TO_IMAGE, lambda seen: filtered)
    assert heard.error.code is Code.CONTENT_POLICY
    assert heard.media == []


async def test_some_results_are_asked_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Submitted with 200, in progress with 202, done with 200: as the record of live calls has it."""
    monkeypatch.setattr(stability, "_PAUSE_S", 0.01)
    states = [said({"id": "e52772ac75b", "status": "in-progress"}, 202)] * 2

    def play(seen: Seen) -> Step:
        if seen.method == "POST":
            return said({"id": "e52772ac75b"})
        return states.pop() if states else medium().but(SUCCESS)

    creative = Draw(prompt="x", images=(PICTURE,))
    heard = await run("stability", "upscale/creative", creative, Capability.IMAGE_TO_IMAGE, play)
    assert heard.media == [("image/png", PNG)]
    assert heard.asked == [
        "POST /v2beta/stable-image/upscale/creative",
        *["GET /v2beta/results/e52772ac75b"] * 3,
    ]
    polled = heard.requests[-1]
    assert (polled.headers["accept"], polled.headers["authorization"]) == ("image/*", f"Bearer {KEY}")

    sound = Speak(text="a waltz")
    heard = await run("stability", "stable-audio-3", sound, Capability.TEXT_TO_AUDIO, lambda seen: (
        said({"id": "e5"}, 202) if seen.method == "POST" else medium(b"ID3", "audio/mpeg")
    ))  # fmt: skip
    assert heard.asked[-1] == "GET /v2beta/audio/results/e5"
    assert heard.media == [("audio/mpeg", b"ID3")]


def refusal(name: str, *errors: str) -> bytes:
    words = ", ".join(f'"{error}"' for error in errors)
    return f'{{"id": "4212a4b66fbe1cedca4bf2133d35dca5", "name": "{name}", "errors": [{words}]}}'.encode()


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (400, refusal("bad_request", "no prompt", "odd seed"), Code.INVALID_REQUEST, "no prompt; odd seed"),
        (401, refusal("unauthorized", "missing or invalid key"), Code.UPSTREAM_AUTH, "key"),
        (402, refusal("payment_required", "You lack sufficient credits"), Code.UPSTREAM_BILLING, "credits"),
        (403, refusal("content_moderation", "Your request was flagged"), Code.CONTENT_POLICY, "was flagged"),
        (413, refusal("payload_too_large", "body: larger than 10MiB"), Code.TOO_LARGE, "10MiB"),
        (422, refusal("public_figure", "the likeness of somebody"), Code.CONTENT_POLICY, "the likeness"),
        (422, refusal("invalid_language", "English is the only language"), Code.UNSUPPORTED, "English"),
        (429, refusal("rate_limit_exceeded", "150 requests within 10 seconds"), Code.RATE_LIMITED, "150"),
        (500, refusal("internal_error", "An unexpected server error"), Code.UPSTREAM_ERROR, "unexpected"),
    ],
)  # fmt: skip
async def test_refusals(status: int, body: bytes, code: Code, words: str) -> None:
    step = fails(status, body=body)
    heard = await run("stability", "core", DRAW, Capability.TEXT_TO_IMAGE, lambda seen: step)
    assert heard.error.code is code
    assert words in heard.error.message


@pytest.mark.parametrize(
    ("input", "code"),
    [
        (Draw(prompt="x", count=2), Code.UNSUPPORTED),
        (Draw(prompt="x", images=(PICTURE, PICTURE)), Code.UNSUPPORTED),
        (Draw(prompt="x", images=(Url("https://files.example/x.png"),)), Code.UNSUPPORTED),
    ],
    ids=["two", "of two", "of an address"],
)
async def test_what_is_for_somebody_else(input: Draw, code: Code) -> None:
    capability = Capability.IMAGE_TO_IMAGE if input.images else Capability.TEXT_TO_IMAGE
    heard = await run("stability", "ultra", input, capability, lambda seen: medium())
    assert (heard.error.code, heard.requests) == (code, [])


@pytest.mark.parametrize(
    "step",
    [
        said({}),
        said({"errors": "x"}),
        said({"image": "aGk="}),
        medium(b"", "image/png"),
        medium(MP4, "video/mp4"),
        raw_frames([b"<h1>Hi</h1>"], content_type="text/html"),
    ],
    ids=["nothing", "errors", "base64", "empty", "a film", "a page"],
)
async def test_what_is_no_picture_is_a_failure(step: Step) -> None:
    heard = await run("stability", "core", DRAW, Capability.TEXT_TO_IMAGE, lambda seen: step)
    assert heard.error.code is Code.PROTOCOL


async def test_what_is_no_model_is_not_asked_for() -> None:
    heard = await run("stability", "../../v1/user", DRAW, Capability.TEXT_TO_IMAGE, lambda seen: medium())
    assert (heard.error.code, heard.requests) == (Code.MODEL_NOT_FOUND, [])


@pytest.mark.parametrize(
    ("size", "ratio"),
    [((1024, 1024), "1:1"), ((1792, 1024), "16:9"), ((1024, 1536), "2:3"), ((2100, 900), "21:9")],
)
async def test_sizes_are_told_as_the_nearest_ratio(size: tuple[int, int], ratio: str) -> None:
    draw = Draw(prompt="x", size=size)
    heard = await run("stability", "core", draw, Capability.TEXT_TO_IMAGE, lambda seen: medium())
    assert form(heard.requests[0])["aspect_ratio"] == ratio


@pytest.mark.live
@pytest.mark.skipif("STABILITY_API_KEY" not in os.environ, reason="needs a key")
async def test_the_vendor_itself() -> None:
    from tests.wire.media.errands import live

    assert (await live("stability", "core", os.environ["STABILITY_API_KEY"])).startswith("image/")
