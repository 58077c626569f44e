"""Transcripts that providers send → events: objects, plain text, subtitles, and streams.

https://developers.openai.com/api/reference/resources/audio/subresources/transcriptions (read 2026-11-21).
"""

from __future__ import annotations

import math

from rhetor.core.content import Json
from rhetor.core.errors import Code
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Spoken,
    TextDelta,
    Timed,
    UsageReport,
)
from rhetor.core.usage import Usage
from rhetor.wire.base import Decoder, Narrator, WholeDecoder
from rhetor.wire.lenient import count, parse, thing, things, word
from rhetor.wire.openai.errors import error_inside
from rhetor.wire.openai.transcripts.cues import read_cues
from rhetor.wire.openai.transcripts.request import OBJECTS, SRT, TEXT, VTT, Listening
from rhetor.wire.openai.typed import EventsDecoder, TypedDecoder, is_stream
from rhetor.wire.refusals import page_text

DELTA, SEGMENT, DONE = "transcript.text.delta", "transcript.text.segment", "transcript.text.done"
_PAGES = ("text/html", "application/xhtml+xml")


def transcript_decoder(stream: bool, asked: Listening) -> Decoder:
    """A decoder of transcripts; whoever answers in another form than was asked for is understood as well.

    Args:
        stream: the caller wants one.
    """
    as_object = asked.format in OBJECTS

    def choose(media_type: str) -> tuple[Decoder, bool]:
        if is_stream(media_type) or (stream and not media_type):
            return TranscriptStream(), stream
        if media_type in _PAGES:
            return TranscriptObject(asked), False  # it is none, and says so
        if media_type.startswith("text/") or (not as_object and "json" not in media_type):
            return TranscriptText(asked.format), not stream and not as_object
        return TranscriptObject(asked), not stream and as_object

    return TypedDecoder(choose)


class TranscriptObject(WholeDecoder):
    """Decodes a transcript in JSON, with as much about it as its format has."""

    def __init__(self, asked: Listening) -> None:
        super().__init__()
        self._asked = asked

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        said = parse(body)
        if said is None:
            narrator.fail(f"the provider's transcript is not JSON: {page_text(body)}", Code.PROTOCOL)
        elif error := error_inside(said):
            narrator.end(Failed(error))
        elif not isinstance(said.get("text"), str):
            narrator.fail("the provider's reply holds no transcript", Code.PROTOCOL)
        elif (missing := self._missing(said)) is not None:
            narrator.fail(f"the provider tells no times of {missing}", Code.UNSUPPORTED)
        else:
            _tell(narrator, said)
        return narrator.take()

    def _missing(self, said: Json) -> str | None:
        """The times that are wanted and not there; of a recording in which nobody speaks there are none."""
        if not word(said, "text").strip():
            return None
        wanted = {"segments": self._asked.segments, "words": self._asked.words}
        return next((name for name, is_wanted in wanted.items() if is_wanted and not said.get(name)), None)


class TranscriptText(WholeDecoder):
    """Decodes a transcript that is its text, or its subtitles."""

    def __init__(self, format: str) -> None:
        super().__init__()
        self._format = format

    def read(self, body: bytes) -> list[Event]:
        narrator = Narrator()
        narrator.start("", "")
        text = body.decode(errors="replace")
        if self._format in (SRT, VTT):
            cues = read_cues(text)
            narrator.emit(TextDelta(" ".join(cue.text for cue in cues)))
            for cue in cues:
                narrator.emit(cue)
        else:
            narrator.emit(TextDelta(text.removesuffix("\n") if self._format == TEXT else text.strip()))
        narrator.end(Finished(FinishReason.STOP))
        return narrator.take()


class TranscriptStream(EventsDecoder):
    """Decodes a transcript that comes while it is made."""

    def __init__(self) -> None:
        super().__init__()
        self._told = False
        self._whole = False

    def read(self, kind: str, said: Json) -> None:
        narrator = self._narrator
        if kind == DELTA:
            if text := word(said, "delta"):
                self._told = True
                logprobs = said.get("logprobs")
                narrator.emit(TextDelta(text, logprobs if isinstance(logprobs, list) and logprobs else None))
        elif kind == SEGMENT:
            narrator.emit(_timed("segment", said, "text"))
        elif kind == DONE:
            if not self._told:
                narrator.emit(TextDelta(word(said, "text")))
            _tell_about(narrator, said)
            narrator.end(Finished(FinishReason.STOP))

    def done(self, said_so: bool) -> None:
        if said_so:
            self._narrator.end(Finished(FinishReason.STOP))


def _tell(narrator: Narrator, said: Json) -> None:
    narrator.start(word(said, "id"), word(said, "model"))
    narrator.emit(TextDelta(word(said, "text")))
    for segment in things(said, "segments"):
        narrator.emit(_timed("segment", segment, "text"))
    for spoken in things(said, "words"):
        narrator.emit(_timed("word", spoken, "word"))
    _tell_about(narrator, said)
    narrator.end(Finished(FinishReason.STOP))


def _tell_about(narrator: Narrator, said: Json) -> None:
    """What the recording is, and what was consumed: tokens, or its length."""
    duration_s = _seconds(said, "duration")
    usage = thing(said, "usage")
    if word(usage, "type") == "duration":
        duration_s = _seconds(usage, "seconds") or duration_s
    languages = things(said, "languages")
    language = word(said, "language") or (word(languages[0], "code") if languages else "")
    if language or duration_s:
        narrator.emit(Spoken(language or None, duration_s or None))
    used = Usage(
        input_tokens=count(usage, "input_tokens"),
        output_tokens=count(usage, "output_tokens"),
        audio_ms=round(duration_s * 1000),
    )
    if usage or duration_s:
        narrator.emit(UsageReport(used))


def _timed(kind: str, said: Json, text: str) -> Timed:
    assert kind in ("segment", "word")
    logprob = said.get("avg_logprob")
    known = isinstance(logprob, int | float) and logprob <= 0
    return Timed(
        kind,  # type: ignore[arg-type]  # one of the two
        word(said, text).strip(),
        _seconds(said, "start"),
        _seconds(said, "end"),
        word(said, "speaker") or None,
        math.exp(logprob) if known else None,  # type: ignore[arg-type]  # a number, if it is known
    )


def _seconds(said: Json, name: str) -> float:
    """Older servers write lengths as text."""
    given = said.get(name)
    try:
        seconds = float(given) if isinstance(given, int | float | str) else 0.0
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0
