"""The language of Azure Speech: speech from SSML, and fast transcription.

https://learn.microsoft.com/azure/ai-services/speech-service/rest-text-to-speech and
…/fast-transcription-create (read 2026-11-21). The vendor serves the two at different hosts, each with a
region in its name, so each is a provider of its own.

A speech model is a voice's short name, `en-US-AvaMultilingualNeural`; for `neural` the request's `voice`
says who speaks. For transcripts there is one model, `fast-transcription`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue, Url
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import Spoken, Timed
from rhetor.core.media import AUDIO_TYPES, Speak, Transcribe
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, ModelEntry, Narrator, Outgoing, Quirks, Upstream
from rhetor.wire.lenient import things, word
from rhetor.wire.media.binary import BinaryDecoder
from rhetor.wire.media.transcripts import (
    TranscriptDecoder,
    file_of,
    number,
    refuse_translation,
    tell_transcript,
)
from rhetor.wire.media.vendor import VendorUpstream, VendorWire, split_extra
from rhetor.wire.multipart import FormField, build_form
from rhetor.wire.refusals import page_text

NAME = "azure-speech"
API_VERSION = "2025-10-15"
VOICE = "en-US-AvaMultilingualNeural"
"""Speaks many languages, and tells from the text which one it is."""
_VOICE_NAME = re.compile(r"[a-z]{2,3}(-\w+)+(:\w+)*", re.ASCII)
_LOCALE = re.compile(r"[a-z]{2,3}-[\w-]+", re.ASCII)

_FORMATS: Mapping[str, Mapping[int, str]] = {
    "mp3": {
        24000: "audio-24khz-96kbitrate-mono-mp3",
        16000: "audio-16khz-64kbitrate-mono-mp3",
        48000: "audio-48khz-192kbitrate-mono-mp3",
    },
    "opus": {
        24000: "ogg-24khz-16bit-mono-opus",
        16000: "ogg-16khz-16bit-mono-opus",
        48000: "ogg-48khz-16bit-mono-opus",
    },
    "pcm": {
        24000: "raw-24khz-16bit-mono-pcm",
        8000: "raw-8khz-16bit-mono-pcm",
        16000: "raw-16khz-16bit-mono-pcm",
        22050: "raw-22050hz-16bit-mono-pcm",
        44100: "raw-44100hz-16bit-mono-pcm",
        48000: "raw-48khz-16bit-mono-pcm",
    },
    "wav": {
        24000: "riff-24khz-16bit-mono-pcm",
        8000: "riff-8khz-16bit-mono-pcm",
        22050: "riff-22050hz-16bit-mono-pcm",
        44100: "riff-44100hz-16bit-mono-pcm",
        48000: "riff-48khz-16bit-mono-pcm",
    },
}
"""By format and Hz, the usual rate first."""
_HEADER = "x-microsoft-outputformat"
_MANNER = frozenset({"style", "style_degree", "role", "pitch", "volume", "output_format"})
_SLOWEST, _FASTEST = 0.5, 2.0
"""…/speech-service/speech-synthesis-markup-voice (read 2026-11-21)."""

_LOCALES: Mapping[str, str] = {
    "ar": "ar-EG",
    "cs": "cs-CZ",
    "da": "da-DK",
    "de": "de-DE",
    "el": "el-GR",
    "en": "en-US",
    "es": "es-ES",
    "fi": "fi-FI",
    "fr": "fr-FR",
    "he": "he-IL",
    "hi": "hi-IN",
    "hu": "hu-HU",
    "id": "id-ID",
    "it": "it-IT",
    "ja": "ja-JP",
    "ko": "ko-KR",
    "nb": "nb-NO",
    "nl": "nl-NL",
    "pl": "pl-PL",
    "pt": "pt-BR",
    "ro": "ro-RO",
    "ru": "ru-RU",
    "sv": "sv-SE",
    "th": "th-TH",
    "tr": "tr-TR",
    "uk": "uk-UA",
    "vi": "vi-VN",
    "zh": "zh-CN",
}
"""Where a language is taken to be spoken when a caller names no country; the vendor wants one.

