"""Speech, both directions: sound as it is made, or as events with pieces of it.

https://developers.openai.com/api/reference/resources/audio/subresources/speech (read 2026-11-21). The events
are `speech.audio.delta` and `speech.audio.done`; who wants them says `stream_format: "sse"`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    MediumDelta,
    MediumStarted,
    UsageReport,
)
from rhetor.core.media import AUDIO_TYPES, Speak
from rhetor.core.request import Original, Request
from rhetor.core.usage import Usage
from rhetor.core.value import value
from rhetor.wire import fields
from rhetor.wire.base import KEEPALIVE, STREAM_TYPE, Decoder, Outgoing, Quirks, Renderer, ReplyInfo
from rhetor.wire.lenient import count, thing, word
from rhetor.wire.media.binary import BinaryDecoder, BinaryRenderer
from rhetor.wire.openai.demands import demands
from rhetor.wire.openai.errors import error_fields
from rhetor.wire.openai.typed import EventsDecoder, TypedDecoder, is_stream
from rhetor.wire.openai.uploads import passed_on
from rhetor.wire.openai.vocabulary import NAME
from rhetor.wire.sse import frame

PATH = "/audio/speech"
DELTA, DONE = "speech.audio.delta", "speech.audio.done"
SOUND = "audio/"
USUAL_FORMAT = "mp3"
USUAL_VOICE = "alloy"  # the language demands one; other speakers know this one too
_CUSTOM = "voice_"
"""How the ids of custom voices begin, which are said as `{"id": …}`."""
_SAME_NAME = ("instructions", "speed")
_UNKNOWN = ("sample_rate", "language")
_SAID = frozenset(
    {"model", "input", "voice", "response_format", "stream_format", "fallbacks", *_SAME_NAME, *_UNKNOWN}
)


@value
class Speaking(Outgoing):
    """A request for speech on its way."""

    events: bool = False
    """They are wanted, instead of the sound itself."""
    format: str = USUAL_FORMAT


class SpeechUpstream:
    """Speech, as spoken to providers."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Speak)
        voice = asked.voice or USUAL_VOICE
        body: dict[str, JsonValue] = {
            "model": model,
            "input": asked.text,
            "voice": {"id": voice} if voice.startswith(_CUSTOM) else voice,
        }
        body |= {name: given for name in _SAME_NAME if (given := getattr(asked, name)) is not None}
        if asked.format is not None:
            body["response_format"] = asked.format
        dropped = [name for name in _UNKNOWN if getattr(asked, name) is not None]
        options = {name: given for name, given in asked.extra.items() if name not in _SAID}
        if _is_openais(model):  # they refuse what they do not know
            dropped += options
        else:
            body |= options
        wanted = demands(body, quirks)
        told = (*dropped, *wanted.dropped)
        return Speaking(
            PATH, fields.dump(wanted.apply(body)), dropped=told, format=asked.format or USUAL_FORMAT
        )

    def retarget(self, original: Original, model: str, quirks: Quirks) -> Outgoing:
        body, headers, dropped = passed_on(original, model, quirks)
        said = original.fields
        format = word(said, "response_format") or USUAL_FORMAT
        events = "stream_format" not in dropped and wants_events(said)
        return Speaking(PATH, body, headers, dropped, events=events, format=format)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        asked = outgoing if isinstance(outgoing, Speaking) else Speaking("", b"")

        def choose(media_type: str) -> tuple[Decoder, bool]:
            if is_stream(media_type):
                return SpeechEvents(AUDIO_TYPES.get(asked.format, "audio/mpeg")), asked.events
            return BinaryDecoder(SOUND, AUDIO_TYPES.get(asked.format, "audio/mpeg")), False

        return TypedDecoder(choose)


