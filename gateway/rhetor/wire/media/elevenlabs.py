"""The language of ElevenLabs: speech, sound effects and transcripts.

https://elevenlabs.io/docs/api-reference/text-to-speech/convert-as-stream and …/speech-to-text/convert,
with the details of the vendor's own SDK for Python 2.78.0 (read 2026-11-21).

Who speaks is a voice, how it sounds is a model's matter, and both can be named. The model of a request is
- a voice's id, as the list of voices has them: the speech model is `model_id` of the caller's own
  options, else the vendor's usual one; or
- a speech model, `eleven_flash_v2_5`: the voice is the request's, else `VOICE`. A voice that is no id of
  this vendor, as other vendors' voices are, cannot be had here; it is named among what was dropped.
A sound effect is asked for by its model, `eleven_text_to_sound_v2`, and needs no voice.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, urlencode

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue, Url
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import Spoken, Timed
from rhetor.core.media import AUDIO_TYPES, Speak, Transcribe
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, ModelEntry, Narrator, Outgoing, Quirks, Upstream
from rhetor.wire.lenient import parse, things, word
from rhetor.wire.media.binary import BinaryDecoder
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
from rhetor.wire.refusals import page_text

NAME = "elevenlabs"
VOICE = "JBFqnCBsd6RMkjVDRZzb"
"""George, who speaks in the vendor's quickstart: https://elevenlabs.io/docs/quickstart (read 2026-11-21)."""
MODELS = ("eleven_", "scribe_")
"""How the vendor's models are called; whatever else is asked for is a voice."""
SOUNDS = "eleven_text_to_sound"
_VOICE_ID = re.compile(r"[A-Za-z0-9]{20}")

_RATES: Mapping[str, Mapping[int, str]] = {
    "mp3": {44100: "mp3_44100_128", 24000: "mp3_24000_48", 22050: "mp3_22050_32"},
    "opus": {48000: "opus_48000_96"},
    "pcm": {rate: f"pcm_{rate}" for rate in (24000, 8000, 16000, 22050, 32000, 44100, 48000)},
    "wav": {rate: f"wav_{rate}" for rate in (24000, 8000, 16000, 22050, 32000, 44100, 48000)},
}
"""By format and Hz, the usual rate first. Only replies that are not streamed can be `wav`."""
_SLOWEST, _FASTEST = (
    0.7,
    1.2,
)  # https://elevenlabs.io/docs/best-practices/prompting/controls (read 2026-11-21)

_SETTINGS = frozenset(
    {"stability", "similarity_boost", "style", "use_speaker_boost", "speed", "clone_strength"}
)
_SPEECH = frozenset(
    {
        "apply_language_text_normalization",
        "apply_text_normalization",
        "audio_effects",
        "language_code",
        "model_id",
        "next_request_ids",
        "next_text",
        "previous_request_ids",
        "previous_text",
        "pronunciation_dictionary_locators",
        "seed",
        "use_pvc_as_ivc",
        "voice_settings",
    }
)
_EFFECT = frozenset({"duration_seconds", "loop", "prompt_influence"})
_QUERY = frozenset({"enable_logging", "optimize_streaming_latency", "output_format"})
_SCRIBE = frozenset(
    {
        "additional_formats",
        "detect_speaker_roles",
        "diarization_threshold",
        "entity_detection",
        "entity_redaction",
        "entity_redaction_mode",
        "file_format",
        "keyterms",
        "multichannel_output_style",
        "no_verbatim",
        "num_speakers",
        "numbers_format",
        "secondary_language_codes",
        "seed",
        "tag_audio_events",
        "use_multi_channel",
        "use_speaker_library",
    }
)
"""What a caller may say besides, by the vendor's own names."""


