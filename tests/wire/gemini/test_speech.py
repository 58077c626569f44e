"""Speech: samples, which become a file unless they are wanted bare."""

from __future__ import annotations

import io
import wave
from base64 import b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.errors import Code
from rhetor.core.events import Event, Failed, Finished, FinishReason, MediumDelta, MediumStarted, UsageReport
from rhetor.core.media import Speak
from rhetor.core.usage import Usage
from rhetor.wire.base import PLAIN, Decoder, Outgoing
from rhetor.wire.gemini.speech import Speech, wav_header
from tests.wire.gemini.speaking import frames, media_of, reply, request_of, told, usage
from tests.wire.strategies import splits

MODEL = "gemini-3.1-flash-tts"
SAMPLES = bytes(range(200)) * 4
KIND = "audio/L16;codec=pcm;rate=24000"


def asked(speak: Speak, stream: bool = False) -> tuple[Any, Outgoing]:
    outgoing = Speech().build(request_of(speak, Capability.TEXT_TO_AUDIO, stream), MODEL, PLAIN)
    return orjson.loads(outgoing.body), outgoing


def decoder(format: Any = None, stream: bool = False) -> Decoder:
    return Speech().decoder(stream, asked(Speak(text="Hi", format=format), stream)[1])


def sounding(samples: bytes, kind: str = KIND, **more: Any) -> dict[str, object]:
    return reply({"inlineData": {"mimeType": kind, "data": b64encode(samples).decode()}}, **more)


STREAM = frames(
    sounding(SAMPLES[:300], reason=None), sounding(SAMPLES[300:], reason=None), reply(**usage(5, 80))
)


def test_a_voice_and_how_it_should_speak() -> None:
    body, outgoing = asked(
        Speak(
            text="Hi",
            voice="Puck",
            instructions="Say cheerfully:",
            language="de-DE",
            format="mp3",
            speed=1.5,
            sample_rate=8000,
            extra={"mood": 1},
        )
    )
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "Say cheerfully: Hi"}]}],
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "speechConfig": {
                "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}},
                "languageCode": "de-DE",
            },
        },
    }
    assert outgoing.dropped == ("format: mp3 became wav", "sample_rate: 24000", "speed", "extra.mood")


def test_whole_speech_is_a_file() -> None:
    events = told(decoder(), orjson.dumps(sounding(SAMPLES, **usage(5, 80))))
    [medium] = media_of(events)
    assert medium.media_type == "audio/wav"
    with wave.open(io.BytesIO(medium.data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        assert file.readframes(file.getnframes()) == SAMPLES
    assert events[-2:] == [UsageReport(Usage(5, 80)), Finished(FinishReason.STOP)]


def test_bare_samples_are_told_as_they_are() -> None:
    events = told(decoder("pcm"), orjson.dumps(sounding(SAMPLES, "audio/L16;codec=pcm;rate=16000")))
    assert MediumStarted(0, "audio/pcm;rate=16000") in events
    assert MediumDelta(0, SAMPLES) in events


def test_what_is_packed_already_stays_so() -> None:
    events = told(decoder(), orjson.dumps(sounding(b"ID3", "audio/mpeg")))
    assert MediumStarted(0, "audio/mpeg") in events
    assert MediumDelta(0, b"ID3") in events


@given(splits(STREAM))
def test_streamed_speech_has_one_header_however_it_is_cut(pieces: list[bytes]) -> None:
    [medium] = media_of(told(decoder(stream=True), pieces))
    assert medium.data == wav_header(24_000, None) + SAMPLES


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (reply({"text": "I cannot speak."}), Code.PROTOCOL),
        (reply(reason="OTHER"), Code.PROTOCOL),
        ({"promptFeedback": {"blockReason": "OTHER"}}, Code.CONTENT_POLICY),
        ({"error": {"code": 500, "status": "INTERNAL"}}, Code.UPSTREAM_ERROR),
        (reply({"inlineData": {"mimeType": KIND, "data": "?"}}), Code.PROTOCOL),
        (sounding(SAMPLES, reason=None), Code.TRUNCATED),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_silence_is_no_success(said: object, code: Code, stream: bool) -> None:
    *_, last = told(decoder(stream=stream), frames(said) if stream else orjson.dumps(said))
    assert isinstance(last, Failed)
    assert last.error.code is code


def test_a_page_is_no_speech() -> None:
    *_, last = told(decoder(), b"<html>")
    assert isinstance(last, Failed)
    assert last.error.code is Code.PROTOCOL


@given(st.binary(max_size=400))
def test_noise_is_read_inside_the_grammar(noise: bytes) -> None:
    events: list[Event] = told(decoder(stream=True), noise)
    assert isinstance(events[-1], Failed)
