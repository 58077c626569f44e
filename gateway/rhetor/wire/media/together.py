"""What Together AI says otherwise than OpenAI: pictures by width and height, and its formats of speech.

https://docs.together.ai/reference/post-images-generations and …/reference/audio-speech, with the details of
the vendor's own SDK for Python 3.1.1 (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.media import AUDIO_TYPES, Draw, Speak, url_of
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, Outgoing, Quirks, Upstream
from rhetor.wire.media.binary import BinaryDecoder
from rhetor.wire.media.pictures import PicturesDecoder
from rhetor.wire.media.vendor import VendorUpstream, VendorWire, split_extra

NAME = "together"

_DRAWING = frozenset({"disable_safety_checker", "image_loras", "image_url", "reference_images"})
_SPEAKING = frozenset({"bit_rate", "extra_params", "response_encoding"})
_FORMATS = {"mp3": "mp3", "wav": "wav", "pcm": "raw"}
_VOICES: Mapping[str, str] = {
    "kokoro": "af_alloy",
    "orpheus": "tara",
    "sonic": "friendly sidekick",
}
"""Who speaks when nobody is named, by a part of the model's name: the vendor demands a name."""


class PicturesUpstream(VendorUpstream):
    """A prompt, and perhaps pictures to go by → pictures."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Draw)
        extra, dropped = split_extra(asked.extra, _DRAWING)
        unsaid = ("aspect_ratio", "quality", "style", "background", "mask", "end_user")
        dropped += [name for name in unsaid if getattr(asked, name) is not None]
        body: dict[str, JsonValue] = {"model": model, "prompt": asked.prompt, "n": asked.count}
        body["response_format"] = "base64"
        if asked.size is not None:
            body["width"], body["height"] = asked.size
        if asked.format in ("image/png", "image/jpeg"):
            body["output_format"] = asked.format.removeprefix("image/")
        elif asked.format is not None:
            dropped.append("format: as the model likes")
        said: dict[str, JsonValue] = {
            "negative_prompt": asked.negative_prompt,
            "seed": asked.seed,
            "steps": asked.steps,
            "guidance_scale": asked.guidance,
        }
        body |= {name: value for name, value in said.items() if value is not None}
        if len(asked.images) == 1:
            body["image_url"] = url_of(asked.images[0])
        elif asked.images:
            body["reference_images"] = [url_of(image) for image in asked.images]
        return Outgoing("/images/generations", orjson.dumps(body | extra), dropped=tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return PicturesDecoder("image/jpeg")


class SpeechUpstream(VendorUpstream):
    """A text → sound, in one piece: a stream has no containers here."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Speak)
        extra, dropped = split_extra(asked.extra, _SPEAKING)
        dropped += [name for name in ("instructions", "speed") if getattr(asked, name) is not None]
        body: dict[str, JsonValue] = {"model": model, "input": asked.text}
        voice = asked.voice or next((it for part, it in _VOICES.items() if part in model.lower()), None)
        if voice is not None:
            body["voice"] = voice
        format = _FORMATS.get(asked.format or "mp3")
        if format is None:
            dropped.append("format: mp3 instead")
        body["response_format"] = format or "mp3"
        if format == "raw":
            body["response_encoding"] = "pcm_s16le"
        if asked.sample_rate is not None:
            body["sample_rate"] = asked.sample_rate
        if asked.language is not None:
            body["language"] = asked.language
        return Outgoing("/audio/speech", orjson.dumps(body | extra), dropped=tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        said = orjson.loads(outgoing.body)["response_format"]
        return BinaryDecoder("audio/", AUDIO_TYPES["pcm" if said == "raw" else said])


class Together(VendorWire):
    """https://docs.together.ai/reference (read 2026-11-21)."""

    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        Capability.TEXT_TO_IMAGE: PicturesUpstream(),
        Capability.IMAGE_TO_IMAGE: PicturesUpstream(),
        Capability.TEXT_TO_AUDIO: SpeechUpstream(),
    }


TOGETHER = Together()
