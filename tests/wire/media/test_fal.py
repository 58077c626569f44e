"""fal: a request's way through the queue, its results of all kinds, and its two shapes of errors."""

from __future__ import annotations

import os
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import Code
from rhetor.core.events import Progress, Spoken, Timed
from rhetor.core.media import Bytes, Draw, Make, Speak, Transcribe
from rhetor.core.request import Input
from rhetor.testing import Seen, Step, fails
from tests.wire.media.errands import INLINE, KEY, MP4, PICTURE, PNG, Play, medium, run, said

pytestmark = pytest.mark.usefixtures("no_leaks", "hurried")

FLUX = "fal-ai/flux/schnell"
ID = "80e732af-660e-45cd-bd63-580e4f2a94cc"
DRAW = Draw(prompt="a cat")
DATA_URL = "data:image/png;base64,iVBORw=="


def vendor(output: Any, *before: dict[str, Any], result: Step | None = None, last: Any = None) -> Play:
    """Submits, says these, and completes; addresses leave out the end of the model's name.

    https://docs.fal.ai/model-endpoints/queue (read 2026-11-21).
    """
    states = iter(before)

    def play(seen: Seen) -> Step:
        here = f"http://{seen.headers['host']}"
        place = f"{here}/fal-ai/flux/requests/{ID}"
        urls = {"status_url": f"{place}/status", "response_url": place, "cancel_url": f"{place}/cancel"}
        if seen.path.startswith("/files/"):
            return result or medium()
        if seen.method == "POST":
            return said({"request_id": ID, "status": "IN_QUEUE", **urls})
        if seen.path.endswith("/status"):
            for state in states:
                return said({"request_id": ID, **urls, **state}, 202)
            return said({"status": "COMPLETED", "request_id": ID, **urls, **(last or {})})
        if isinstance(output, Step):
            return output
        return said(orjson.loads(orjson.dumps(output).replace(b"HERE", here.encode())))

    return play


# https://fal.ai/models/fal-ai/flux/schnell/api (read 2026-11-21), shortened.
FLUX_OUTPUT = {
    "images": [
        {"url": "HERE/files/lion/0.png", "width": 1024, "height": 768, "content_type": "image/png"},
        {"url": "HERE/files/lion/1.png", "width": 1024, "height": 768, "content_type": "image/png"},
    ],
    "timings": {"inference": 0.83},
    "seed": 271828,
    "has_nsfw_concepts": [False, False],
    "prompt": "a cat",
}


async def test_a_picture_goes_through_the_queue() -> None:
    play = vendor(
        FLUX_OUTPUT,
        {"status": "IN_QUEUE", "queue_position": 2},
        {"status": "IN_PROGRESS", "logs": [{"message": "Loading"}, {"message": "Step 1/4"}]},
        {"status": "IN_PROGRESS", "logs": [{"message": "Step 1/4"}, {"message": " 75%|██▌ | 3/4"}]},
    )
    heard = await run("fal", FLUX, DRAW, Capability.TEXT_TO_IMAGE, play)

    assert heard.media == [("image/png", PNG)] * 2
    assert heard.asked == [
        "POST /fal-ai/flux/schnell",
        *[f"GET /fal-ai/flux/requests/{ID}/status"] * 4,
        f"GET /fal-ai/flux/requests/{ID}",
        "GET /files/lion/0.png",
        "GET /files/lion/1.png",
    ]
    assert heard.progress == [
        Progress(None, "in_queue"),
        Progress(None, "in_queue, 2 ahead"),
        Progress(0.25, "in_progress"),
        Progress(0.75, "in_progress"),
    ]
    assert heard.requests[0].json == {"prompt": "a cat"}
    assert heard.requests[1].target.endswith("/status?logs=1")
    assert [seen.headers.get("authorization") for seen in heard.requests] == [f"Key {KEY}"] * 6 + [None] * 2
    assert heard.folded.id == ID


