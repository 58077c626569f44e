"""Replicate: predictions of all kinds, what goes in, what comes out, and what goes wrong."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Image, Inline, Text, Url
from rhetor.core.errors import Code
from rhetor.core.events import Progress, Spoken, Timed
from rhetor.core.media import Bytes, Draw, Make, Speak, Transcribe
from rhetor.core.request import Chat, Input, Message, Role
from rhetor.testing import Seen, Step, fails
from tests.wire.media.errands import INLINE, KEY, MP4, PICTURE, PNG, Play, by_path, medium, run, said

pytestmark = pytest.mark.usefixtures("no_leaks", "hurried")

FLUX = "black-forest-labs/flux-schnell"
VERSION = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa"
ID = "gm3qorzdhgbfurvjtvhg6dckhu"
DRAW = Draw(prompt="a cat")


def prediction(seen: Seen, status: str, output: Any = None, **said: Any) -> dict[str, Any]:
    """The object of https://replicate.com/docs/reference/http#predictions.get (read 2026-11-21)."""
    here = f"http://{seen.headers['host']}"
    get = f"{here}/v1/predictions/{ID}"
    return {
        "id": ID,
        "model": FLUX,
        "version": "hidden",
        "input": {"prompt": "a cat"},
        "logs": "",
        "output": output,
        "error": None,
        "status": status,
        "created_at": "2023-09-08T16:19:34.765994Z",
        "data_removed": False,
        "urls": {"cancel": f"{get}/cancel", "get": get},
        **said,
    }


def vendor(output: Any, *before: dict[str, Any], result: Step | None = None, **after: Any) -> Play:
    """Begins, says these, and succeeds with this output; `HERE` in it is the vendor's address."""
    states = iter(before)

    def play(seen: Seen) -> Step:
        here = f"http://{seen.headers['host']}"
        if seen.path.startswith("/out/"):
            return result or medium()
        if seen.method == "POST":
            return said(prediction(seen, "starting"), 201)
        for state in states:
            return said(prediction(seen, **{"status": "processing", **state}))
        placed = here_in(output, here)
        return said(prediction(seen, **{"status": "succeeded", "output": placed, **after}))

    return play


def here_in(output: Any, here: str) -> Any:
    if isinstance(output, str):
        return output.replace("HERE", here)
    if isinstance(output, list):
        return [here_in(each, here) for each in output]
    if isinstance(output, dict):
        return {name: here_in(each, here) for name, each in output.items()}
    return output


async def test_a_picture_is_predicted_polled_and_fetched() -> None:
    play = vendor(
        ["HERE/out/0.webp"],
        {"logs": "Using seed: 7\n 25%|██▌       | 1/4 [00:00<00:00]\n 50%|█████     | 2/4 [00:00<00:00]"},
        result=medium(b"RIFFwebp", "image/webp"),
        metrics={"predict_time": 1.5, "image_output_count": 1},
    )
    heard = await run("replicate", FLUX, DRAW, Capability.TEXT_TO_IMAGE, play)

    assert heard.media == [("image/webp", b"RIFFwebp")]
    assert heard.asked == [
        f"POST /v1/models/{FLUX}/predictions",
        f"GET /v1/predictions/{ID}",
        f"GET /v1/predictions/{ID}",
        "GET /out/0.webp",
    ]
    assert heard.progress == [Progress(None, "starting"), Progress(0.5, "processing")]
    submitted = heard.requests[0]
    assert submitted.json == {"input": {"prompt": "a cat"}}
    assert submitted.headers["authorization"] == f"Bearer {KEY}"
    assert "prefer" not in submitted.headers
    assert heard.folded.id == ID
    assert heard.folded.usage is not None
    assert heard.folded.usage.images == 1


@pytest.mark.parametrize(
    ("model", "path", "version"),
    [
        (f"stability-ai/sdxl:{VERSION}", "/v1/predictions", VERSION),
        (VERSION, "/v1/predictions", VERSION),
        ("deployments/acme/drawing", "/v1/deployments/acme/drawing/predictions", None),
    ],
)
async def test_versions_and_deployments_have_their_own_places(
    model: str, path: str, version: str | None
) -> None:
    heard = await run("replicate", model, DRAW, Capability.TEXT_TO_IMAGE, vendor("HERE/out/0.png"))
    assert heard.asked[0] == f"POST {path}"
    assert heard.requests[0].json.get("version") == version


