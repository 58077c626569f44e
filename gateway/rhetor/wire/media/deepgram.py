"""The language of Deepgram: transcripts of recordings, and speech.

https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded and
…/text-to-speech/speak-request (read 2026-11-21). Options travel in the query: what a caller says besides,
by the vendor's own names, is added to it.

A speech model is a voice: `aura-2-thalia-en`. A request's `voice` that is such a model wins over the
model that was asked for, so that `deepgram/aura-2` with a voice works too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue, Url
from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.core.events import Spoken, Timed
from rhetor.core.media import AUDIO_TYPES, Speak, Transcribe, data_of
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, ModelEntry, Narrator, Outgoing, Quirks, Upstream
from rhetor.wire.lenient import parse, thing, things, word
from rhetor.wire.media.binary import BinaryDecoder
from rhetor.wire.media.transcripts import (
    TranscriptDecoder,
    number,
    refuse_translation,
    sentences,
    tell_transcript,
)
from rhetor.wire.media.vendor import VendorUpstream, VendorWire
from rhetor.wire.refusals import page_text

NAME = "deepgram"
VOICES = "aura-"
"""How the vendor's speech models, which are its voices, are called."""

_FORMATS: Mapping[str, Mapping[str, str]] = {
    "mp3": {"encoding": "mp3"},
    "opus": {"encoding": "opus", "container": "ogg"},
    "aac": {"encoding": "aac"},
    "flac": {"encoding": "flac"},
    "wav": {"encoding": "linear16", "container": "wav"},
    "pcm": {"encoding": "linear16", "container": "none"},
}
"""https://developers.deepgram.com/docs/tts-media-output-settings (read 2026-11-21)."""
_RATED = frozenset({"flac", "wav", "pcm"})
"""The others have rates of their own."""
_RATES = frozenset({8000, 16000, 22050, 24000, 32000, 44100, 48000})
_SLOWEST, _FASTEST = 0.7, 1.5  # https://developers.deepgram.com/docs/tts-speed-control (read 2026-11-21)
_OURS = frozenset({"model", "callback", "callback_method"})
"""Options that a caller may not set: replies that go elsewhere are none."""


class TranscriptUpstream(VendorUpstream):
    """A recording → what is said in it."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Transcribe)
        refuse_translation(asked)
        dropped = [name for name in ("prompt", "temperature") if getattr(asked, name) is not None]
        options: dict[str, JsonValue] = {"model": model, "smart_format": True}
        if asked.language is None:
            options["detect_language"] = True
        else:
            options["language"] = asked.language
        if asked.segments or asked.speakers:
            options["utterances"] = True
        if asked.speakers:
            options["diarize"] = True
        path = "/v1/listen" + _query(options, asked.extra, dropped)
        if isinstance(asked.audio, Url):
            return Outgoing(path, orjson.dumps({"url": asked.audio.url}), dropped=tuple(dropped))
        headers = {"content-type": asked.audio.media_type}
        return Outgoing(path, data_of(asked.audio), headers, tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return ListenDecoder()


class SpeechUpstream(VendorUpstream):
    """A text → sound, as it is made."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Speak)
        dropped = [name for name in ("instructions", "language") if getattr(asked, name) is not None]
        options: dict[str, JsonValue] = {"model": _voice(asked, model, dropped)}
        options |= _format(asked, dropped)
        if asked.speed is not None:
            options["speed"] = min(max(asked.speed, _SLOWEST), _FASTEST)
            if options["speed"] != asked.speed:
                dropped.append(f"speed: kept within {_SLOWEST} and {_FASTEST}")
        path = "/v1/speak" + _query(options, asked.extra, dropped)
        return Outgoing(path, orjson.dumps({"text": asked.text}), dropped=tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        asked = [format for format, options in _FORMATS.items() if _says(outgoing.path, options)]
        return BinaryDecoder("audio/", AUDIO_TYPES[asked[0] if asked else "mp3"])


class ListenDecoder(TranscriptDecoder):
    """Decodes a transcript; of a recording with several channels all of them, one after the other."""

    def tell(self, narrator: Narrator, said: Json) -> None:
        about, results = thing(said, "metadata"), thing(said, "results")
        channels = things(results, "channels")
        best = [alternatives[0] for it in channels if (alternatives := things(it, "alternatives"))]
        if not best:
            narrator.fail("the provider's transcript holds no text", Code.PROTOCOL)
            return
        narrator.start(word(about, "request_id"), "")
        words = [timed for it in best for timed in _words(it)]
        segments = [_timed("segment", word(it, "transcript"), it) for it in things(results, "utterances")]
        language = word(channels[0], "detected_language") or next(_texts(best[0].get("languages")), "")
        text = "\n".join(word(it, "transcript") for it in best)
        spoken = Spoken(language or None, number(about, "duration"))
        tell_transcript(narrator, text, [*(segments or sentences(words)), *words], spoken)


class Deepgram(VendorWire):
    """https://developers.deepgram.com/reference/deepgram-api-overview (read 2026-11-21)."""

    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        Capability.AUDIO_TO_TEXT: TranscriptUpstream(),
        Capability.TEXT_TO_AUDIO: SpeechUpstream(),
    }
    models_path = "/v1/models"
    codes: Mapping[str, Code] = {
        "ASR_PAYMENT_REQUIRED": Code.UPSTREAM_BILLING,
        "INSUFFICIENT_PERMISSIONS": Code.UPSTREAM_AUTH,
        "PROJECT_NOT_FOUND": Code.UPSTREAM_AUTH,
        "TOO_MANY_REQUESTS": Code.RATE_LIMITED,
    }
    """https://developers.deepgram.com/reference/errors (read 2026-11-21)."""

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        """The models, each once: a model has an entry for each of its languages and versions.

        Raises:
            UpstreamError: protocol_error, this is no list of models.
        """
        said = parse(body)
        if said is None or not ("stt" in said or "tts" in said):
            raise UpstreamError(f"this is no list of models: {page_text(body)}", Code.PROTOCOL)
        hearing = [it for it in things(said, "stt") if it.get("batch") is not False]
        entries = [_entry(it, Capability.AUDIO_TO_TEXT) for it in hearing]
        entries += [_entry(it, Capability.TEXT_TO_AUDIO) for it in things(said, "tts")]
        return list({entry.id: entry for entry in entries if entry.id}.values())


