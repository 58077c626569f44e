"""Events → transcripts in every format that OpenAI's callers may ask for, whoever wrote them down.

https://developers.openai.com/api/reference/resources/audio/subresources/transcriptions (read 2026-11-21).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import orjson

from rhetor.core.content import JsonValue
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    Folded,
    Folder,
    Spoken,
    TextDelta,
    Timed,
)
from rhetor.core.media import Transcribe
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import JSON_TYPE, STREAM_TYPE, WholeRenderer
from rhetor.wire.openai.errors import error_fields
from rhetor.wire.openai.transcripts.cues import segments_of, srt, vtt
from rhetor.wire.openai.transcripts.reply import DELTA, DONE, SEGMENT
from rhetor.wire.openai.transcripts.request import DIARIZED, OBJECTS, SRT, TEXT, TIMED, VERBOSE, VTT
from rhetor.wire.sse import frame

TEXT_TYPE = "text/plain; charset=utf-8"
_TYPES: Mapping[str, str] = {TEXT: TEXT_TYPE, SRT: TEXT_TYPE, VTT: "text/vtt; charset=utf-8"}
SEEK_PER_S = 100  # Whisper's frames


class TranscriptRenderer(WholeRenderer):
    """Renders a transcript in one format.

    Raises:
        UpstreamError: unsupported, the format needs times or speakers that nobody told.
    """

    def __init__(self, request: Request, format: str) -> None:
        super().__init__()
        assert isinstance(request.input, Transcribe)
        self.content_type = JSON_TYPE if format in OBJECTS else _TYPES[format]
        self._asked = request.input
        self._format = format

    def write(self, folded: Folded) -> bytes:
        text = folded.text
        segments = self._segments(folded) if self._format in TIMED else []
        if self._format == TEXT:
            return f"{text}\n".encode()
        if self._format == SRT:
            return srt(segments).encode()
        if self._format == VTT:
            return vtt(segments).encode()
        body: dict[str, JsonValue] = {"text": text}
        if self._format == VERBOSE:
            body = self._verbose(folded, segments)
        elif self._format == DIARIZED:
            body["task"] = "transcribe"
            body["duration"] = _duration_s(folded)
            body["segments"] = [_diarized(n, it) for n, it in enumerate(segments)]
        elif folded.logprobs:
            body["logprobs"] = folded.logprobs
        if usage := _usage(folded.usage, folded.spoken):
            body["usage"] = usage
        return orjson.dumps(body)

    def _segments(self, folded: Folded) -> list[Timed]:
        segments = segments_of(folded.timed)
        if not folded.text.strip():
            return segments
        missing = None
        if not segments and (self._asked.segments or self._asked.speakers):
            missing = "when anything is said"
        elif self._asked.words and not any(it.kind == "word" for it in folded.timed):
            missing = "when each word is said"
        elif self._asked.speakers and not any(it.speaker for it in segments):
            missing = "who speaks"
        if missing is not None:
            message = f"{self._format} cannot be had: {folded.model or 'the model'} does not tell {missing}"
            raise UpstreamError(message, Code.UNSUPPORTED, param="response_format")
        return segments

    def _verbose(self, folded: Folded, segments: list[Timed]) -> dict[str, JsonValue]:
        spoken = folded.spoken or Spoken()
        body: dict[str, JsonValue] = {
            "task": "translate" if self._asked.translate else "transcribe",
            "language": spoken.language or self._asked.language or "",
            "duration": _duration_s(folded),
            "text": folded.text,
        }
        if self._asked.segments:
            temperature = self._asked.temperature or 0.0
            body["segments"] = [_segment(n, it, temperature) for n, it in enumerate(segments)]
        if self._asked.words:
            body["words"] = [
                {"word": it.text, "start": it.start_s, "end": it.end_s}
                for it in folded.timed
                if it.kind == "word"
            ]
        return body


class TranscriptStreamRenderer:
    """Renders a transcript while it comes.

    Args:
        segments: with those who speak.
    """

    content_type = STREAM_TYPE

    def __init__(self, segments: bool) -> None:
        self._with_segments = segments
        self._segments = 0
        self._folder = Folder()

    def render(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            self._folder.add(event)
            match event:
                case TextDelta(text, logprobs) if text:
                    out.append(_frame({"type": DELTA, "delta": text, **_logprobs(logprobs)}))
                case Timed("segment") if self._with_segments:
                    out.append(_frame(_diarized(self._segments, event)))
                    self._segments += 1
                case Finished():
                    out.append(_frame(self._done(self._folder.result())))
                case Failed(error):
                    out.append(frame(orjson.dumps({"type": "error", "error": error_fields(error)}), "error"))
        return b"".join(out)

    def _done(self, folded: Folded) -> dict[str, JsonValue]:
        said: dict[str, JsonValue] = {"type": DONE, "text": folded.text, **_logprobs(folded.logprobs)}
        usage = _usage(folded.usage, folded.spoken)
        return {**said, "usage": usage} if usage else said


def _segment(number: int, timed: Timed, temperature: float) -> dict[str, JsonValue]:
    """A segment; what only Whisper itself knows has the value that says nothing, for callers with types."""
    sure = timed.confidence
    return {
        "id": number,
        "seek": int(timed.start_s * SEEK_PER_S),
        "start": timed.start_s,
        "end": timed.end_s,
        "text": timed.text,
        "tokens": [],
        "temperature": temperature,
        "avg_logprob": math.log(sure) if sure else 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def _diarized(number: int, timed: Timed) -> dict[str, JsonValue]:
    return {
        "type": SEGMENT,
        "id": f"seg_{number}",
        "start": timed.start_s,
        "end": timed.end_s,
        "text": timed.text,
        "speaker": timed.speaker or "",
    }


def _duration_s(folded: Folded) -> float:
    """The recording's length: as it was told, else up to the last word."""
    if folded.spoken is not None and folded.spoken.duration_s is not None:
        return folded.spoken.duration_s
    return max((it.end_s for it in folded.timed), default=0.0)


def _usage(usage: Usage | None, spoken: Spoken | None) -> dict[str, JsonValue]:
    """Tokens where they are counted, else the recording's length; nothing where nobody knows."""
    if usage is not None and usage.total_tokens:
        return {
            "type": "tokens",
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        }
    seconds = (usage.audio_ms / 1000 if usage is not None else 0.0) or (spoken and spoken.duration_s)
    return {"type": "duration", "seconds": seconds} if seconds else {}


def _logprobs(logprobs: list[JsonValue] | None) -> dict[str, JsonValue]:
    return {"logprobs": logprobs} if logprobs else {}


def _frame(said: dict[str, JsonValue]) -> bytes:
    return frame(orjson.dumps(said))