FULL = Draw(
    prompt="a cat",
    images=(PICTURE,),
    mask=Url("https://files.example/mask.png"),
    count=2,
    size=(640, 480),
    negative_prompt="dogs",
    quality="high",
    seed=7,
    steps=4,
    guidance=3.5,
    format="image/jpeg",
    extra={"go_fast": True, "seed": 8},
)
DATA_URL = "data:image/png;base64," + b64encode(PNG).decode()


async def test_what_goes_in_has_the_usual_names_and_the_callers_own_come_last() -> None:
    heard = await run("replicate", FLUX, FULL, Capability.IMAGE_TO_IMAGE, vendor("HERE/out/0.jpg"))
    assert heard.requests[0].json["input"] == {
        "prompt": "a cat",
        "num_outputs": 2,
        "negative_prompt": "dogs",
        "seed": 8,
        "num_inference_steps": 4,
        "guidance_scale": 3.5,
        "output_format": "jpg",
        "width": 640,
        "height": 480,
        "image": DATA_URL,
        "mask": "https://files.example/mask.png",
        "go_fast": True,
    }
    assert heard.meta["dropped"] == ["quality"]


@pytest.mark.parametrize(
    ("model", "input", "capability", "field"),
    [
        (
            "black-forest-labs/flux-kontext-pro",
            Draw(prompt="x", images=(INLINE,)),
            "image-to-image",
            "input_image",
        ),
        (
            "black-forest-labs/flux-2-pro",
            Draw(prompt="x", images=(INLINE,)),
            "image-to-image",
            "input_images",
        ),
        ("google/nano-banana", Draw(prompt="x", images=(INLINE,)), "image-to-image", "image_input"),
        ("kwaivgi/kling-v2.1", Make(prompt="x", sources=(INLINE,)), "image-to-video", "start_image"),
        ("minimax/hailuo-02", Make(prompt="x", sources=(INLINE,)), "image-to-video", "first_frame_image"),
        ("someone/else", Make(prompt="x", sources=(INLINE,)), "image-to-3d", "image"),
        ("someone/else", Make(sources=(Url("https://files.example/x"),)), "video-to-audio", "video"),
        ("openai/whisper", Transcribe(audio=Bytes("audio/wav", b"RIFF")), "audio-to-text", "audio"),
        ("minimax/speech-02-turbo", Speak(text="Hello"), "text-to-audio", "text"),
        ("meta/musicgen", Speak(text="a waltz"), "text-to-audio", "prompt"),
    ],
)
async def test_models_that_call_it_otherwise(model: str, input: Input, capability: str, field: str) -> None:
    heard = await run("replicate", model, input, Capability(capability), lambda seen: fails(402))
    assert field in heard.requests[0].json["input"]
    value = heard.requests[0].json["input"][field]
    assert isinstance(value, list) == (field in ("input_images", "image_input"))
    assert heard.error.code is Code.UPSTREAM_BILLING


