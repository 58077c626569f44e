"""The language of Stability AI, v2beta: forms go in, a medium comes out, as a rule in the same response.

https://platform.stability.ai/docs/api-reference, in the OpenAPI document of 2026-09-22 that
https://github.com/aself101/stability-ai-api keeps with the record of a day's live calls (read 2026-11-21).

The model says which service is asked: `core`, `ultra`, an `sd3.5-…`, `stable-audio-…`, or the end of
another service's path, such as `upscale/fast`, `edit/inpaint` or `control/sketch`. A few answer with an id,
under which the result is asked for until it is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Bytes, Draw, Make, Material, Speak, data_of, extension_of
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, Outgoing, Quirks, Upstream
from rhetor.wire.lenient import word
from rhetor.wire.media.errand import TEXT, ErrandDecoder, Kind, Result, kind_of
from rhetor.wire.media.vendor import VendorUpstream, VendorWire
from rhetor.wire.multipart import FormField, build_form
from rhetor.wire.refusals import code_of_status

NAME = "stability"
_IMAGE = "/v2beta/stable-image"
_GENERATE: Mapping[str, str] = {
    "core": f"{_IMAGE}/generate/core",
    "stable-image-core": f"{_IMAGE}/generate/core",
    "ultra": f"{_IMAGE}/generate/ultra",
    "stable-image-ultra": f"{_IMAGE}/generate/ultra",
    "stable-audio-3": "/v2beta/audio/stable-audio/{}",
    "stable-fast-3d": "/v2beta/3d/stable-fast-3d",
    "stable-point-aware-3d": "/v2beta/3d/stable-point-aware-3d",
}
_SERVICE = re.compile(r"(upscale|edit|control)/[a-z-]+")
_FILTERED = "CONTENT_FILTERED"
_PAUSE_S = 2.0  # the vendor asks for ten seconds; most results are there before the first of them is over
_FORMATS = frozenset({"png", "jpeg", "webp"})
_NAMES: Mapping[str, Code] = {
    "content_moderation": Code.CONTENT_POLICY,
    "public_figure": Code.CONTENT_POLICY,
    "copyrighted_content": Code.CONTENT_POLICY,
    "rate_limit_exceeded": Code.RATE_LIMITED,
    "payload_too_large": Code.TOO_LARGE,
    "payment_required": Code.UPSTREAM_BILLING,
    "unauthorized": Code.UPSTREAM_AUTH,
    "invalid_language": Code.UNSUPPORTED,  # another model may read it
}
"""The `name` of a refusal; 403 is moderation as often as it is the key."""


class StabilityUpstream(VendorUpstream):
    """One operation; they differ in what has to come."""

    def __init__(self, capability: Capability) -> None:
        self._kind = kind_of(capability)

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        match request.input:
            case Draw() as draw:
                said, files, dropped = _drawn(draw, model)
            case Speak() as speak:
                said, files, dropped = _sounding(speak)
            case Make() as make:
                said, files, dropped = _made(make)
            case _:
                raise BadRequest(f"there is no {request.capability} here", Code.UNSUPPORTED)
        if model.startswith(("sd3", "stable-audio")):
            said["model"] = model
        said |= request.input.extra
        fields: list[FormField] = [
            (name, _written(value)) for name, value in said.items() if value is not None
        ]
        fields += [(name, _file(material, name)) for name, material in files]
        body, content_type = build_form(fields)
        accept = (
            "image/*"
            if self._kind.name == "an image"
            else "audio/*"
            if request.capability in _AUDIO
            else "*/*"
        )
        lost = tuple(name for name, value in dropped.items() if value is not None)
        headers = {"content-type": content_type, "accept": accept}
        return Outgoing(_path(model, request.capability), body, headers, lost)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return StabilityDecoder(self._kind, "audio" if "/audio/" in outgoing.path else "")


class StabilityDecoder(ErrandDecoder):
    """Decodes a medium, or the id under which it will be."""

    def __init__(self, kind: Kind, room: str) -> None:
        super().__init__(kind)
        self._results_path = f"/v2beta/{room}/results/" if room else "/v2beta/results/"

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        super().begin(status, headers)
        content_type = headers.get("content-type", "")
        if content_type.strip().lower().startswith(TEXT.begins):
            return
        self._fetched = Result(url="")
        self.open(content_type, self._fetched)
        if headers.get("finish-reason", "").upper() == _FILTERED:
            # What comes is a blur, and counts as a success.
            self.fail("the provider's filter has blurred what was made", Code.CONTENT_POLICY)

    def read(self, said: Json) -> None:
        id = word(said, "id")
        if not id or word(said, "errors"):
            self.fail("the provider sent neither a medium nor where it will be", Code.PROTOCOL)
            return
        self.start(id, "")
        self.wait(f"{self._results_path}{id}", word(said, "status") or "submitted", pause_s=_PAUSE_S)


class Stability(VendorWire):
    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        capability: StabilityUpstream(capability)
        for capability in (
            Capability.TEXT_TO_IMAGE,
            Capability.IMAGE_TO_IMAGE,
            Capability.TEXT_TO_AUDIO,
            Capability.AUDIO_TO_AUDIO,
            Capability.IMAGE_TO_3D,
        )
    }

    def code_of(self, status: int, said: str) -> Code:
        """422: well-formed, but rejected."""
        return Code.INVALID_REQUEST if status == 422 else code_of_status(status)

    def _code_said(self, fields: Json | None) -> Code | None:
        return _NAMES.get(word(fields, "name")) if fields is not None else None


STABILITY = Stability()

_AUDIO = frozenset({Capability.TEXT_TO_AUDIO, Capability.AUDIO_TO_AUDIO})
_Said = tuple[dict[str, JsonValue], list[tuple[str, Material]], dict[str, object]]


def _path(model: str, capability: Capability) -> str:
    """
    Raises:
        BadRequest: model_not_found, nothing here is called so.
    """
    if model.startswith("sd3"):
        return f"{_IMAGE}/generate/sd3"
    if model.startswith("stable-audio-2"):
        return f"/v2beta/audio/stable-audio-2/{capability}"
    if model in _GENERATE:
        return _GENERATE[model].format(capability)
    if _SERVICE.fullmatch(model):
        return f"{_IMAGE}/{model}"
    message = f"{model!r} is no model of Stability AI: expected core, ultra, sd3.5-large, upscale/fast, …"
    raise BadRequest(message, Code.MODEL_NOT_FOUND, param="model")


def _drawn(draw: Draw, model: str) -> _Said:
    if draw.count != 1:
        raise BadRequest("this provider makes one picture at a time", Code.UNSUPPORTED, param="n")
    if len(draw.images) > 1:
        raise BadRequest("this provider changes one picture at a time", Code.UNSUPPORTED, param="image")
    format = extension_of(draw.format or "").replace("jpg", "jpeg")
    said: dict[str, JsonValue] = {
        "prompt": draw.prompt or None,
        "negative_prompt": draw.negative_prompt,
        "seed": draw.seed,
        "output_format": format if format in _FORMATS else None,
        "style_preset": draw.style,
        "cfg_scale": draw.guidance if model.startswith("sd3") else None,
    }
    ratio = draw.aspect_ratio or _ratio(draw.size)
    if draw.images and model.startswith("sd3"):
        said |= {"mode": "image-to-image", "strength": _STRENGTH}
    elif draw.images and model in ("ultra", "stable-image-ultra"):
        said |= {"strength": _STRENGTH, "aspect_ratio": ratio}
    elif not draw.images:
        said["aspect_ratio"] = ratio
    files = [("image", image) for image in draw.images]
    if draw.mask is not None:
        files.append(("mask", draw.mask))
    dropped: dict[str, object] = {
        "quality": draw.quality,
        "background": draw.background,
        "steps": draw.steps,
        "user": draw.end_user,
        "guidance": None if model.startswith("sd3") else draw.guidance,
    }
    return said, files, dropped


_STRENGTH = 0.6  # required, without a default: the picture can be recognised, and the prompt is followed
_RATIOS = ("21:9", "16:9", "3:2", "5:4", "1:1", "4:5", "2:3", "9:16", "9:21")


def _ratio(size: tuple[int, int] | None) -> str | None:
    """The nearest of the ratios there are: sizes cannot be asked for."""
    if size is None:
        return None
    wanted = size[0] / size[1]

    def off(ratio: str) -> float:
        width, height = map(int, ratio.split(":"))
        return max(wanted * height / width, width / (wanted * height))

    return min(_RATIOS, key=off)


def _sounding(speak: Speak) -> _Said:
    """Music and noises: nobody speaks here."""
    format = speak.format if speak.format in ("mp3", "wav") else None
    said: dict[str, JsonValue] = {"prompt": speak.text, "output_format": format}
    names = ("voice", "instructions", "speed", "sample_rate", "language")
    return said, [], {name: getattr(speak, name) for name in names}


def _made(make: Make) -> _Said:
    said: dict[str, JsonValue] = {"prompt": make.prompt or None, "seed": make.seed}
    if make.seconds is not None:
        said["duration"] = make.seconds
    names = ["image" if _is_picture(source) else "audio" for source in make.sources]
    return said, list(zip(names, make.sources, strict=True)), {"size": make.size, "format": make.format}


def _is_picture(source: Material) -> bool:
    return not isinstance(source, Url) and source.media_type.startswith("image/")


def _file(material: Material, name: str) -> Bytes:
    """
    Raises:
        BadRequest: unsupported, the content lies elsewhere: this provider fetches nothing.
    """
    if isinstance(material, Url):
        message = "this provider takes files, not addresses: send the content itself"
        raise BadRequest(message, Code.UNSUPPORTED, param=name)
    return Bytes(material.media_type, data_of(material), f"{name}.{extension_of(material.media_type)}")


def _written(value: JsonValue) -> str:
    """A value as a form has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
