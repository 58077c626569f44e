"""Transcripts that are asked for and heard: forms, six formats, streams."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Spoken,
    Started,
    TextDelta,
    Timed,
    UsageReport,
)
from rhetor.core.media import Bytes, Transcribe
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import JSON_TYPE, PLAIN, STREAM_TYPE, Decoder, Outgoing, ReplyInfo
from rhetor.wire.multipart import FormField, build_form, parse_form
from rhetor.wire.openai.transcripts import TranscriptsDoor, TranscriptsUpstream
from rhetor.wire.sse import frame
from tests.wire.openai.speech import decode

FILE = Bytes("audio/wav", b"RIFF", "a.wav")
INFO = ReplyInfo("gen", 1, "asked")
UPSTREAM = TranscriptsUpstream()
STARTED, STOPPED = Started("", ""), Finished(FinishReason.STOP)
TEXT = "text/plain; charset=utf-8"

# https://developers.openai.com/api/reference/resources/audio/subresources/transcriptions, its examples
# (read 2026-11-21).
VERBOSE = b"""{
  "task": "transcribe",
  "language": "english",
  "duration": 8.470000267028809,
  "text": "The beach was a popular spot on a hot summer day.",
  "segments": [{
    "id": 0, "seek": 0, "start": 0.0, "end": 3.319999933242798,
    "text": " The beach was a popular spot on a hot summer day.",
    "tokens": [50364, 440, 7534], "temperature": 0.0, "avg_logprob": -0.2860786020755768,
    "compression_ratio": 1.2363636493682861, "no_speech_prob": 0.00985979475080967
  }],
  "usage": {"type": "duration", "seconds": 9}
}"""
STREAM = [
    b'data: {"type":"transcript.text.delta","delta":"I",'
    b'"logprobs":[{"token":"I","logprob":-0.1,"bytes":[73]}]}\n\n',
    b'data: {"type":"transcript.text.delta","delta":" see"}\n\n',
    b'data: {"type":"transcript.text.done","text":"I see","usage":{"type":"tokens","input_tokens":14,'
    b'"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":45,"total_tokens":59}}\n\n',
]
SEGMENT = b'{"type":"transcript.text.segment","start":1,"end":2,"text":"a","speaker":"B"}'
HELLO = Timed("segment", "Hello.", 0, 1.5)
DIARIZED = b"""{"task":"transcribe","duration":27.4,"text":"Agent: Thanks","segments":[
{"type":"transcript.text.segment","id":"seg_001","start":0.0,"end":4.7,"text":"Thanks","speaker":"agent"}],
"usage":{"type":"duration","seconds":28}}"""


def parse(*fields: FormField, translate: bool = False) -> Request:
    body, content_type = build_form([("model", "m"), ("file", FILE), *fields])
    return TranscriptsDoor(translate).parse(body, {"content-type": content_type})


def build(asked: Transcribe, model: str = "whisper-1", stream: bool = False) -> Outgoing:
    request = Request(id="", capability=Capability.AUDIO_TO_TEXT, model="m", input=asked, stream=stream)
    return UPSTREAM.build(request, model, PLAIN)


def decoder(content_type: str, *fields: FormField, stream: bool = False) -> Decoder:
    original = parse(*fields).original
    assert original is not None
    made = UPSTREAM.decoder(stream, UPSTREAM.retarget(original, "target", PLAIN))
    made.begin(200, {"content-type": content_type})
    return made


class TestAsked:
    def test_everything_that_has_a_word(self) -> None:
        request = parse(
            ("language", "en"),
            ("prompt", "Rhetor"),
            ("temperature", "0.2"),
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"),
            ("include[]", "logprobs"),
            ("tier", "best"),
            ("stream", "true"),
            ("fallbacks[]", "a/b"),
        )
        assert request.input == Transcribe(
            audio=FILE,
            language="en",
            prompt="Rhetor",
            temperature=0.2,
            segments=True,
            words=True,
            extra={"tier": "best"},
        )
        assert (request.stream, request.fallbacks, request.unsaid) == (True, ("a/b",), ("include",))

    @pytest.mark.parametrize(
        ("format", "granularity", "wanted"),
        [
            (None, None, (False, False, False)),
            ("text", None, (False, False, False)),
            ("srt", None, (True, False, False)),
            ("vtt", None, (True, False, False)),
            ("verbose_json", None, (True, False, False)),
            ("verbose_json", "word", (False, True, False)),
            ("diarized_json", None, (True, False, True)),
        ],
    )
    def test_what_a_format_needs(self, format: str | None, granularity: str | None, wanted: Any) -> None:
        said = [("response_format", format), ("timestamp_granularities", granularity)]
        asked = parse(*((name, text) for name, text in said if text is not None)).input
        assert isinstance(asked, Transcribe)
        assert (asked.segments, asked.words, asked.speakers) == wanted

    @pytest.mark.parametrize(
        ("fields", "param"),
        [([("response_format", "docx")], "response_format"), ([("temperature", "hot")], "temperature")],
    )
    def test_a_mistake_is_named(self, fields: list[FormField], param: str) -> None:
        with pytest.raises(BadRequest) as refused:
            parse(*fields)
        assert refused.value.param == param

    def test_a_recording_is_a_file_in_a_form(self) -> None:
        with pytest.raises(BadRequest, match="in a form"):
            TranscriptsDoor().parse(b"{}", {"content-type": JSON_TYPE})
        body, content_type = build_form([("model", "m"), ("file", "words")])
        with pytest.raises(BadRequest, match="file is missing"):
            TranscriptsDoor().parse(body, {"content-type": content_type})


class TestSent:
    @pytest.mark.parametrize(
        ("asked", "model", "said"),
        [
            (Transcribe(audio=FILE, language="en", prompt="p", temperature=0.5), "whisper-1", {
                "response_format": "json", "language": "en", "prompt": "p", "temperature": "0.5",
            }),
            (Transcribe(audio=FILE, segments=True, words=True), "whisper-1", {
                "response_format": "verbose_json", "timestamp_granularities[]": ["segment", "word"],
            }),
            (Transcribe(audio=FILE, segments=True, speakers=True), "gpt-4o-transcribe-diarize", {
                "response_format": "diarized_json", "chunking_strategy": "auto",
            }),
            (Transcribe(audio=FILE, extra={"tier": 1, "keywords": ["a"]}), "whisper-large-v3", {
                "response_format": "json", "tier": "1", "keywords[]": ["a"],
            }),
        ],
    )  # fmt: skip
    def test_as_much_as_is_wanted(self, asked: Transcribe, model: str, said: dict[str, Any]) -> None:
        outgoing = build(asked, model)
        form = parse_form(outgoing.body, outgoing.headers["content-type"])
        flat = [
            (name, it)
            for name, texts in said.items()
            for it in (texts if isinstance(texts, list) else [texts])
        ]
        assert form == [("model", model), *flat, ("file", FILE)]
        assert (outgoing.path, outgoing.dropped) == ("/audio/transcriptions", ())

    def test_a_translation(self) -> None:
        outgoing = build(Transcribe(audio=FILE, translate=True, language="de", segments=True))
        assert (outgoing.path, outgoing.dropped) == ("/audio/translations", ("language",))
        form = parse_form(outgoing.body, outgoing.headers["content-type"])
        assert ("response_format", "verbose_json") in form
        original = parse(translate=True).original
        assert original is not None
        assert UPSTREAM.retarget(original, "m", PLAIN).path == "/audio/translations"

    @pytest.mark.parametrize(
        ("asked", "model"),
        [
            (Transcribe(audio=FILE, segments=True), "gpt-4o-transcribe"),
            (Transcribe(audio=FILE, words=True), "gpt-4o-transcribe-diarize"),
            (Transcribe(audio=Url("https://x.test/a.wav")), "whisper-1"),
        ],
    )
    def test_what_a_model_cannot_do_the_next_target_may(self, asked: Transcribe, model: str) -> None:
        with pytest.raises(BadRequest) as refused:
            build(asked, model)
        assert refused.value.code is Code.UNSUPPORTED

    def test_what_openais_models_refuse_is_not_sent(self) -> None:
        outgoing = build(Transcribe(audio=FILE, speakers=False, extra={"tier": 1, "include": ["logprobs"]}))
        assert outgoing.dropped == ("tier",)
        assert b"stream" in build(Transcribe(audio=FILE), "gpt-4o-transcribe", stream=True).body
        assert b"stream" not in build(Transcribe(audio=FILE), "whisper-1", stream=True).body


class TestHeard:
    def test_with_times(self) -> None:
        made = decoder(JSON_TYPE, ("response_format", "verbose_json"))
        told = decode(made, VERBOSE)
        text = "The beach was a popular spot on a hot summer day."
        sure = math.exp(-0.2860786020755768)
        assert told.events == [
            STARTED,
            TextDelta(text),
            Timed("segment", text, 0.0, 3.319999933242798, confidence=sure),
            Spoken("english", 9.0),
            UsageReport(Usage(audio_ms=9000)),
            STOPPED,
        ]
        assert (made.has_frames, told.raw) == (True, VERBOSE)

    def test_with_speakers(self) -> None:
        events = decode(decoder(JSON_TYPE, ("response_format", "diarized_json")), DIARIZED).events
        assert Timed("segment", "Thanks", 0.0, 4.7, "agent") in events

    @pytest.mark.parametrize(
        ("format", "body", "events"),
        [
            ("text", b"Hello.\n", [TextDelta("Hello.")]),
            ("srt", b"1\n00:00:00,000 --> 00:00:01,500\nHello.\n\n", [TextDelta("Hello."), HELLO]),
            ("vtt", b"WEBVTT\n\n00:00.000 --> 00:01.500\nHello.\n\n", [TextDelta("Hello."), HELLO]),
        ],
    )
    def test_as_text(self, format: str, body: bytes, events: list[Event]) -> None:
        made = decoder(TEXT, ("response_format", format))
        told = decode(made, body)
        assert (told.events, told.raw) == ([STARTED, *events, STOPPED], body)
        assert made.has_frames

    def test_as_it_comes(self) -> None:
        made = decoder(STREAM_TYPE, ("stream", "true"), stream=True)
        told = decode(made, *STREAM)
        assert told.events == [
            STARTED,
            TextDelta("I", [{"token": "I", "logprob": -0.1, "bytes": [73]}]),
            TextDelta(" see"),
            UsageReport(Usage(14, 45)),
            STOPPED,
        ]
        assert (made.has_frames, told.raw) == (True, b"".join(STREAM))

    @pytest.mark.parametrize(
        ("frames", "events"),
        [
            ([STREAM[2]], [TextDelta("I see"), UsageReport(Usage(14, 45))]),
            ([STREAM[1], frame(b"[DONE]")], [TextDelta(" see")]),
            (
                [frame(SEGMENT), STREAM[2]],
                [Timed("segment", "a", 1, 2, "B"), TextDelta("I see"), UsageReport(Usage(14, 45))],
            ),
        ],
    )
    def test_streams_of_others(self, frames: list[bytes], events: list[Event]) -> None:
        assert decode(decoder(STREAM_TYPE, stream=True), *frames).events == [STARTED, *events, STOPPED]

    @pytest.mark.parametrize(
        ("content_type", "format", "stream", "body"),
        [
            (JSON_TYPE, "text", False, b'{"text":"Hello."}'),
            (TEXT, "json", False, b"Hello.\n"),
            (JSON_TYPE, "json", True, b'{"text":"Hello."}'),
            (STREAM_TYPE, "json", False, b'data: {"type":"transcript.text.done","text":"Hello."}\n\n'),
        ],
    )
    def test_who_answers_otherwise_is_understood(
        self, content_type: str, format: str, stream: bool, body: bytes
    ) -> None:
        made = decoder(content_type, ("response_format", format), stream=stream)
        assert decode(made, body).events == [STARTED, TextDelta("Hello."), STOPPED]
        assert not made.has_frames

    @pytest.mark.parametrize(
        ("content_type", "fields", "body", "code"),
        [
            (JSON_TYPE, [], b'{"error":{"message":"x","code":"rate_limit_exceeded"}}', Code.RATE_LIMITED),
            (JSON_TYPE, [], b"{}", Code.PROTOCOL),
            (JSON_TYPE, [], b'{"text":"Hel', Code.PROTOCOL),
            ("text/html", [("response_format", "text")], b"<html>", Code.PROTOCOL),
            (JSON_TYPE, [("response_format", "verbose_json")], b'{"text":"a"}', Code.UNSUPPORTED),
            (
                JSON_TYPE,
                [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")],
                b'{"text":"a","segments":[{"text":"a"}]}',
                Code.UNSUPPORTED,
            ),
        ],
    )
    def test_what_is_no_transcript_is_a_failure(
        self, content_type: str, fields: list[FormField], body: bytes, code: Code
    ) -> None:
        failed = decode(decoder(content_type, *fields), body).events[-1]
        assert isinstance(failed, Failed)
        assert failed.error.code is code

    def test_nobody_speaks(self) -> None:
        silent = b'{"text":"","segments":[],"duration":"3.5"}'
        events = decode(decoder(JSON_TYPE, ("response_format", "verbose_json")), silent).events
        assert events[-3:] == [Spoken(None, 3.5), UsageReport(Usage(audio_ms=3500)), STOPPED]
