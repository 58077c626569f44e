"""ElevenLabs: voices and models, settings, transcripts with their words, and what the vendor refuses."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Url
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Medium, Spoken, Timed
from rhetor.core.media import Bytes, Speak, Transcribe
from rhetor.testing import fails
from rhetor.wire.base import ModelEntry
from rhetor.wire.media.elevenlabs import VOICE
from tests.wire.media.calling import KEY, ask, listed, said, sound

pytestmark = pytest.mark.usefixtures("no_leaks")

RACHEL = "21m00Tcm4TlvDq8ikWAM"
WAV = Bytes("audio/wav", b"RIFF....", "hello.wav")

# A reply of the vendor's, shortened: https://302ai-en.apifox.cn/api-318268277 (read 2026-11-21).
TRANSCRIPT = b"""{"language_code": "eng", "language_probability": 0.8963569402694702,
 "text": "The first move.", "words": [
 {"text": "The", "start": 0.099, "end": 0.239, "type": "word", "speaker_id": null, "logprob": 0.0,
  "characters": null},
 {"text": " ", "start": 0.239, "end": 0.239, "type": "spacing", "speaker_id": null, "logprob": 0.0},
 {"text": "first", "start": 0.239, "end": 0.599, "type": "word", "speaker_id": null, "logprob": 0.0},
 {"text": " ", "start": 0.599, "end": 0.599, "type": "spacing", "speaker_id": null, "logprob": 0.0},
 {"text": "move.", "start": 0.599, "end": 0.899, "type": "word", "speaker_id": null, "logprob": 0.0}]}"""

# Several channels, after the vendor's SDK for Python 2.78.0, MultichannelSpeechToTextResponseModel.
CHANNELS = b"""{"transcription_id": "t1", "audio_duration_secs": 3.5, "transcripts": [
 {"language_code": "eng", "language_probability": 0.9, "text": "Hi.", "channel_index": 0, "words": [
  {"text": "Hi.", "start": 0.0, "end": 0.4, "type": "word", "speaker_id": "speaker_0", "logprob": -0.1}]},
 {"language_code": "eng", "language_probability": 0.9, "text": "Hello (laughter)", "channel_index": 1,
  "words": [
  {"text": "Hello", "start": 1.0, "end": 1.4, "type": "word", "speaker_id": "speaker_1", "logprob": -0.1},
  {"text": "(laughter)", "start": 2.0, "end": 3.0, "type": "audio_event", "logprob": 0.0}]}]}"""

# https://www.withone.ai/knowledge/elevenlabs (GET /v1/voices, read 2026-11-21), and the categories of
# https://elevenlabs.io/docs/api-reference/get-voice.
VOICES = b"""{"voices": [
 {"voice_id": "21m00Tcm4TlvDq8ikWAM", "name": "Rachel", "category": "premade", "fine_tuning": null,
  "labels": {"accent": "american", "gender": "female"}, "available_for_tiers": ["free", "starter"]},
 {"voice_id": "AAAAAAAAAAAAAAAAAAAA", "name": "Me", "category": "cloned", "labels": null},
 {"voice_id": "BBBBBBBBBBBBBBBBBBBB", "name": "Me, trained", "category": "professional",
  "labels": {"language": "DE"}},
 {"voice_id": ""}, 7]}"""


def query(seen: Any) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(seen.target).query))


async def test_a_speech_is_streamed_as_it_comes() -> None:
    frames = (b"ID3\x04", b"\xff\xfb\x90", b"\x00\x01")
    heard = await ask("elevenlabs", RACHEL, Speak(text="Hello"), sound(*frames))

    assert heard.seen.path == f"/v1/text-to-speech/{RACHEL}/stream"
    assert heard.seen.headers["xi-api-key"] == KEY
    assert query(heard.seen) == {"output_format": "mp3_44100_128"}
    assert heard.seen.json == {"text": "Hello"}
    medium = heard.folded.media[0]
    assert isinstance(medium, Medium)
    assert (medium.media_type, medium.data) == ("audio/mpeg", b"".join(frames))
    assert heard.dropped == ()


@pytest.mark.parametrize(
    ("model", "voice", "path", "body", "dropped"),
    [
        (RACHEL, None, RACHEL, {}, ()),
        (RACHEL, "alloy", RACHEL, {}, ("voice: the model's name is one already",)),
        ("eleven_flash_v2_5", RACHEL, RACHEL, {"model_id": "eleven_flash_v2_5"}, ()),
        ("eleven_flash_v2_5", None, VOICE, {"model_id": "eleven_flash_v2_5"}, ()),
        ("eleven_v3", "alloy", VOICE, {"model_id": "eleven_v3"}, ("voice: it is no id of a voice here",)),
    ],
)
async def test_who_speaks_with_which_model(
    model: str, voice: str | None, path: str, body: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    heard = await ask("elevenlabs", model, Speak(text="Hi", voice=voice), sound())
    assert heard.seen.path == f"/v1/text-to-speech/{path}/stream"
    assert heard.seen.json == {"text": "Hi", **body}
    assert heard.dropped == dropped


async def test_how_a_voice_is_to_sound() -> None:
    extra = {
        "stability": 0.3,
        "voice_settings": {"style": 0.1},
        "model_id": "eleven_v3",
        "seed": 7,
        "mood": "sad",
    }
    asked = Speak(text="Hi", speed=3.0, language="de", instructions="sadly", extra=extra)
    heard = await ask("elevenlabs", RACHEL, asked, sound())

    assert heard.seen.json == {
        "text": "Hi",
        "model_id": "eleven_v3",
        "language_code": "de",
        "seed": 7,
        "voice_settings": {"style": 0.1, "stability": 0.3, "speed": 1.2},
    }
    assert heard.dropped == ("mood", "instructions", "speed: kept within 0.7 and 1.2")


@pytest.mark.parametrize(
    ("asked", "format", "path", "type"),
    [
        ({"format": "mp3", "sample_rate": 22050}, "mp3_22050_32", "/stream", "audio/mpeg"),
        ({"format": "opus"}, "opus_48000_96", "/stream", "audio/ogg"),
        ({"format": "pcm"}, "pcm_24000", "/stream", "audio/pcm"),
        ({"format": "pcm", "sample_rate": 16000}, "pcm_16000", "/stream", "audio/pcm"),
        ({"format": "wav"}, "wav_24000", "", "audio/wav"),
        ({"format": "flac"}, "mp3_44100_128", "/stream", "audio/mpeg"),
        ({"sample_rate": 1}, "mp3_44100_128", "/stream", "audio/mpeg"),
        ({"extra": {"output_format": "ulaw_8000"}}, "ulaw_8000", "/stream", "audio/mpeg"),
    ],
)
async def test_formats(asked: dict[str, Any], format: str, path: str, type: str) -> None:
    """A type that the reply does not tell is what was asked for."""
    reply = sound(content_type="application/octet-stream")
    heard = await ask("elevenlabs", RACHEL, Speak(text="Hi", **asked), reply)
    assert query(heard.seen)["output_format"] == format
    assert heard.seen.path.endswith(RACHEL + path)
    medium = heard.folded.media[0]
    assert isinstance(medium, Medium)
    assert medium.media_type == type
    assert bool(heard.dropped) == (asked in ({"format": "flac"}, {"sample_rate": 1}))


async def test_a_sound_effect() -> None:
    asked = Speak(text="A door slams", voice="x", extra={"duration_seconds": 2, "loop": False})
    heard = await ask("elevenlabs", "eleven_text_to_sound_v2", asked, sound())
    assert heard.seen.path == "/v1/sound-generation"
    assert heard.seen.json == {
        "text": "A door slams",
        "model_id": "eleven_text_to_sound_v2",
        "duration_seconds": 2,
        "loop": False,
    }
    assert heard.dropped == ("voice",)


async def test_a_transcript_with_words_and_sentences() -> None:
    asked = Transcribe(audio=WAV, language="en", words=True, speakers=True, prompt="chess", temperature=0.0)
    heard = await ask("elevenlabs", "scribe_v2", asked, said(TRANSCRIPT))

    assert heard.seen.path == "/v1/speech-to-text"
    assert heard.form == [
        ("model_id", "scribe_v2"),
        ("timestamps_granularity", "word"),
        ("diarize", "true"),
        ("language_code", "en"),
        ("temperature", "0.0"),
        ("file", WAV),
    ]
    assert heard.dropped == ("prompt",)
    folded = heard.folded
    assert folded.text == "The first move."
    assert folded.spoken == Spoken("eng", 0.899)
    assert folded.timed == [
        Timed("segment", "The first move.", 0.099, 0.899),
        Timed("word", "The", 0.099, 0.239, confidence=1.0),
        Timed("word", "first", 0.239, 0.599, confidence=1.0),
        Timed("word", "move.", 0.599, 0.899, confidence=1.0),
    ]
    assert folded.usage is not None
    assert folded.usage.audio_ms == 899


async def test_a_recording_that_lies_elsewhere_and_has_several_channels() -> None:
    extra = {"use_multi_channel": True, "keyterms": ["a", "b"], "mood": "sad"}
    asked = Transcribe(audio=Url("https://example.com/call.mp3"), extra=extra)
    heard = await ask("elevenlabs", "scribe_v2", asked, said(CHANNELS))

    assert heard.form == [
        ("model_id", "scribe_v2"),
        ("timestamps_granularity", "none"),
        ("use_multi_channel", "true"),
        ("keyterms", "a"),
        ("keyterms", "b"),
        ("source_url", "https://example.com/call.mp3"),
    ]
    assert heard.dropped == ("mood",)
    assert heard.folded.text == "Hi.\nHello (laughter)"
    assert heard.folded.spoken == Spoken("eng", 3.5)
    assert [(it.text, it.speaker) for it in heard.folded.timed if it.kind == "word"] == [
        ("Hi.", "speaker_0"),
        ("Hello", "speaker_1"),
        ("(laughter)", None),
    ]


async def test_nothing_is_translated_here() -> None:
    with pytest.raises(RhetorError) as refused:
        await ask("elevenlabs", "scribe_v2", Transcribe(audio=WAV, translate=True), said(b"{}"))
    assert refused.value.code is Code.UNSUPPORTED, "another target may be able to"


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b'{"words": []}', b'{"text": 7}', b"[]"])
async def test_what_is_no_transcript(body: bytes) -> None:
    heard = await ask("elevenlabs", "scribe_v2", Transcribe(audio=WAV), said(body))
    assert heard.error.code is Code.PROTOCOL


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (
            401,
            '{"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}',
            Code.UPSTREAM_AUTH,
            "key",
        ),
        (
            401,
            '{"detail": {"status": "quota_exceeded", "message": "no quota"}}',
            Code.UPSTREAM_BILLING,
            "no quota",
        ),
        (404, '{"detail": {"status": "voice_not_found", "message": "gone"}}', Code.MODEL_NOT_FOUND, "gone"),
        (
            429,
            '{"detail": {"type": "rate_limit_error", "code": "concurrent_limit_exceeded", "message": "2"}}',
            Code.RATE_LIMITED,
            "2",
        ),
        (429, '{"detail": {"status": "system_busy", "message": "busy"}}', Code.OVERLOADED, "busy"),
        (
            422,
            '{"detail": [{"loc": ["body", "text"], "msg": "Field required", "type": "missing"}]}',
            Code.INVALID_REQUEST,
            "body.text: Field required",
        ),
        (500, "<html>Oops</html>", Code.UPSTREAM_ERROR, "Oops"),
    ],
)
async def test_refusals(status: int, body: str, code: Code, words: str) -> None:
    with pytest.raises(RhetorError) as refused:
        await ask("elevenlabs", RACHEL, Speak(text="Hi"), fails(status, body=body.encode()))
    assert refused.value.code is code
    assert words in refused.value.message
    assert refused.value.origin == "elevenlabs"


async def test_voices_are_models_and_those_of_ones_own_are_told_apart() -> None:
    speaks = frozenset({Capability.TEXT_TO_AUDIO})
    seen, entries = await listed("elevenlabs", VOICES)
    assert (seen.path, seen.headers["xi-api-key"]) == ("/v1/voices", KEY)
    assert entries == [
        ModelEntry(
            RACHEL,
            "Rachel",
            capabilities=speaks,
            tags=frozenset({"voice", "premade", "american", "female"}),
        ),
        ModelEntry("A" * 20, "Me", capabilities=speaks, tags=frozenset({"voice", "cloned"})),
        ModelEntry(
            "B" * 20, "Me, trained", capabilities=speaks, tags=frozenset({"voice", "professional", "de"})
        ),
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"voices": 7}', b"<html>"])
async def test_what_is_no_list_of_voices(body: bytes) -> None:
    with pytest.raises(RhetorError) as refused:
        await listed("elevenlabs", body)
    assert refused.value.code is Code.PROTOCOL
