"""What xAI says otherwise than OpenAI: pictures by aspect ratio, speech and transcripts at places of its own.

https://docs.x.ai/developers/model-capabilities/images/generation, …/model-capabilities/audio/text-to-speech
and …/rest-api-reference/inference/speech-to-text, for changed pictures
https://github.com/vercel/ai/blob/main/packages/xai/src/xai-image-model.ts (read 2026-11-21). Speech has one
model, which requests do not name. That several pictures travel as `images` is how the vendor's SDK for
Python 1.21.0 calls them; no page was found that says so of HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue, Url
from rhetor.core.errors import Code
from rhetor.core.events import Spoken, Timed
from rhetor.core.media import AUDIO_TYPES, Draw, Speak, Transcribe, url_of
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, Narrator, Outgoing, Quirks, Upstream
from rhetor.wire.lenient import things, word
from rhetor.wire.media.binary import BinaryDecoder
from rhetor.wire.media.pictures import PicturesDecoder, nearest_ratio
from rhetor.wire.media.transcripts import (
    TranscriptDecoder,
    file_of,
    number,
    refuse_translation,
    sentences,
    tell_transcript,
)
from rhetor.wire.media.vendor import VendorUpstream, VendorWire, split_extra
from rhetor.wire.multipart import FormField, build_form

NAME = "xai"

RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "1:2", "2:1", "9:19.5", "19.5:9", "9:20", "20:9")
VOICES = frozenset({"ara", "eve", "leo", "rex", "sal"})
VOICE = "eve"
"""Who speaks when nobody, or nobody whom the vendor has, is named; voices of one's own go by `voice_id`."""

_DRAWING = frozenset({"resolution"})
_SPEAKING = frozenset({"optimize_streaming_latency", "text_normalization", "voice_id"})
_HEARING = frozenset(
    {"audio_format", "channels", "filler_words", "format", "keyterm", "multichannel", "sample_rate"}
)
_FORMATS = frozenset({"mp3", "pcm", "wav"})
_RATES = frozenset({8000, 16000, 22050, 24000, 44100, 48000})


class PicturesUpstream(VendorUpstream):
    """A prompt, and perhaps pictures to be changed → pictures."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Draw)
        extra, dropped = split_extra(asked.extra, _DRAWING)
        unsaid = ("style", "background", "mask", "negative_prompt", "seed", "steps", "guidance", "format")
        dropped += [name for name in unsaid if getattr(asked, name) is not None]
        body: dict[str, JsonValue] = {"model": model, "prompt": asked.prompt, "n": asked.count}
        body["response_format"] = "b64_json"
        ratio = asked.aspect_ratio
        if asked.size is not None:
            ratio = nearest_ratio(asked.size, RATIOS)
            dropped.append(f"size: drawn as {ratio}")
        said: dict[str, JsonValue] = {
            "aspect_ratio": ratio,
            "quality": asked.quality,
            "user": asked.end_user,
        }
        body |= {name: value for name, value in said.items() if value is not None}
        pictures: list[JsonValue] = [{"type": "image_url", "url": url_of(image)} for image in asked.images]
        if len(pictures) == 1:
            body["image"] = pictures[0]
        elif pictures:
            body["images"] = pictures
        path = "/images/edits" if pictures else "/images/generations"
        return Outgoing(path, orjson.dumps(body | extra), dropped=tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return PicturesDecoder("image/jpeg")


class SpeechUpstream(VendorUpstream):
    """A text → sound."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Speak)
        extra, dropped = split_extra(asked.extra, _SPEAKING)
        dropped += [name for name in ("instructions", "speed") if getattr(asked, name) is not None]
        voice = (asked.voice or VOICE).lower()
        if voice not in VOICES:
            dropped.append("voice: nobody here is called so")
            voice = VOICE
        codec = asked.format or "mp3"
        if codec not in _FORMATS:
            dropped.append("format: mp3 instead")
            codec = "mp3"
        format: dict[str, JsonValue] = {"codec": codec}
        if asked.sample_rate in _RATES:
            format["sample_rate"] = asked.sample_rate
        elif asked.sample_rate is not None:
            dropped.append("sample_rate")
        body: dict[str, JsonValue] = {"text": asked.text, "voice_id": voice, "output_format": format}
        body["language"] = asked.language or "auto"
        return Outgoing("/tts", orjson.dumps(body | extra), dropped=tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return BinaryDecoder("audio/", AUDIO_TYPES[orjson.loads(outgoing.body)["output_format"]["codec"]])


class TranscriptUpstream(VendorUpstream):
    """A recording → what is said in it."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Transcribe)
        refuse_translation(asked)
        extra, dropped = split_extra(asked.extra, _HEARING)
        dropped += [name for name in ("prompt", "temperature") if getattr(asked, name) is not None]
        fields: list[FormField] = [("model", model)]
        if asked.language is not None:
            fields.append(("language", asked.language))
        if asked.speakers:
            fields.append(("diarize", "true"))
        fields += [(name, text) for name, value in extra.items() for text in _texts(value)]
        if isinstance(asked.audio, Url):
            fields.append(("url", asked.audio.url))
        else:
            fields.append(("file", file_of(asked.audio)))  # the vendor wants it to be the last one
        body, content_type = build_form(fields)
        return Outgoing("/stt", body, {"content-type": content_type}, tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return SttDecoder()


class SttDecoder(TranscriptDecoder):
    """Decodes a transcript; that of several channels is told as one, which the vendor makes of them."""

    def tell(self, narrator: Narrator, said: Json) -> None:
        if not isinstance(said.get("text"), str):
            narrator.fail("the provider's transcript holds no text", Code.PROTOCOL)
            return
        narrator.start("", "")
        words = [_word(it) for it in things(said, "words")]
        spoken = Spoken(word(said, "language") or None, number(said, "duration"))
        tell_transcript(narrator, word(said, "text"), [*sentences(words), *words], spoken)


class XAI(VendorWire):
    """https://docs.x.ai/developers/rest-api-reference (read 2026-11-21)."""

    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        Capability.TEXT_TO_IMAGE: PicturesUpstream(),
        Capability.IMAGE_TO_IMAGE: PicturesUpstream(),
        Capability.TEXT_TO_AUDIO: SpeechUpstream(),
        Capability.AUDIO_TO_TEXT: TranscriptUpstream(),
    }


XAI_MEDIA = XAI()


def _texts(value: JsonValue) -> Iterator[str]:
    for each in value if isinstance(value, list) else [value]:
        yield each if isinstance(each, str) else orjson.dumps(each).decode()


def _word(said: Json) -> Timed:
    speaker = said.get("speaker")
    start_s, end_s = number(said, "start") or 0.0, number(said, "end") or 0.0
    return Timed(
        "word", word(said, "text"), start_s, end_s, str(speaker) if isinstance(speaker, int) else None
    )