https://learn.microsoft.com/azure/ai-services/speech-service/language-support (read 2026-11-21).
"""


class SpeechUpstream(VendorUpstream):
    """A text → sound, as it is made."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Speak)
        extra, dropped = split_extra(asked.extra, _MANNER)
        if asked.instructions is not None:
            dropped.append("instructions")
        voice = _voice(asked, model, dropped)
        headers = {"content-type": "application/ssml+xml", _HEADER: _format(asked, extra, dropped)}
        ssml = _ssml(asked, voice, extra, dropped)
        return Outgoing("/cognitiveservices/v1", ssml.encode(), headers, tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        named = outgoing.headers[_HEADER]
        asked = [short for short, rates in _FORMATS.items() if named in rates.values()]
        return BinaryDecoder("audio/", AUDIO_TYPES[asked[0]] if asked else "audio/mpeg")


class TranscriptUpstream(VendorUpstream):
    """A recording → what is said in it. All that a caller says besides becomes a part of the definition."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Transcribe)
        refuse_translation(asked)
        dropped = [name for name in ("prompt", "temperature") if getattr(asked, name) is not None]
        definition: dict[str, JsonValue] = {}
        if (locale := _locale(asked.language)) is not None:
            definition["locales"] = [locale]
        elif asked.language is not None:
            dropped.append("language: no locale")
        if asked.speakers:
            definition["diarization"] = {"enabled": True}
        if isinstance(asked.audio, Url):
            definition["audioUrl"] = asked.audio.url
        definition |= asked.extra
        fields: list[FormField] = [("definition", orjson.dumps(definition).decode())]
        if not isinstance(asked.audio, Url):
            fields.append(("audio", file_of(asked.audio)))
        body, content_type = build_form(fields)
        path = f"/speechtotext/transcriptions:transcribe?api-version={API_VERSION}"
        return Outgoing(path, body, {"content-type": content_type}, tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return FastTranscriptDecoder()


class FastTranscriptDecoder(TranscriptDecoder):
    """Decodes a transcript; of a recording with several channels all of them, one after the other."""

    def tell(self, narrator: Narrator, said: Json) -> None:
        combined = things(said, "combinedPhrases")
        if not combined and "phrases" not in said:
            narrator.fail("the provider's transcript holds no text", Code.PROTOCOL)
            return
        narrator.start("", "")
        phrases = things(said, "phrases")
        segments = [_timed("segment", it, it) for it in phrases]
        words = [_timed("word", it, phrase) for phrase in phrases for it in things(phrase, "words")]
        locale = word(phrases[0], "locale") if phrases else ""
        length_ms = number(said, "durationMilliseconds")
        spoken = Spoken(locale.partition("-")[0] or None, length_ms / 1000 if length_ms is not None else None)
        text = "\n".join(word(it, "text") for it in combined)
        tell_transcript(narrator, text, [*segments, *words], spoken)


class AzureSpeech(VendorWire):
    """https://learn.microsoft.com/azure/ai-services/speech-service/ (read 2026-11-21)."""

    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        Capability.TEXT_TO_AUDIO: SpeechUpstream(),
        Capability.AUDIO_TO_TEXT: TranscriptUpstream(),
    }
    models_path = "/cognitiveservices/voices/list"

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        """The voices of a region.

        Raises:
            UpstreamError: protocol_error, this is no list of voices.
        """
        try:
            said: JsonValue = orjson.loads(body)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, list):
            raise UpstreamError(f"this is no list of voices: {page_text(body)}", Code.PROTOCOL)
        return [_entry(voice) for voice in said if isinstance(voice, dict) and word(voice, "ShortName")]


AZURE_SPEECH = AzureSpeech()


def _voice(asked: Speak, model: str, dropped: list[str]) -> str:
    if _VOICE_NAME.fullmatch(model):
        if asked.voice not in (None, model):
            dropped.append("voice: the model's name is one already")
        return model
    if asked.voice is not None and _VOICE_NAME.fullmatch(asked.voice):
        return asked.voice
    if asked.voice is not None:
        dropped.append("voice: it is no short name of a voice here")
    return VOICE


