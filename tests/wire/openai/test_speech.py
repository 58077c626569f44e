"""Speech: the sound itself and events with it, both directions."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    MediumDelta,
    MediumStarted,
    Started,
    UsageReport,
)
from rhetor.core.media import Speak
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import KEEPALIVE, PLAIN, STREAM_TYPE, Decoder, Outgoing, Quirks, ReplyInfo
from rhetor.wire.openai.speech import SpeechDoor, SpeechEventsDoor, SpeechUpstream
from tests.wire.openai.speech import decode

DOOR, UPSTREAM = SpeechDoor(), SpeechUpstream()
INFO = ReplyInfo("gen", 1, "asked")
STARTED, STOPPED = Started("", ""), Finished(FinishReason.STOP)
# https://developers.openai.com/api/reference/resources/audio/subresources/speech/streaming-events
# (its examples, read 2026-11-21).
DELTA = b'data: {"type":"speech.audio.delta","audio":"UklGRg=="}\n\n'
USAGE = b'{"input_tokens":14,"output_tokens":101,"total_tokens":115}'
DONE = b'data: {"type":"speech.audio.done","usage":%b}\n\n' % USAGE


def parse(**said: Any) -> Request:
    return DOOR.parse(orjson.dumps({"model": "m", "input": "hi", **said}), {})


def build(asked: Speak, model: str = "gpt-4o-mini-tts") -> Outgoing:
    return UPSTREAM.build(
        Request(id="", capability=Capability.TEXT_TO_AUDIO, model="m", input=asked), model, PLAIN
    )


def decoder(content_type: str, **said: Any) -> Decoder:
    original = parse(**said).original
    assert original is not None
    made = UPSTREAM.decoder(True, UPSTREAM.retarget(original, "target", PLAIN))
    made.begin(200, {"content-type": content_type})
    return made


def test_everything_that_has_a_word_and_what_has_none() -> None:
    request = parse(
        voice="coral",
        instructions="whisper",
        response_format="wav",
        sample_rate=24000,
        speed=1.5,
        language="en",
        emotion="glad",
        fallbacks=["a/b"],
    )
    assert request.input == Speak(
        text="hi",
        voice="coral",
        instructions="whisper",
        format="wav",
        sample_rate=24000,
        speed=1.5,
        language="en",
        extra={"emotion": "glad"},
    )
    assert (request.capability, request.stream, request.fallbacks) == (
        Capability.TEXT_TO_AUDIO,
        True,
        ("a/b",),
    )


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"input": None}, "input"),
        ({"speed": "fast"}, "speed"),
        ({"voice": 5}, "voice"),
        ({"voice": {}}, "voice.id"),
    ],
)
def test_a_mistake_is_named_by_its_path(said: Any, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(**said)
    assert refused.value.param == param


def test_a_voice_of_ones_own() -> None:
    request = parse(voice={"id": "voice_1234"})
    assert request.input == Speak(text="hi", voice="voice_1234")
    assert isinstance(request.input, Speak)
    assert orjson.loads(build(request.input).body)["voice"] == {"id": "voice_1234"}


@pytest.mark.parametrize(
    ("model", "takes"), [("gpt-4o-mini-tts", False), ("openai/tts-1", False), ("kokoro", True)]
)
def test_what_is_sent(model: str, takes: bool) -> None:
    """OpenAI's own models refuse what they do not know; other speakers' may well know more."""
    asked = Speak(
        text="hi", instructions="whisper", format="wav", speed=2.0, sample_rate=8000, extra={"x": 1}
    )
    outgoing = build(asked, model)
    assert outgoing.path == "/audio/speech"
    assert orjson.loads(outgoing.body) == {
        "model": model,
        "input": "hi",
        "voice": "alloy",
        "instructions": "whisper",
        "speed": 2.0,
        "response_format": "wav",
        **({"x": 1} if takes else {}),
    }
    assert outgoing.dropped == (("sample_rate",) if takes else ("sample_rate", "x"))


def test_the_callers_own_body() -> None:
    original = DOOR.parse(b'{"model":"m", "input":"hi","stream_format":"sse"}', {}).original
    assert original is not None
    assert (
        UPSTREAM.retarget(original, "t", PLAIN).body == b'{"model":"t", "input":"hi","stream_format":"sse"}'
    )
    refusing = Quirks(drop_fields=frozenset({"stream_format"}))
    outgoing = UPSTREAM.retarget(original, "t", refusing)
    assert (outgoing.body, outgoing.dropped) == (b'{"model":"t","input":"hi"}', ("stream_format",))
    made = UPSTREAM.decoder(True, outgoing)
    made.begin(200, {"content-type": STREAM_TYPE})
    assert not made.has_frames


@pytest.mark.parametrize(
    ("format", "content_type", "meant"),
    [
        (None, "", "audio/mpeg"),
        ("opus", "application/octet-stream", "audio/ogg"),
        ("wav", "audio/x-wav", "audio/x-wav"),
    ],
)
def test_sound(format: str | None, content_type: str, meant: str) -> None:
    made = decoder(content_type, response_format=format)
    assert decode(made, b"RI", b"FF").events == [
        STARTED,
        MediumStarted(0, meant),
        MediumDelta(0, b"RI"),
        MediumDelta(0, b"FF"),
        STOPPED,
    ]
    assert not made.has_frames  # its type is not in it


def test_events() -> None:
    made = decoder(STREAM_TYPE, stream_format="sse", response_format="wav")
    told = decode(made, DELTA + DONE)
    assert told.events == [
        STARTED,
        MediumStarted(0, "audio/wav"),
        MediumDelta(0, b"UklGRg==", base64=True),
        UsageReport(Usage(14, 101)),
        STOPPED,
    ]
    assert (made.has_frames, told.raw) == (True, DELTA + DONE)


def test_events_that_nobody_asked_for() -> None:
    made = decoder(STREAM_TYPE)
    assert decode(made, DELTA + b'data: {"type":"speech.audio.done"}\n\n').events[-1] == STOPPED
    assert not made.has_frames


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        (STREAM_TYPE, DELTA, Code.TRUNCATED),
        (STREAM_TYPE, DONE, Code.PROTOCOL),
        (
            STREAM_TYPE,
            DELTA + b'data: {"type":"speech.audio.error","error":{"message":"x","code":429}}\n\n',
            Code.RATE_LIMITED,
        ),
        ("text/html", b"<html>", Code.PROTOCOL),
        ("application/json", b'{"error":{"message":"x"}}', Code.PROTOCOL),
        ("audio/mpeg", b"", Code.PROTOCOL),
    ],
)
def test_what_is_no_speech_is_a_failure(content_type: str, body: bytes, code: Code) -> None:
    failed = decode(decoder(content_type, stream_format="sse"), *filter(None, [body])).events[-1]
    assert isinstance(failed, Failed)
    assert failed.error.code is code


SPOKEN: list[Event] = [STARTED, MediumStarted(0, "audio/wav"), MediumDelta(0, b"RI"), MediumDelta(0, b"FF")]


def test_sound_is_told_as_it_comes() -> None:
    renderer = DOOR.renderer(parse(response_format="opus"), INFO)
    assert renderer.content_type == "audio/ogg"
    assert [renderer.render([event]) for event in [*SPOKEN, STOPPED]] == [b"", b"", b"RI", b"FF", b""]
    assert renderer.content_type == "audio/wav"


def test_events_are_told_as_they_come() -> None:
    renderer = DOOR.renderer(parse(stream_format="sse"), INFO)
    other: list[Event] = [MediumStarted(1, "image/png"), MediumDelta(1, b"cover")]
    out = renderer.render([*SPOKEN, MediumDelta(0, b64encode(b"x"), base64=True), *other])
    out += renderer.render([UsageReport(Usage(14, 101)), STOPPED])
    frames = [orjson.loads(it.removeprefix(b"data: ")) for it in out.split(b"\n\n")[:-1]]
    assert [it.get("audio") for it in frames] == ["Ukk=", "RkY=", "eA==", None]
    assert frames[-1] == orjson.loads(DONE.removeprefix(b"data: "))
    assert renderer.content_type == STREAM_TYPE


def test_a_failure_has_words_in_events_only() -> None:
    broken = Failed(UpstreamError("gone", Code.TRUNCATED))
    for ending in (broken, STOPPED):
        out = DOOR.renderer(parse(stream_format="sse"), INFO).render([STARTED, ending])
        assert b'"error"' in out
        with pytest.raises(UpstreamError):
            DOOR.renderer(parse(), INFO).render([STARTED, ending])


def test_only_events_are_kept_alive() -> None:
    assert (DOOR.keepalive, SpeechEventsDoor().keepalive) == (b"", KEEPALIVE)