class SpeechUpstream(VendorUpstream):
    """A text → sound, as it is made."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Speak)
        if model.startswith(SOUNDS):
            return _effect(asked, model)
        extra, dropped = split_extra(asked.extra, _SPEECH | _SETTINGS | _QUERY)
        voice = _voice(asked, model, dropped)
        body: dict[str, JsonValue] = {"text": asked.text}
        if model.startswith(MODELS):
            body["model_id"] = model
        if asked.language is not None:
            body["language_code"] = asked.language
        if asked.instructions is not None:
            dropped.append("instructions")
        body |= {name: value for name, value in extra.items() if name in _SPEECH}
        if settings := _settings(asked, extra, dropped):
            body["voice_settings"] = settings
        format = _format(asked, extra, dropped)
        whole = format.startswith("wav_")
        path = f"/v1/text-to-speech/{quote(voice, safe='')}{'' if whole else '/stream'}"
        return Outgoing(path + _query(extra, format), orjson.dumps(body), dropped=tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        short = outgoing.path.partition("output_format=")[2].partition("_")[0]
        return BinaryDecoder("audio/", AUDIO_TYPES.get(short, "audio/mpeg"))


class TranscriptUpstream(VendorUpstream):
    """A recording → what is said in it."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Transcribe)
        refuse_translation(asked)
        extra, dropped = split_extra(asked.extra, _SCRIBE)
        timed = asked.words or asked.segments or asked.speakers
        fields: list[FormField] = [("model_id", model)]
        fields.append(("timestamps_granularity", "word" if timed else "none"))
        if asked.speakers:
            fields.append(("diarize", "true"))
        if asked.language is not None:
            fields.append(("language_code", asked.language))
        if asked.temperature is not None:
            fields.append(("temperature", str(asked.temperature)))
        if asked.prompt is not None:
            dropped.append("prompt")  # `keyterms` are single words, and are charged for
        fields += [(name, text) for name, value in extra.items() for text in _texts(value)]
        if isinstance(asked.audio, Url):
            fields.append(("source_url", asked.audio.url))
        else:
            fields.append(("file", file_of(asked.audio)))
        body, content_type = build_form(fields)
        return Outgoing("/v1/speech-to-text", body, {"content-type": content_type}, tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return ScribeDecoder()


class ScribeDecoder(TranscriptDecoder):
    """Decodes a transcript; of a recording with several channels all of them, one after the other."""

    def tell(self, narrator: Narrator, said: Json) -> None:
        channels = things(said, "transcripts") or [said]
        if not all(isinstance(channel.get("text"), str) for channel in channels):
            narrator.fail("the provider's transcript holds no text", Code.PROTOCOL)
            return
        narrator.start(word(channels[0], "transcription_id") or word(said, "transcription_id"), "")
        words = [timed for channel in channels for timed in _words(channel)]
        text = "\n".join(word(channel, "text") for channel in channels)
        length = number(said, "audio_duration_secs") or number(channels[0], "audio_duration_secs")
        length = length or max((it.end_s for it in words), default=None)
        spoken = Spoken(word(channels[0], "language_code") or None, length)
        tell_transcript(narrator, text, [*sentences(words), *words], spoken)


class ElevenLabs(VendorWire):
    """https://elevenlabs.io/docs/api-reference (read 2026-11-21)."""

    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        Capability.TEXT_TO_AUDIO: SpeechUpstream(),
        Capability.AUDIO_TO_TEXT: TranscriptUpstream(),
    }
    models_path = "/v1/voices"
    """All of them in one reply; version 2 of the list comes in pages of a hundred."""
    codes: Mapping[str, Code] = {
        "quota_exceeded": Code.UPSTREAM_BILLING,  # it comes with 401
        "paid_plan_required": Code.UPSTREAM_BILLING,
        "payment_required": Code.UPSTREAM_BILLING,
        "too_many_concurrent_requests": Code.RATE_LIMITED,
        "concurrent_limit_exceeded": Code.RATE_LIMITED,
        "rate_limit_exceeded": Code.RATE_LIMITED,
        "system_busy": Code.OVERLOADED,  # with 429, for everybody
        "voice_not_found": Code.MODEL_NOT_FOUND,
        "model_not_found": Code.MODEL_NOT_FOUND,
    }
    """https://elevenlabs.io/docs/eleven-api/resources/errors (read 2026-11-21)."""

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        """The voices. How each was made is a tag: `premade`, `cloned`, `professional`, `generated`.

        Raises:
            UpstreamError: protocol_error, this is no list of voices.
        """
        said = parse(body)
        if said is None or not isinstance(said.get("voices"), list):
            raise UpstreamError(f"this is no list of voices: {page_text(body)}", Code.PROTOCOL)
        return [_entry(voice) for voice in things(said, "voices") if word(voice, "voice_id")]