def _format(asked: Speak, extra: Json, dropped: list[str]) -> str:
    """What the vendor calls the format that is wanted, or the nearest that it has."""
    said = extra.get("output_format")
    if isinstance(said, str) and re.fullmatch(r"[\w.-]+", said, re.ASCII):
        return said
    rates = _FORMATS.get(asked.format or "mp3")
    if rates is None:
        dropped.append("format: mp3 instead")
        rates = _FORMATS["mp3"]
    usual = next(iter(rates))
    if asked.sample_rate is not None and asked.sample_rate not in rates:
        dropped.append(f"sample_rate: {usual} instead")
    return rates.get(asked.sample_rate or usual, rates[usual])


def _ssml(asked: Speak, voice: str, extra: Json, dropped: list[str]) -> str:
    """The text as the vendor's markup: https://www.w3.org/TR/speech-synthesis11/ with its own namespace."""
    inner = escape(_NOT_XML.sub("", asked.text))
    if asked.speed is not None and asked.speed != 1.0:
        speed = min(max(asked.speed, _SLOWEST), _FASTEST)
        if speed != asked.speed:
            dropped.append(f"speed: kept within {_SLOWEST} and {_FASTEST}")
        inner = _element("prosody", {"rate": f"{(speed - 1) * 100:+.0f}%", **_said(extra, _PROSODY)}, inner)
    elif prosody := _said(extra, _PROSODY):
        inner = _element("prosody", prosody, inner)
    if manner := _said(extra, _EXPRESSION):
        inner = _element("mstts:express-as", manner, inner)
    if (locale := _locale(asked.language)) is not None:
        inner = _element("lang", {"xml:lang": locale}, inner)
    elif asked.language is not None:
        dropped.append("language: no locale")
    inner = _element("voice", {"name": voice}, inner)
    spoken_in = "-".join(voice.split("-")[:2])
    return _element("speak", {**_NAMESPACES, "xml:lang": spoken_in}, inner)


_NAMESPACES = {
    "version": "1.0",
    "xmlns": "http://www.w3.org/2001/10/synthesis",
    "xmlns:mstts": "https://www.w3.org/2001/mstts",
}
_PROSODY = {"pitch": "pitch", "volume": "volume"}
_EXPRESSION = {"style": "style", "style_degree": "styledegree", "role": "role"}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML may hold, however they are written: https://www.w3.org/TR/xml/#charsets."""


def _element(name: str, attributes: Mapping[str, str], inner: str) -> str:
    said = "".join(f" {key}={quoteattr(_NOT_XML.sub('', value))}" for key, value in attributes.items())
    return f"<{name}{said}>{inner}</{name}>"


def _said(extra: Json, names: Mapping[str, str]) -> dict[str, str]:
    return {
        theirs: str(extra[name])
        for name, theirs in names.items()
        if isinstance(extra.get(name), str | int | float)
    }


def _locale(language: str | None) -> str | None:
    """`de` is German in Germany, for want of another country."""
    if language is None or _LOCALE.fullmatch(language):
        return language
    return _LOCALES.get(language.lower())


def _timed(kind: str, said: Json, phrase: Json) -> Timed:
    start_s = (number(said, "offsetMilliseconds") or 0.0) / 1000
    speaker = phrase.get("speaker")
    return Timed(
        "word" if kind == "word" else "segment",
        word(said, "text"),
        start_s,
        start_s + (number(said, "durationMilliseconds") or 0.0) / 1000,
        str(speaker) if isinstance(speaker, int) else None,
        number(said, "confidence"),
    )


def _entry(voice: Json) -> ModelEntry:
    tags = [word(voice, name) for name in ("Gender", "Locale", "VoiceType")]
    return ModelEntry(
        word(voice, "ShortName"),
        name=word(voice, "DisplayName") or None,
        capabilities=frozenset({Capability.TEXT_TO_AUDIO}),
        tags=frozenset({"voice", *(tag.lower() for tag in tags if tag), *_styles(voice)}),
    )


def _styles(voice: Json) -> Iterator[str]:
    styles = voice.get("StyleList")
    yield from (it for it in styles if isinstance(it, str)) if isinstance(styles, list) else ()