@pytest.mark.parametrize(
    ("capability", "input", "output", "result", "media"),
    [
        ("text-to-image", DRAW, ["HERE/out/0.png", "HERE/out/1.png"], medium(), [("image/png", PNG)] * 2),
        ("text-to-image", DRAW, DATA_URL, None, [("image/png", PNG)]),
        ("text-to-image", DRAW, {"images": [{"image": "HERE/out/0"}]}, medium(), [("image/png", PNG)]),
        (
            "text-to-video",
            Make(prompt="a cat", seconds=5.0),
            "HERE/out/0.mp4",
            medium(MP4, "video/mp4"),
            [("video/mp4", MP4)],
        ),
        (
            "image-to-video",
            Make(prompt="a cat", sources=(PICTURE,)),
            "HERE/out/0.mp4",
            medium(MP4, "application/octet-stream"),
            [("video/mp4", MP4)],
        ),
        (
            "text-to-audio",
            Speak(text="Hello"),
            "HERE/out/0.wav",
            medium(b"RIFF", "audio/wav"),
            [("audio/wav", b"RIFF")],
        ),
        (
            "image-to-3d",
            Make(sources=(PICTURE,)),
            {"model_file": "HERE/out/0.glb", "color_video": "HERE/out/0.mp4", "no_background_images": None},
            medium(b"glTF", "binary/octet-stream"),
            [("model/gltf-binary", b"glTF")],
        ),
    ],
    ids=["two", "data URL", "nested", "film", "film of a picture", "speech", "3D"],
)
async def test_whatever_is_made_comes_as_media(
    capability: str, input: Input, output: Any, result: Step | None, media: list[tuple[str, bytes]]
) -> None:
    play = vendor(output, result=result, metrics={"video_output_duration_seconds": 5})
    heard = await run("replicate", "someone/model", input, Capability(capability), play)
    assert heard.media == media
    assert heard.folded.usage is not None
    assert heard.folded.usage.video_ms == 5000


async def test_a_text_is_told_while_it_grows() -> None:
    """Models that write give lists of strings: https://replicate.com/docs/topics/predictions/streaming."""
    chat = Chat(
        messages=(
            Message(Role.SYSTEM, (Text("Be brief."),)),
            Message(Role.USER, (Text("What is it?"), Image(Inline("image/png", "iVBORw==")))),
        ),
        max_tokens=9,
    )
    play = vendor(
        ["A ", "big ", "cat."],
        {"output": ["A "]},
        {"output": ["A ", "big "]},
        metrics={"token_input_count": 11, "token_output_count": 3},
    )
    heard = await run("replicate", "meta/meta-llama-4-scout-instruct", chat, Capability.CHAT, play)
    assert heard.folded.text == "A big cat."
    assert heard.requests[0].json["input"] == {
        "prompt": "What is it?",
        "system_prompt": "Be brief.",
        "max_tokens": 9,
        "image": "data:image/png;base64,iVBORw==",
    }
    assert heard.folded.usage is not None
    assert (heard.folded.usage.input_tokens, heard.folded.usage.output_tokens) == (11, 3)


@pytest.mark.parametrize(
    "output",
    [
        {
            "segments": [{"start": 0, "end": 1.5, "text": " Hello."}],
            "transcription": " Hello.",
            "detected_language": "english",
        },
        {"chunks": [{"timestamp": [0, 1.5], "text": " Hello."}], "text": "Hello.", "language": "english"},
    ],
    ids=["openai/whisper", "incredibly-fast-whisper"],
)
async def test_transcripts_of_several_shapes(output: Any) -> None:
    audio = Transcribe(audio=Bytes("audio/wav", b"RIFF"))
    heard = await run(
        "replicate", f"openai/whisper:{VERSION}", audio, Capability.AUDIO_TO_TEXT, vendor(output)
    )
    assert heard.folded.text == "Hello."
    assert heard.folded.timed == [Timed("segment", "Hello.", 0.0, 1.5)]
    assert heard.folded.spoken == Spoken("english", None)


# The sentences are those that customers quote: https://github.com/replicate/replicate-python/issues and
# https://replicate.com/docs/reference/error-codes (read 2026-11-21).
FAILURES: list[Any] = [
    pytest.param(
        "NSFW content detected. Try running it again, or try a different prompt.", Code.CONTENT_POLICY
    ),
    pytest.param("The input or output was flagged as sensitive. (E005)", Code.CONTENT_POLICY),
    pytest.param("Service is temporarily unavailable. Please try again later. (E004)", Code.UNAVAILABLE),
    pytest.param("CUDA out of memory.", Code.UPSTREAM_ERROR),
    pytest.param(None, Code.UPSTREAM_ERROR),
]


@pytest.mark.parametrize(("error", "code"), FAILURES)
async def test_a_prediction_that_fails_says_why(error: str | None, code: Code) -> None:
    play = vendor(None, {"status": "failed", "error": error})
    heard = await run("replicate", FLUX, DRAW, Capability.TEXT_TO_IMAGE, play)
    assert heard.error.code is code
    assert (error or "nobody says why") in heard.error.message
    assert not any("cancel" in call for call in heard.asked), "it has ended"