ELEVENLABS = ElevenLabs()


def _effect(asked: Speak, model: str) -> Outgoing:
    extra, dropped = split_extra(asked.extra, _EFFECT | _QUERY)
    spoken = {"voice": asked.voice, "instructions": asked.instructions, "speed": asked.speed}
    dropped += [name for name, value in spoken.items() if value is not None]
    body: dict[str, JsonValue] = {"text": asked.text, "model_id": model}
    body |= {name: value for name, value in extra.items() if name in _EFFECT}
    path = "/v1/sound-generation" + _query(extra, _format(asked, extra, dropped))
    return Outgoing(path, orjson.dumps(body), dropped=tuple(dropped))


def _voice(asked: Speak, model: str, dropped: list[str]) -> str:
    if not model.startswith(MODELS):
        if asked.voice not in (None, model):
            dropped.append("voice: the model's name is one already")
        return model
    if asked.voice is not None and _VOICE_ID.fullmatch(asked.voice):
        return asked.voice
    if asked.voice is not None:
        dropped.append("voice: it is no id of a voice here")
    return VOICE


def _settings(asked: Speak, extra: Json, dropped: list[str]) -> dict[str, JsonValue]:
    """How the voice is to speak: an object of the vendor's, or its fields one by one."""
    given = extra.get("voice_settings")
    settings = dict(given) if isinstance(given, dict) else {}
    settings |= {name: value for name, value in extra.items() if name in _SETTINGS}
    if asked.speed is not None:
        settings["speed"] = min(max(asked.speed, _SLOWEST), _FASTEST)
        if settings["speed"] != asked.speed:
            dropped.append(f"speed: kept within {_SLOWEST} and {_FASTEST}")
    return settings


def _format(asked: Speak, extra: Json, dropped: list[str]) -> str:
    """What the vendor calls the format that is wanted, or the nearest that it has."""
    if isinstance(said := extra.get("output_format"), str):
        return said
    rates = _RATES.get(asked.format or "mp3")
    if rates is None:
        dropped.append("format: mp3 instead")
        rates = _RATES["mp3"]
    usual = next(iter(rates))
    if asked.sample_rate is not None and asked.sample_rate not in rates:
        dropped.append(f"sample_rate: {usual} instead")
    return rates.get(asked.sample_rate or usual, rates[usual])


def _query(extra: Json, format: str) -> str:
    said = {name: next(_texts(extra[name]), "") for name in sorted(_QUERY & extra.keys())}
    return "?" + urlencode({**said, "output_format": format})


def _texts(value: JsonValue) -> Iterator[str]:
    """A value of a form or of a query; a list of words is said one by one."""
    if isinstance(value, list) and all(isinstance(it, str) for it in value):
        yield from (it for it in value if isinstance(it, str))
    elif value is not None:
        yield value if isinstance(value, str) else orjson.dumps(value).decode()


def _words(channel: Json) -> Iterator[Timed]:
    """Words, and sounds that are no words; what stands between them is left out."""
    for said in things(channel, "words"):
        start_s, end_s = number(said, "start"), number(said, "end")
        if word(said, "type") == "spacing" or start_s is None or end_s is None:
            continue
        logprob = number(said, "logprob")
        confidence = math.exp(min(logprob, 0.0)) if logprob is not None else None
        yield Timed("word", word(said, "text"), start_s, end_s, word(said, "speaker_id") or None, confidence)


_LABELS = ("gender", "language", "accent")


def _entry(voice: Json) -> ModelEntry:
    labels = voice.get("labels")
    said = [word(labels, name) for name in _LABELS] if isinstance(labels, dict) else []
    tags = ["voice", word(voice, "category"), *said]
    return ModelEntry(
        word(voice, "voice_id"),
        name=word(voice, "name") or None,
        capabilities=frozenset({Capability.TEXT_TO_AUDIO}),
        tags=frozenset(tag.lower() for tag in tags if tag),
    )