@pytest.mark.parametrize(
    ("model", "input", "capability", "fields"),
    [
        (
            FLUX,
            Draw(prompt="x", count=2, size=(640, 480), format="image/jpeg", steps=4, extra={"x": 1}),
            "text-to-image",
            {
                "prompt": "x",
                "num_images": 2,
                "image_size": {"width": 640, "height": 480},
                "output_format": "jpeg",
                "num_inference_steps": 4,
                "x": 1,
            },
        ),
        (
            "fal-ai/flux-pro/kontext",
            Draw(prompt="x", images=(INLINE,)),
            "image-to-image",
            {"prompt": "x", "image_url": DATA_URL},
        ),
        (
            "fal-ai/nano-banana/edit",
            Draw(prompt="x", images=(INLINE,)),
            "image-to-image",
            {"prompt": "x", "image_urls": [DATA_URL]},
        ),
        (
            "fal-ai/kling-video/v3/pro/image-to-video",
            Make(prompt="x", sources=(INLINE,), seconds=5.0, aspect_ratio="16:9"),
            "image-to-video",
            {"prompt": "x", "image_url": DATA_URL, "duration": 5, "aspect_ratio": "16:9"},
        ),
        ("fal-ai/kokoro", Speak(text="Hi", voice="x"), "text-to-audio", {"prompt": "Hi", "voice": "x"}),
        ("fal-ai/minimax/speech-02-hd", Speak(text="Hi"), "text-to-audio", {"text": "Hi"}),
    ],
)  # fmt: skip
async def test_what_goes_in(model: str, input: Input, capability: str, fields: dict[str, Any]) -> None:
    heard = await run("fal", model, input, Capability(capability), lambda seen: fails(402))
    assert heard.asked == [f"POST /{model}"]
    assert heard.requests[0].json == fields


@pytest.mark.parametrize(
    ("capability", "input", "output", "result", "media"),
    [
        (
            "text-to-video",
            Make(prompt="a cat"),
            {"video": {"url": "HERE/files/0.mp4", "content_type": "video/mp4", "file_name": "0.mp4"}},
            medium(MP4, "video/mp4"),
            [("video/mp4", MP4)],
        ),
        (
            "text-to-audio",
            Speak(text="Hello"),
            {"audio": {"url": "HERE/files/0.wav", "content_type": "application/octet-stream"}},
            medium(b"RIFF", "application/octet-stream"),
            [("audio/wav", b"RIFF")],
        ),
        (
            "image-to-3d",
            Make(sources=(PICTURE,)),
            {"model_mesh": {"url": "HERE/files/0.glb"}, "rendered_image": {"url": "HERE/files/0.png"}},
            medium(b"glTF", "model/gltf-binary"),
            [("model/gltf-binary", b"glTF")],
        ),
        (
            "text-to-image",
            DRAW,
            {"image": {"url": "data:image/jpeg;base64,/9j/", "content_type": "image/jpeg"}},
            None,
            [("image/jpeg", b"\xff\xd8\xff")],
        ),
    ],
    ids=["film", "speech", "3D", "sync_mode"],
)
async def test_whatever_is_made_comes_as_media(
    capability: str, input: Input, output: Any, result: Step | None, media: list[tuple[str, bytes]]
) -> None:
    heard = await run("fal", "fal-ai/some", input, Capability(capability), vendor(output, result=result))
    assert heard.media == media


async def test_a_transcript() -> None:
    """https://fal.ai/models/fal-ai/whisper/api (read 2026-11-21)."""
    output = {
        "text": " Hello.",
        "chunks": [{"timestamp": [0.0, 1.5], "text": " Hello.", "speaker": None}],
        "inferred_languages": ["en"],
        "diarization_segments": [],
    }
    audio = Transcribe(audio=Bytes("audio/wav", b"RIFF"), language="en")
    heard = await run("fal", "fal-ai/whisper", audio, Capability.AUDIO_TO_TEXT, vendor(output))
    assert heard.requests[0].json == {"audio_url": "data:audio/wav;base64,UklGRg==", "language": "en"}
    assert heard.folded.text == "Hello."
    assert heard.folded.timed == [Timed("segment", "Hello.", 0.0, 1.5)]
    assert heard.folded.spoken == Spoken("en", None)


