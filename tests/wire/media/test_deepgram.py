"""Deepgram: options in the query, recordings as they are, words, voices that are models."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Inline, Url
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Medium, Spoken, Timed
from rhetor.core.media import Bytes, Speak, Transcribe
from rhetor.testing import fails
from rhetor.wire.base import ModelEntry
from tests.wire.media.calling import KEY, ask, listed, said, sound

pytestmark = pytest.mark.usefixtures("no_leaks")

WAV = Bytes("audio/wav", b"RIFF....", "hello.wav")

# Recorded by the vendor, shortened:
# https://github.com/deepgram/deepgram-python-sdk/blob/main/tests/response_data/listen/rest (read 2026-11-21).
TRANSCRIPT = b"""{"metadata": {"transaction_key": "deprecated",
 "request_id": "f3993870-9318-415d-9303-ad0fa2af43d2",
 "sha256": "5324da68ede209a16ac69a38e8cd29cee4d754434a041166cda3a1f5e0b24566",
 "created": "2025-05-09T20:14:12.218Z", "duration": 17.566313, "channels": 1,
 "models": ["3b3aabe4-608a-46ac-9585-7960a25daf1a"], "model_info": {"3b3aabe4-608a-46ac-9585-7960a25daf1a":
 {"name": "general-nova-3", "version": "2024-12-20.0", "arch": "nova-3"}}}, "results": {"channels": [
 {"alternatives": [{"transcript": "Yep. Life moves pretty fast.", "confidence": 0.999143, "words": [
 {"word": "yep", "start": 5.52, "end": 6.2400002, "confidence": 0.92342806, "punctuated_word": "Yep."},
 {"word": "life", "start": 10.071313, "end": 10.311313, "confidence": 0.9990013, "punctuated_word": "Life"},
 {"word": "moves", "start": 10.311313, "end": 10.631312, "confidence": 0.9996643, "punctuated_word": "moves"},
 {"word": "pretty", "start": 10.631312, "end": 11.031313, "confidence": 0.9998, "punctuated_word": "pretty"},
 {"word": "fast", "start": 11.031313, "end": 11.671312, "confidence": 0.9989686, "punctuated_word": "fast."}],
 "paragraphs": {"transcript": "", "paragraphs": [{"sentences": [
  {"text": "Yep.", "start": 5.52, "end": 6.2400002},
  {"text": "Life moves pretty fast.", "start": 10.071313, "end": 11.671312}],
 "start": 5.52, "end": 15.5113125, "num_words": 28}]}}]}]}}"""

# With speakers, after the vendor's SDK for Python 7.17.0, ListenV1Response.
SPEAKERS = b"""{"metadata": {"request_id": "r1", "duration": 4.0, "channels": 2}, "results": {
 "channels": [
  {"detected_language": "es", "alternatives": [{"transcript": "Hola.", "confidence": 0.9, "words": [
   {"word": "hola", "punctuated_word": "Hola.", "start": 0.5, "end": 1.0, "confidence": 0.9,
    "speaker": 0}]}]},
  {"alternatives": [{"transcript": "Bien.", "confidence": 0.8, "words": []}]}],
 "utterances": [
  {"start": 0.5, "end": 1.0, "confidence": 0.9, "channel": 0, "transcript": "Hola.", "speaker": 0},
  {"start": 2.0, "end": 3.0, "confidence": 0.8, "channel": 1, "transcript": "Bien.", "speaker": 1}]}}"""

# https://developers.deepgram.com/reference/manage/models/list (read 2026-11-21).
MODELS = b"""{"stt": [
 {"name": "nova-3", "canonical_name": "nova-3", "architecture": "nova-3", "languages": ["en", "en-us"],
  "version": "2021-11-10.1", "uuid": "1", "batch": true, "streaming": true, "formatted_output": false},
 {"name": "nova-3", "canonical_name": "nova-3", "languages": ["en"], "version": "older", "batch": true},
 {"name": "flux", "canonical_name": "flux-general-en", "batch": false, "streaming": true}],
 "tts": [{"name": "zeus", "canonical_name": "aura-2-zeus-en", "architecture": "aura-2", "languages": ["en"],
  "version": "1", "uuid": "2", "metadata": {"accent": "American", "age": "Adult", "color": "#C58DFF",
  "tags": ["masculine", "deep"], "use_cases": ["IVR"]}}], "languages": {"en": "English"}}"""


def query(seen: Any) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(seen.target).query)


async def test_a_recording_is_sent_as_it_is() -> None:
    heard = await ask("deepgram", "nova-3", Transcribe(audio=WAV), said(TRANSCRIPT))

    assert heard.seen.path == "/v1/listen"
    assert query(heard.seen) == [("model", "nova-3"), ("smart_format", "true"), ("detect_language", "true")]
    assert heard.seen.headers["authorization"] == f"Token {KEY}"
    assert heard.seen.headers["content-type"] == "audio/wav"
    assert heard.seen.body == WAV.data
    folded = heard.folded
    assert folded.id == "f3993870-9318-415d-9303-ad0fa2af43d2"
    assert folded.text == "Yep. Life moves pretty fast."
    assert folded.spoken == Spoken(None, 17.566313)
    assert folded.usage is not None
    assert folded.usage.audio_ms == 17_566


async def test_sentences_are_where_the_vendor_sees_them() -> None:
    heard = await ask("deepgram", "nova-3", Transcribe(audio=WAV, words=True), said(TRANSCRIPT))
    (channel,) = orjson.loads(TRANSCRIPT)["results"]["channels"]
    (paragraph,) = channel["alternatives"][0]["paragraphs"]["paragraphs"]
    assert [(it.text, it.start_s, it.end_s) for it in heard.folded.timed if it.kind == "segment"] == [
        (it["text"], it["start"], it["end"]) for it in paragraph["sentences"]
    ]
    assert heard.folded.timed[-1] == Timed("word", "fast.", 11.031313, 11.671312, None, 0.9989686)


async def test_who_says_what_in_several_channels() -> None:
    asked = Transcribe(
        audio=Url("https://example.com/call.wav"),
        language="es",
        speakers=True,
        prompt="chess",
        temperature=0.2,
        extra={
            "multichannel": True,
            "keyterm": ["a", "b"],
            "smart_format": False,
            "callback": "https://x.example",
        },
    )
    heard = await ask("deepgram", "nova-3", asked, said(SPEAKERS))

    assert query(heard.seen) == [
        ("model", "nova-3"),
        ("smart_format", "false"),
        ("language", "es"),
        ("utterances", "true"),
        ("diarize", "true"),
        ("multichannel", "true"),
        ("keyterm", "a"),
        ("keyterm", "b"),
    ]
    assert heard.seen.json == {"url": "https://example.com/call.wav"}
    assert heard.seen.headers["content-type"] == "application/json"
    assert heard.dropped == ("prompt", "temperature", "callback")
    assert heard.folded.text == "Hola.\nBien."
    assert heard.folded.spoken == Spoken("es", 4.0)
    assert heard.folded.timed == [
        Timed("segment", "Hola.", 0.5, 1.0, "0", 0.9),
        Timed("segment", "Bien.", 2.0, 3.0, "1", 0.8),
        Timed("word", "Hola.", 0.5, 1.0, "0", 0.9),
    ]


async def test_what_cannot_be_said_here() -> None:
    for asked in (
        Transcribe(audio=WAV, translate=True),
        Transcribe(audio=WAV, extra={"deep": {"er": 1}}),
        Transcribe(audio=Inline("audio/wav", "no base64!")),
    ):
        with pytest.raises(BadRequest):
            await ask("deepgram", "nova-3", asked, said(b"{}"))


@pytest.mark.parametrize(
    "body", [b"", b"<html>busy</html>", b'{"results": {"channels": []}}', b'{"results": 7}']
)
async def test_what_is_no_transcript(body: bytes) -> None:
    heard = await ask("deepgram", "nova-3", Transcribe(audio=WAV), said(body))
    assert heard.error.code is Code.PROTOCOL


@pytest.mark.parametrize(
    ("asked", "options", "type", "dropped"),
    [
        ({}, {"encoding": "mp3"}, "audio/mpeg", ()),
        ({"format": "opus"}, {"encoding": "opus", "container": "ogg"}, "audio/ogg", ()),
        ({"format": "aac"}, {"encoding": "aac"}, "audio/aac", ()),
        (
            {"format": "wav"},
            {"encoding": "linear16", "container": "wav", "sample_rate": "24000"},
            "audio/wav",
            (),
        ),
        (
            {"format": "pcm", "sample_rate": 16000},
            {"encoding": "linear16", "container": "none", "sample_rate": "16000"},
            "audio/pcm",
            (),
        ),
        ({"format": "amr"}, {"encoding": "mp3"}, "audio/mpeg", ("format: mp3 instead",)),
        ({"sample_rate": 16000}, {"encoding": "mp3"}, "audio/mpeg", ("sample_rate",)),
        (
            {"speed": 9.0, "instructions": "sadly", "language": "en", "extra": {"bit_rate": 48000}},
            {"encoding": "mp3", "speed": "1.5", "bit_rate": "48000"},
            "audio/mpeg",
            ("instructions", "language", "speed: kept within 0.7 and 1.5"),
        ),
    ],
)
async def test_speech(
    asked: dict[str, Any], options: dict[str, str], type: str, dropped: tuple[str, ...]
) -> None:
    reply = sound(b"one", b"two", content_type="application/octet-stream")
    heard = await ask("deepgram", "aura-2-thalia-en", Speak(text="Hello", **asked), reply)
    assert heard.seen.path == "/v1/speak"
    assert dict(query(heard.seen)) == {"model": "aura-2-thalia-en", **options}
    assert heard.seen.json == {"text": "Hello"}
    assert heard.dropped == dropped
    medium = heard.folded.media[0]
    assert isinstance(medium, Medium)
    assert (medium.media_type, medium.data) == (type, b"onetwo")


@pytest.mark.parametrize(
    ("model", "voice", "spoken", "dropped"),
    [
        ("aura-2", "aura-2-zeus-en", "aura-2-zeus-en", ()),
        ("aura-2-zeus-en", "aura-2-zeus-en", "aura-2-zeus-en", ()),
        ("aura-2-zeus-en", "alloy", "aura-2-zeus-en", ("voice: the model's name is one already",)),
    ],
)
async def test_a_voice_is_a_model(model: str, voice: str, spoken: str, dropped: tuple[str, ...]) -> None:
    heard = await ask("deepgram", model, Speak(text="Hi", voice=voice), sound())
    assert dict(query(heard.seen))["model"] == spoken
    assert heard.dropped == dropped


# https://developers.deepgram.com/reference/errors (read 2026-11-21).
@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (
            401,
            '{"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": "u"}',
            "auth",
            "key",
        ),
        (
            402,
            '{"err_code": "ASR_PAYMENT_REQUIRED", "err_msg": "no credits", "request_id": "u"}',
            "billing",
            "no",
        ),
        (429, '{"err_code": "TOO_MANY_REQUESTS", "err_msg": "slow down", "request_id": "u"}', "rate", "slow"),
        (
            400,
            '{"err_code": "Bad Request", "err_msg": "corrupt or unsupported data", "request_id": "u"}',
            "invalid",
            "corrupt or unsupported data",
        ),
        (
            400,
            '{"category": "INVALID_JSON", "message": "Invalid JSON submitted.", "request_id": "u"}',
            "invalid",
            "JSON",
        ),
    ],
)
async def test_refusals(status: int, body: str, code: str, words: str) -> None:
    codes = {
        "auth": Code.UPSTREAM_AUTH,
        "billing": Code.UPSTREAM_BILLING,
        "rate": Code.RATE_LIMITED,
        "invalid": Code.INVALID_REQUEST,
    }
    with pytest.raises(RhetorError) as refused:
        await ask("deepgram", "nova-3", Transcribe(audio=WAV), fails(status, body=body.encode()))
    assert refused.value.code is codes[code]
    assert words in refused.value.message


async def test_the_list_of_models() -> None:
    """Each once, and none that only hears live streams."""
    seen, entries = await listed("deepgram", MODELS)
    assert (seen.path, seen.headers["authorization"]) == ("/v1/models", f"Token {KEY}")
    assert entries == [
        ModelEntry(
            "nova-3",
            "nova-3",
            capabilities=frozenset({Capability.AUDIO_TO_TEXT}),
            tags=frozenset({"en"}),
        ),
        ModelEntry(
            "aura-2-zeus-en",
            "zeus",
            capabilities=frozenset({Capability.TEXT_TO_AUDIO}),
            tags=frozenset({"american", "masculine", "deep", "en"}),
        ),
    ]
    with pytest.raises(RhetorError):
        await listed("deepgram", b'{"models": []}')
