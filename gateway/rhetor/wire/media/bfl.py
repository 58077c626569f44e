"""The language of Black Forest Labs: a task a picture or a film, asked about where the vendor says.

https://docs.bfl.ai/quick_start/generating_images, https://docs.bfl.ai/api_integration/integration_guidelines,
https://docs.bfl.ai/api-reference/utility/get-result and the vendor's own descriptions of its API,
https://github.com/black-forest-labs/skills (read 2026-11-21).

Tasks cannot be cancelled: nothing of the kind is documented.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.media import Draw, Make, Material, base64_of
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, Outgoing, Quirks, Upstream
from rhetor.wire.fields import dump
from rhetor.wire.lenient import thing, word
from rhetor.wire.media.errand import ErrandDecoder, Kind, Result, kind_of, type_by_name
from rhetor.wire.media.vendor import VendorUpstream, VendorWire
from rhetor.wire.refusals import code_of_status

NAME = "bfl"
_MODEL = re.compile(r"[\w-][\w.-]*")
_FORMATS: Mapping[str, str] = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}
_FAILED: Mapping[str, Code] = {
    "Request Moderated": Code.CONTENT_POLICY,
    "Content Moderated": Code.CONTENT_POLICY,
    "Error": Code.UPSTREAM_ERROR,
    "Failed": Code.UPSTREAM_ERROR,
    "Task not found": Code.UNAVAILABLE,
}
"""How tasks end that made nothing. `Failed` stands in no document; the vendor's customers have met it."""
_READY = "Ready"


class BflUpstream(VendorUpstream):
    """One operation; they differ in what has to come."""

    def __init__(self, capability: Capability) -> None:
        self._capability = capability

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        if not _MODEL.fullmatch(model):
            message = f"{model!r} is no model of Black Forest Labs: expected one such as flux-2-pro"
            raise BadRequest(message, Code.MODEL_NOT_FOUND, param="model")
        match request.input:
            case Draw() as draw:
                said, dropped = _drawn(draw, model)
            case Make() as make:
                said, dropped = _filmed(make, request.capability)
            case _:
                raise BadRequest(f"there is no {request.capability} here", Code.UNSUPPORTED)
        body = {name: value for name, value in said.items() if value is not None} | dict(request.input.extra)
        lost = tuple(name for name, value in dropped.items() if value is not None)
        return Outgoing(f"/v1/{quote(model)}", dump(body), dropped=lost)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return TaskDecoder(kind_of(self._capability))


class TaskDecoder(ErrandDecoder):
    """Decodes a task, from its submission to what it made."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self._polling_url = ""

    def read(self, said: Json) -> None:
        self.start(word(said, "id"), "")
        self._polling_url = word(said, "polling_url") or self._polling_url
        status = word(said, "status")
        if status in _FAILED:
            details = thing(said, "details")
            reasons = details.get("Moderation Reasons") or word(said, "error") or word(details, "error")
            why = f": {reasons}" if reasons else ""
            self.fail(f"the task ended with {status!r}{why}", _FAILED[status])
        elif status == _READY:
            self._made(thing(said, "result"))
        elif not self._polling_url:
            self.fail("the provider does not say where the task can be asked about", Code.PROTOCOL)
        else:
            progress = said.get("progress")
            fraction = float(progress) if isinstance(progress, int | float) and 0 <= progress <= 1 else None
            self.wait(self._polling_url, status.lower() or "submitted", fraction)

    def _made(self, result: Json) -> None:
        sample = result.get("sample")
        places = sample if isinstance(sample, list) else [sample]
        prompt = word(result, "prompt") or None
        self.fetch(
            Result(url=place, media_type=type_by_name(place), prompt=prompt)
            for place in places
            if isinstance(place, str) and place
        )


class Bfl(VendorWire):
    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        capability: BflUpstream(capability)
        for capability in (
            Capability.TEXT_TO_IMAGE,
            Capability.IMAGE_TO_IMAGE,
            Capability.TEXT_TO_VIDEO,
            Capability.IMAGE_TO_VIDEO,
            Capability.VIDEO_TO_VIDEO,
        )
    }

    def code_of(self, status: int, said: str) -> Code:
        """422: the input does not fit the model. 403 for a key that is none: `Not authenticated`."""
        return Code.INVALID_REQUEST if status == 422 else code_of_status(status)


BFL = Bfl()

_Said = tuple[dict[str, JsonValue], dict[str, object]]


def _drawn(draw: Draw, model: str) -> _Said:
    if draw.count != 1:
        raise BadRequest("this provider makes one picture at a time", Code.UNSUPPORTED, param="n")
    said: dict[str, JsonValue] = {
        "prompt": draw.prompt,
        "aspect_ratio": draw.aspect_ratio,
        "seed": draw.seed,
        "steps": draw.steps,
        "guidance": draw.guidance,
        "output_format": _FORMATS.get(draw.format or ""),
    }
    if draw.size is not None:
        said |= {"width": draw.size[0], "height": draw.size[1]}
    # Filling is of a picture and its mask, under names of their own:
    # https://docs.bfl.ai/api-reference (flux-pro-1.0-fill, read 2026-11-21).
    first = "image" if "fill" in model or "expand" in model else "input_image"
    for n, image in enumerate(draw.images, 1):
        said[first if n == 1 else f"{first}_{n}"] = _material(image)
    if draw.mask is not None:
        said["mask"] = _material(draw.mask)
    dropped: dict[str, object] = {
        "negative_prompt": draw.negative_prompt,
        "quality": draw.quality,
        "style": draw.style,
        "background": draw.background,
        "user": draw.end_user,
    }
    return said, dropped


_MODES: Mapping[Capability, str] = {
    Capability.TEXT_TO_VIDEO: "t2v",
    Capability.IMAGE_TO_VIDEO: "i2v",
    Capability.VIDEO_TO_VIDEO: "v2v",
}


def _filmed(make: Make, capability: Capability) -> _Said:
    """FLUX 3: https://docs.bfl.ai/api-reference/flux3 (read 2026-11-21 in the vendor's own repository)."""
    said: dict[str, JsonValue] = {
        "mode": _MODES[capability],
        "prompt": make.prompt or None,
        "aspect_ratio": make.aspect_ratio,
        "duration": None if make.seconds is None else round(make.seconds),
    }
    places: list[JsonValue] = [_material(source) for source in make.sources]
    if capability is Capability.IMAGE_TO_VIDEO:
        said["keyframes"] = places[0] if len(places) == 1 else places
    elif capability is Capability.VIDEO_TO_VIDEO:
        said["start_video"] = places[0] if places else None
    return said, {"size": make.size, "seed": make.seed, "format": make.format}


def _material(material: Material) -> str:
    """An address, which the vendor prefers, or base64 alone."""
    return material.url if isinstance(material, Url) else base64_of(material)