DEEPGRAM = Deepgram()


def _voice(asked: Speak, model: str, dropped: list[str]) -> str:
    if asked.voice is None or asked.voice == model:
        return model
    if asked.voice.startswith(VOICES):
        return asked.voice
    dropped.append("voice: the model's name is one already")
    return model


def _format(asked: Speak, dropped: list[str]) -> dict[str, JsonValue]:
    short = asked.format or "mp3"
    if short not in _FORMATS:
        dropped.append("format: mp3 instead")
        short = "mp3"
    options: dict[str, JsonValue] = {**_FORMATS[short]}
    if asked.sample_rate is not None and (short not in _RATED or asked.sample_rate not in _RATES):
        dropped.append("sample_rate")
    elif short in _RATED:
        options["sample_rate"] = asked.sample_rate or 24000  # what speakers of OpenAI's language expect
    return options


def _query(options: Mapping[str, JsonValue], extra: Json, dropped: list[str]) -> str:
    """The options as a query; the caller's own overrule what follows from other words of the request."""
    dropped += sorted(_OURS & extra.keys())
    said = {**options, **{name: value for name, value in extra.items() if name not in _OURS}}
    return "?" + urlencode([(name, text) for name, value in said.items() for text in _texts(value)])


def _says(path: str, options: Mapping[str, str]) -> bool:
    said = path.partition("?")[2].split("&")
    return all(f"{name}={value}" in said for name, value in options.items())


def _texts(value: JsonValue) -> Iterator[str]:
    """A value of a query; a list is said one by one.

    Raises:
        BadRequest: it is an object, and queries hold none.
    """
    if isinstance(value, dict):
        raise BadRequest("an object cannot be said in a query")
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif value is not None:
        yield value if isinstance(value, str) else orjson.dumps(value).decode()


def _words(alternative: Json) -> Iterator[Timed]:
    for said in things(alternative, "words"):
        yield _timed("word", word(said, "punctuated_word") or word(said, "word"), said)


def _timed(kind: str, text: str, said: Json) -> Timed:
    speaker = said.get("speaker")
    return Timed(
        "word" if kind == "word" else "segment",
        text,
        number(said, "start") or 0.0,
        number(said, "end") or 0.0,
        str(speaker) if isinstance(speaker, int) else None,
        number(said, "confidence"),
    )


def _entry(model: Json, capability: Capability) -> ModelEntry:
    about = thing(model, "metadata")
    tags = [word(about, "accent"), *_texts(about.get("tags")), *_texts(model.get("languages"))]
    return ModelEntry(
        word(model, "canonical_name") or word(model, "name"),
        name=word(model, "name") or None,
        capabilities=frozenset({capability}),
        tags=frozenset(tag.lower() for tag in tags if tag),
    )
