"""xAI: pictures by aspect ratio, speech, transcripts."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.content import Url
from rhetor.core.errors import Code
from rhetor.core.events import Medium, Spoken, Timed
from rhetor.core.media import Bytes, Draw, Speak, Transcribe
from tests.wire.media.calling import ask, said, sound

pytestmark = pytest.mark.usefixtures("no_leaks")

WAV = Bytes("audio/wav", b"RIFF....")
PICTURE = b'{"data": [{"b64_json": "/9j/4AAQ", "revised_prompt": "A cat."}]}'
# https://docs.x.ai/developers/rest-api-reference/inference/speech-to-text (read 2026-11-21).
TRANSCRIPT = b"""{"text": "Hi there.", "language": "", "duration": 1.25, "words": [
 {"text": "Hi", "start": 0.1, "end": 0.4, "speaker": 0}, {"text": "there.", "start": 0.5, "end": 0.9}]}"""


@pytest.mark.parametrize(
    ("asked", "path", "body", "dropped"),
    [
        ({}, "/images/generations", {}, ()),
        (
            {
                "aspect_ratio": "16:9",
                "count": 3,
                "quality": "low",
                "end_user": "u",
                "extra": {"resolution": "2k"},
            },
            "/images/generations",
            {"aspect_ratio": "16:9", "n": 3, "quality": "low", "user": "u", "resolution": "2k"},
            (),
        ),
        (
            {"size": (1792, 1024), "seed": 1, "extra": {"mood": 1}},
            "/images/generations",
            {"aspect_ratio": "16:9"},
            ("mood", "seed", "size: drawn as 16:9"),
        ),
        (
            {"images": (Url("https://x.example/a.png"),)},
            "/images/edits",
            {"image": {"type": "image_url", "url": "https://x.example/a.png"}},
            (),
        ),
        (
            {"images": (Url("https://x.example/a"), Bytes("image/png", b"x"))},
            "/images/edits",
            {
                "images": [
                    {"type": "image_url", "url": "https://x.example/a"},
                    {"type": "image_url", "url": "data:image/png;base64,eA=="},
                ]
            },
            (),
        ),
    ],
)
async def test_pictures(
    asked: dict[str, Any], path: str, body: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    heard = await ask("xai", "grok-imagine-image", Draw(prompt="a cat", **asked), said(PICTURE))
    assert heard.seen.path == path
    usual = {"model": "grok-imagine-image", "prompt": "a cat", "n": 1, "response_format": "b64_json"}
    assert heard.seen.json == {**usual, **body}
    assert heard.dropped == dropped
    medium = heard.folded.media[0]
    assert isinstance(medium, Medium)
    assert (medium.media_type, medium.prompt) == ("image/jpeg", "A cat.")


@pytest.mark.parametrize(
    ("asked", "body", "type", "dropped"),
    [
        ({}, {"voice_id": "eve", "language": "auto", "output_format": {"codec": "mp3"}}, "audio/mpeg", ()),
        (
            {"voice": "Rex", "language": "pt-BR", "format": "pcm", "sample_rate": 16000},
            {"voice_id": "rex", "language": "pt-BR", "output_format": {"codec": "pcm", "sample_rate": 16000}},
            "audio/pcm",
            (),
        ),
        (
            {"voice": "alloy", "format": "flac", "sample_rate": 7, "speed": 2.0, "extra": {"mood": 1}},
            {"voice_id": "eve", "language": "auto", "output_format": {"codec": "mp3"}},
            "audio/mpeg",
            ("mood", "speed", "voice: nobody here is called so", "format: mp3 instead", "sample_rate"),
        ),
        (
            {"extra": {"voice_id": "mine1234"}},
            {"voice_id": "mine1234", "language": "auto", "output_format": {"codec": "mp3"}},
            "audio/mpeg",
            (),
        ),
    ],
)
async def test_speech(
    asked: dict[str, Any], body: dict[str, Any], type: str, dropped: tuple[str, ...]
) -> None:
    reply = sound(b"a", b"b", content_type="application/octet-stream")
    heard = await ask("xai", "grok-tts", Speak(text="Hi", **asked), reply)
    assert heard.seen.path == "/tts"
    assert heard.seen.json == {"text": "Hi", **body}
    assert heard.dropped == dropped
    medium = heard.folded.media[0]
    assert isinstance(medium, Medium)
    assert (medium.media_type, medium.data) == (type, b"ab")


async def test_a_transcript() -> None:
    extra = {"keyterm": ["a", "b"], "format": True, "mood": 1}
    asked = Transcribe(audio=WAV, language="en", speakers=True, prompt="x", extra=extra)
    heard = await ask("xai", "grok-voice-transcribe-2.0", asked, said(TRANSCRIPT))
    assert heard.seen.path == "/stt"
    assert heard.form == [
        ("model", "grok-voice-transcribe-2.0"),
        ("language", "en"),
        ("diarize", "true"),
        ("keyterm", "a"),
        ("keyterm", "b"),
        ("format", "true"),
        ("file", Bytes("audio/wav", WAV.data, "audio.wav")),
    ]
    assert heard.dropped == ("mood", "prompt")
    assert heard.folded.text == "Hi there."
    assert heard.folded.spoken == Spoken(None, 1.25)
    assert heard.folded.timed[-2:] == [
        Timed("word", "Hi", 0.1, 0.4, "0"),
        Timed("word", "there.", 0.5, 0.9),
    ]


async def test_a_recording_that_lies_elsewhere() -> None:
    asked = Transcribe(audio=Url("https://x.example/a.wav"))
    heard = await ask("xai", "grok-voice-transcribe-2.0", asked, said(b'{"words": []}'))
    assert heard.form[-1] == ("url", "https://x.example/a.wav")
    assert heard.error.code is Code.PROTOCOL
