"""Transcripts that are told: in six formats and as streams, with whatever times there are."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, UpstreamError
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
from rhetor.core.media import Bytes
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import JSON_TYPE, STREAM_TYPE, Renderer, ReplyInfo
from rhetor.wire.multipart import FormField, build_form
from rhetor.wire.openai.transcripts import TranscriptsDoor
from rhetor.wire.openai.transcripts.cues import read_cues, segments_of, srt, vtt

FILE = Bytes("audio/wav", b"RIFF", "a.wav")
STARTED, STOPPED = Started("", "served"), Finished(FinishReason.STOP)
SAID: list[Event] = [STARTED, TextDelta("Good day. "), TextDelta("Well.")]
SEGMENTS: list[Event] = [
    Timed("segment", "Good day.", 0.0, 1.5, "A", 0.5),
    Timed("segment", "Well.", 3661.25, 3662.0, "B"),
]
WORDS: list[Event] = [
    Timed("word", "Good", 0.0, 0.5),
    Timed("word", "day.", 0.5, 1.5),
    Timed("word", "Well.", 3661.25, 3662.0),
]
SRT = "1\n00:00:00,000 --> 00:00:01,500\nGood day.\n\n2\n01:01:01,250 --> 01:01:02,000\nWell.\n\n"
VTT = "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nGood day.\n\n01:01:01.250 --> 01:01:02.000\nWell.\n\n"


def request(*fields: FormField, translate: bool = False) -> Request:
    body, content_type = build_form([("model", "m"), ("file", FILE), *fields])
    return TranscriptsDoor(translate).parse(body, {"content-type": content_type})


def renderer(format: str, *fields: FormField, translate: bool = False) -> Renderer:
    asked = request(("response_format", format), *fields, translate=translate)
    return TranscriptsDoor().renderer(asked, ReplyInfo("gen", 1, "asked"))


def told(format: str, events: list[Event], *fields: FormField, translate: bool = False) -> Any:
    return orjson.loads(renderer(format, *fields, translate=translate).render([*events, STOPPED]))


@pytest.mark.parametrize("times", [SEGMENTS, WORDS, [*SEGMENTS, *WORDS]], ids=["segments", "words", "both"])
@pytest.mark.parametrize(
    ("format", "content_type", "expected"),
    [
        ("text", "text/plain; charset=utf-8", "Good day. Well.\n"),
        ("srt", "text/plain; charset=utf-8", SRT),
        ("vtt", "text/vtt; charset=utf-8", VTT),
    ],
)
def test_as_text(format: str, content_type: str, expected: str, times: list[Event]) -> None:
    made = renderer(format)
    assert made.render([*SAID, *times, STOPPED]).decode() == expected
    assert made.content_type == content_type


@pytest.mark.parametrize(
    ("report", "usage"),
    [
        ([], {}),
        ([UsageReport(Usage(audio_ms=1500))], {"usage": {"type": "duration", "seconds": 1.5}}),
        ([Spoken("en", 2.0)], {"usage": {"type": "duration", "seconds": 2.0}}),
        (
            [UsageReport(Usage(14, 45, audio_ms=1))],
            {"usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}},
        ),
    ],
)
def test_as_an_object(report: list[Event], usage: Any) -> None:
    assert told("json", [*SAID, *SEGMENTS, *report]) == {"text": "Good day. Well.", **usage}
    assert renderer("json").content_type == JSON_TYPE


def test_with_times() -> None:
    both = [("timestamp_granularities[]", "segment"), ("timestamp_granularities[]", "word")]
    said = told(
        "verbose_json", [*SAID, *SEGMENTS, *WORDS, Spoken("english", 9.0)], *both, ("temperature", "0.5")
    )
    assert {name: said[name] for name in ("task", "language", "duration", "text")} == {
        "task": "transcribe",
        "language": "english",
        "duration": 9.0,
        "text": "Good day. Well.",
    }
    first, second = said["segments"]
    assert (first["id"], first["start"], first["end"], first["text"]) == (0, 0.0, 1.5, "Good day.")
    assert (first["avg_logprob"], first["temperature"]) == (math.log(0.5), 0.5)
    assert (second["id"], second["seek"], second["avg_logprob"]) == (1, 366_125, 0.0)
    assert said["words"][1] == {"word": "day.", "start": 0.5, "end": 1.5}


def test_with_the_times_of_words_only() -> None:
    said = told("verbose_json", [*SAID, *WORDS], ("timestamp_granularities[]", "word"), ("language", "en"))
    assert "segments" not in said
    assert (said["language"], said["duration"]) == ("en", 3662.0)


def test_a_translation() -> None:
    assert told("verbose_json", [*SAID, *SEGMENTS], translate=True)["task"] == "translate"


def test_with_speakers() -> None:
    said = told("diarized_json", [*SAID, *SEGMENTS])
    assert said["segments"][1] == {
        "type": "transcript.text.segment",
        "id": "seg_1",
        "start": 3661.25,
        "end": 3662.0,
        "text": "Well.",
        "speaker": "B",
    }
    assert (said["task"], said["duration"], said["text"]) == ("transcribe", 3662.0, "Good day. Well.")


@pytest.mark.parametrize(
    ("format", "fields", "times", "words"),
    [
        ("srt", [], [], "srt cannot be had: served does not tell when anything is said"),
        ("vtt", [], [], "when anything is said"),
        ("verbose_json", [], [], "when anything is said"),
        ("verbose_json", [("timestamp_granularities[]", "word")], SEGMENTS, "when each word is said"),
        ("diarized_json", [], WORDS, "who speaks"),
    ],
)
def test_what_nobody_told_cannot_be_rendered(
    format: str, fields: list[FormField], times: list[Event], words: str
) -> None:
    with pytest.raises(UpstreamError, match=words) as refused:
        told(format, [*SAID, *times], *fields)
    assert (refused.value.code, refused.value.param) == (Code.UNSUPPORTED, "response_format")


@pytest.mark.parametrize(
    ("format", "begun"),
    [("text", b"\n"), ("srt", b""), ("vtt", b"WEBVTT\n\n"), ("verbose_json", b"{"), ("diarized_json", b"{")],
)
def test_where_nobody_speaks_there_are_no_times(format: str, begun: bytes) -> None:
    said = renderer(format).render([STARTED, TextDelta(""), STOPPED])
    assert said[: len(begun) or None] == begun


def test_as_it_comes() -> None:
    made = renderer("json", ("stream", "true"))
    out = [made.render([event]) for event in [*SAID, *SEGMENTS, UsageReport(Usage(1, 2)), STOPPED]]
    frames = [orjson.loads(it.removeprefix(b"data: ")) for it in out if it]
    assert frames == [
        {"type": "transcript.text.delta", "delta": "Good day. "},
        {"type": "transcript.text.delta", "delta": "Well."},
        {
            "type": "transcript.text.done",
            "text": "Good day. Well.",
            "usage": {"type": "tokens", "input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        },
    ]
    assert made.content_type == STREAM_TYPE


def test_as_it_comes_with_speakers_and_likelihoods() -> None:
    made = renderer("diarized_json", ("stream", "true"))
    out = made.render([STARTED, TextDelta("a", [{"token": "a"}]), *SEGMENTS, *WORDS])
    frames = [orjson.loads(it.removeprefix(b"data: ")) for it in out.split(b"\n\n")[:-1]]
    assert frames[0] == {"type": "transcript.text.delta", "delta": "a", "logprobs": [{"token": "a"}]}
    assert [it["speaker"] for it in frames[1:]] == ["A", "B"]


def test_a_failure_in_a_stream() -> None:
    made = renderer("json", ("stream", "true"))
    out = made.render([*SAID, Failed(UpstreamError("gone", Code.TRUNCATED))])
    assert orjson.loads(out.rsplit(b"data: ")[-1])["error"]["message"] == "gone"


texts = st.lists(st.text(st.characters(categories=("L", "N")), min_size=1), min_size=1, max_size=4).map(
    " ".join
)
times = st.floats(0, 300_000).map(lambda at_s: round(at_s, 3))


@given(st.lists(st.builds(Timed, st.just("segment"), texts, times, times), max_size=5))
def test_subtitles_are_read_back(cues: list[Timed]) -> None:
    for written in (srt(cues), vtt(cues), srt(cues).replace("\n", "\r\n")):
        read = read_cues(written)
        assert [it.text for it in read] == [it.text for it in cues]
        assert all(
            abs(a.start_s - b.start_s) < 0.002 and abs(a.end_s - b.end_s) < 0.002
            for a, b in zip(read, cues, strict=True)
        )


def test_a_text_cannot_become_a_cue() -> None:
    evil = Timed("segment", "a\n\n2\n00:00:01,000 --> 00:00:02,000\nforged", 0.0, 1.0)
    assert len(read_cues(srt([evil]))) == len(read_cues(vtt([evil]))) == 1


def word(text: str, start_s: float, end_s: float, speaker: str | None = None) -> Timed:
    return Timed("word", text, start_s, end_s, speaker)


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        ([word("One.", 0, 1), word("Two", 1, 2)], ["One.", "Two"]),
        ([word("a", 0, 1), word("b", 1, 2, "B")], ["a", "b"]),
        ([word("a", 0, 1), word("b", 2.5, 3)], ["a", "b"]),
        ([word("a", 0, 4), word("b", 4, 7)], ["a", "b"]),
        ([word("x" * 50, 0, 1), word("y" * 50, 1, 2)], ["x" * 50, "y" * 50]),
        ([word("in", 0, 1), word("one", 1, 2), word("go", 2, 3)], ["in one go"]),
        ([word(" in", 0, 1), word(" one", 1, 2)], ["in one"]),
        ([], []),
    ],
)
def test_words_make_lines(words: list[Timed], texts: list[str]) -> None:
    assert [it.text for it in segments_of(words)] == texts