class SpeechDoor:
    """Speech, as heard from callers: the sound itself, as it comes."""

    keepalive = b""

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        said = fields.parse_object(body)
        asked = Speak(
            text=fields.text(said, "input"),
            voice=_voice(said),
            instructions=fields.optional_text(said, "instructions") or None,
            format=fields.optional_text(said, "response_format"),
            sample_rate=fields.optional_integer(said, "sample_rate", least=1),
            speed=fields.optional_number(said, "speed"),
            language=fields.optional_text(said, "language"),
            extra={name: given for name, given in said.items() if name not in _SAID and given is not None},
        )
        return Request(
            id="",
            capability=Capability.TEXT_TO_AUDIO,
            model=fields.optional_text(said, "model") or "",
            input=asked,
            stream=True,  # nobody waits for all of it before hearing the first word
            original=Original(NAME, body, said),
            fallbacks=fields.texts(said, "fallbacks"),
        )

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        if request.original is not None and wants_events(request.original.fields):
            return SpeechEventsRenderer()
        assert isinstance(request.input, Speak)
        return BinaryRenderer(AUDIO_TYPES.get(request.input.format or USUAL_FORMAT, "audio/mpeg"))


class SpeechEventsDoor(SpeechDoor):
    """The same for those who want events."""

    keepalive = KEEPALIVE

    def renderer(self, request: Request, info: ReplyInfo) -> Renderer:
        return SpeechEventsRenderer()


def wants_events(said: Json) -> bool:
    return said.get("stream_format") == "sse"


class SpeechEvents(EventsDecoder):
    """Decodes speech that comes in events.

    Args:
        media_type: of the sound, which they do not say.
    """

    def __init__(self, media_type: str) -> None:
        super().__init__()
        self._media_type = media_type
        self._opened = False

    def read(self, kind: str, said: Json) -> None:
        narrator = self._narrator
        if kind == DELTA:
            if not self._opened:
                self._opened = True
                narrator.emit(MediumStarted(0, self._media_type))
            narrator.emit(MediumDelta(0, word(said, "audio").encode(), base64=True))
        elif kind == DONE:
            if (usage := thing(said, "usage")) and count(usage, "total_tokens"):
                used = Usage(count(usage, "input_tokens"), count(usage, "output_tokens"))
                narrator.emit(UsageReport(used))
            self._end()

    def done(self, said_so: bool) -> None:
        if said_so:
            self._end()

    def _end(self) -> None:
        if self._opened:
            self._narrator.end(Finished(FinishReason.STOP))
        else:
            self._narrator.fail("the provider's reply has no sound in it", Code.PROTOCOL)


class SpeechEventsRenderer:
    """Renders the first medium of a reply as events."""

    content_type = STREAM_TYPE

    def __init__(self) -> None:
        self._index: int | None = None
        self._usage = Usage()

    def render(self, events: Iterable[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            match event:
                case MediumStarted(index) if self._index is None:
                    self._index = index
                case MediumDelta(index, data, base64) if index == self._index:
                    out.append(_frame(DELTA, {"audio": (data if base64 else b64encode(data)).decode()}))
                case UsageReport(usage):
                    self._usage = usage
                case Finished() if self._index is None:
                    out.append(_error(UpstreamError("the reply has no sound in it", Code.PROTOCOL)))
                case Finished():
                    out.append(_frame(DONE, {"usage": _usage(self._usage)}))
                case Failed(error):
                    out.append(_error(error))
        return b"".join(out)


def _is_openais(model: str) -> bool:
    """Whether it is a model of OpenAI's own: `tts-1`, `gpt-4o-mini-tts`."""
    return model.rpartition("/")[2].startswith(("tts-1", "gpt-"))


def _voice(said: Json) -> str | None:
    """A name, or `{"id": …}` for a voice of one's own."""
    given = said.get("voice")
    if isinstance(given, Mapping):
        return fields.text(given, "id", "voice")
    return fields.optional_text(said, "voice") or None


def _usage(usage: Usage) -> dict[str, JsonValue]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _error(error: RhetorError) -> bytes:
    return frame(orjson.dumps({"type": "error", "error": error_fields(error)}), "error")


def _frame(name: str, said: dict[str, JsonValue]) -> bytes:
    return frame(orjson.dumps({"type": name, **said}))