async def test_pictures_that_were_blackened_are_nobodys_picture() -> None:
    partly = {**FLUX_OUTPUT, "has_nsfw_concepts": [True, False]}
    heard = await run("fal", FLUX, DRAW, Capability.TEXT_TO_IMAGE, vendor(partly))
    assert heard.media == [("image/png", PNG)]
    assert heard.asked[-1] == "GET /files/lion/1.png"

    fully = {**FLUX_OUTPUT, "has_nsfw_concepts": [True, True]}
    heard = await run("fal", FLUX, DRAW, Capability.TEXT_TO_IMAGE, vendor(fully))
    assert heard.error.code is Code.CONTENT_POLICY


# Both shapes: https://fal.ai/docs/documentation/model-apis/errors and …/request-errors (read 2026-11-21).
REFUSED = b"""{"detail": [{"loc": ["body", "prompt"], "type": "content_policy_violation",
 "msg": "The content could not be processed because it contained material flagged by a content checker.",
 "url": "https://docs.fal.ai/errors#content_policy_violation", "input": {}}]}"""
INVALID = b"""{"detail": [{"loc": ["body", "num_images"], "type": "less_than_equal",
 "msg": "Input should be less than or equal to 4"}]}"""
TIMED_OUT = b'{"detail": "Request timed out", "error_type": "request_timeout"}'


@pytest.mark.parametrize("early", [True, False], ids=["at once", "as the result"])
@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (422, REFUSED, Code.CONTENT_POLICY, "flagged by a content checker"),
        (422, INVALID, Code.INVALID_REQUEST, "body.num_images: Input should be"),
        (504, TIMED_OUT, Code.UNAVAILABLE, "Request timed out"),
        (401, b'{"detail": "No user found for Key ID and Secret"}', Code.UPSTREAM_AUTH, "key"),
    ],
)
async def test_refusals(early: bool, status: int, body: bytes, code: Code, words: str) -> None:
    refusal = fails(status, body=body)
    play = (lambda seen: refusal) if early else vendor(refusal)
    heard = await run("fal", FLUX, DRAW, Capability.TEXT_TO_IMAGE, play)
    assert heard.error.code is code
    assert words in heard.error.message


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"status": "COMPLETED", "error": "Boom", "error_type": "runner_disconnected"}, Code.UNAVAILABLE),
        ({"status": "COMPLETED", "error": "Boom"}, Code.UPSTREAM_ERROR),
        ({"status": "FAILED"}, Code.UPSTREAM_ERROR),
    ],
)
async def test_requests_that_end_in_the_queue(state: dict[str, Any], code: Code) -> None:
    heard = await run("fal", FLUX, DRAW, Capability.TEXT_TO_IMAGE, vendor({}, last=state))
    assert heard.error.code is code


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({}, "did not make an image, but nothing"),
        ({"images": []}, "but nothing"),
        ({"video": {"url": "https://v3.fal.media/0.mp4"}}, "but video/mp4"),
        ({"images": [{"url": "https://evil.example/0.png"}]}, "evil.example, which is no host of 'fal'"),
        ({"images": [{"url": "http://v3.fal.media/0.png"}]}, "v3.fal.media, which is no host"),
        ({"images": [{"url": "https://[::1/0.png"}]}, "an address without a host"),
    ],
)
async def test_what_is_no_picture_is_a_failure(output: Any, words: str) -> None:
    heard = await run("fal", FLUX, DRAW, Capability.TEXT_TO_IMAGE, vendor(output))
    assert heard.error.code is Code.PROTOCOL
    assert words in heard.error.message


@pytest.mark.parametrize("model", ["flux", "../x/y", "a b/c"])
async def test_what_is_no_model_is_not_asked_for(model: str) -> None:
    heard = await run("fal", model, DRAW, Capability.TEXT_TO_IMAGE, lambda seen: fails(500))
    assert (heard.error.code, heard.requests) == (Code.MODEL_NOT_FOUND, [])


@pytest.mark.live
@pytest.mark.skipif("FAL_KEY" not in os.environ, reason="needs a key")
async def test_the_vendor_itself() -> None:
    from tests.wire.media.errands import live

    assert (await live("fal", FLUX, os.environ["FAL_KEY"])).startswith("image/")