@pytest.mark.parametrize("status", ["canceled", "aborted"])
async def test_a_prediction_that_was_stopped_elsewhere(status: str) -> None:
    play = vendor(None, {"status": status})
    heard = await run("replicate", FLUX, DRAW, Capability.TEXT_TO_IMAGE, play)
    assert heard.error.code is Code.UNAVAILABLE
    assert status in heard.error.message


PAGE = medium(b"<h1>Gone</h1>", "text/html")
NOTHING: list[Any] = [
    pytest.param(None, None, "made nothing", id="nothing"),
    pytest.param([], None, "did not make an image, but nothing", id="an empty list"),
    pytest.param("HERE/out/0.mp4", None, "did not make an image, but video/mp4", id="a film"),
    pytest.param({"text": "I cannot draw."}, None, "did not make an image, but nothing", id="words"),
    pytest.param("HERE/out/0.png", medium(b"", "image/png"), "is empty", id="empty"),
    pytest.param("HERE/out/0.png", PAGE, "something else than an image: Gone", id="page"),
    pytest.param("HERE/out/0.png", medium(MP4, "video/mp4"), "something else than an image", id="mp4"),
    pytest.param("data:text/html;base64,PGg+", None, "did not make an image, but text/html", id="data"),
    pytest.param([f"HERE/out/{n}.png" for n in range(65)], None, "65 media", id="too many"),
]  # fmt: skip


@pytest.mark.parametrize(("output", "result", "words"), NOTHING)
async def test_what_is_no_picture_is_a_failure(output: Any, result: Step | None, words: str) -> None:
    heard = await run("replicate", FLUX, DRAW, Capability.TEXT_TO_IMAGE, vendor(output, result=result))
    assert heard.error.code is Code.PROTOCOL
    assert words in heard.error.message


@pytest.mark.parametrize(
    ("status", "detail", "code", "words"),
    [
        (401, "You did not pass a valid authentication token", Code.UPSTREAM_AUTH, "key"),
        (402, "Go to billing", Code.UPSTREAM_BILLING, "Go to billing"),
        (404, "The requested resource could not be found.", Code.MODEL_NOT_FOUND, "not be found"),
        (422, "- input: prompt is required\n", Code.INVALID_REQUEST, "prompt is required"),
        (429, "Request was throttled. Expected available in 1 second.", Code.RATE_LIMITED, "throttled"),
        (503, "upstream connect error", Code.UNAVAILABLE, "upstream connect"),
    ],
)
async def test_refusals(status: int, detail: str, code: Code, words: str) -> None:
    body = orjson.dumps({"title": "No", "detail": detail, "status": status})
    play = by_path({"POST predictions": fails(status, body=body)})
    heard = await run("replicate", FLUX, DRAW, Capability.TEXT_TO_IMAGE, play)
    assert heard.error.code is code
    assert words in heard.error.message


@pytest.mark.parametrize(
    "step",
    [said({}), said({"id": "x", "status": "starting"}), said([]), medium(b"<h1>Hi</h1>", "text/html")],
    ids=["nothing", "no addresses", "a list", "a page"],
)
async def test_garbage_instead_of_a_prediction(step: Step) -> None:
    heard = await run("replicate", FLUX, DRAW, Capability.TEXT_TO_IMAGE, lambda seen: step)
    assert heard.error.code is Code.PROTOCOL


@pytest.mark.parametrize("model", ["../../v1/account", "a/b/c", "a b/c", "owner/name:short"])
async def test_what_is_no_model_is_not_asked_for(model: str) -> None:
    heard = await run("replicate", model, DRAW, Capability.TEXT_TO_IMAGE, lambda seen: fails(500))
    assert heard.error.code is Code.MODEL_NOT_FOUND
    assert heard.requests == []


@pytest.mark.live
@pytest.mark.skipif("REPLICATE_API_TOKEN" not in os.environ, reason="needs a key")
async def test_the_vendor_itself() -> None:
    from tests.wire.media.errands import live

    assert (await live("replicate", FLUX, os.environ["REPLICATE_API_TOKEN"])).startswith("image/")
