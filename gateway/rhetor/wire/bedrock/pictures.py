"""Pictures, each vendor's models in its own words: `InvokeModel`.

Amazon's Nova Canvas and Titan make several at once
(https://docs.aws.amazon.com/nova/latest/userguide/image-gen-req-resp-structure.html); Stability's one, so it
is asked again for more
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-stability-diffusion.html; both read
2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rhetor.core.content import Json, JsonValue, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import Failed, MediumDelta, MediumStarted, UsageReport
from rhetor.core.media import Draw, Material, base64_of
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.core.value import value
from rhetor.wire import fields
from rhetor.wire.base import Decoder, Follow, Outgoing, Quirks
from rhetor.wire.bedrock.errors import error_inside
from rhetor.wire.bedrock.vocabulary import FAMILY, path_of
from rhetor.wire.lenient import word
from rhetor.wire.media.repeated import RepeatedDecoder
from rhetor.wire.media.vendor import VendorUpstream

MOST = 10  # pictures of one request
AT_ONCE = 5  # of Amazon's models
LARGEST_SEED = 858_993_459
STRENGTH = 0.7  # of the change, which Stability's models have to be told


@value(kw_only=True)
class _Drawing(Outgoing):
    rest: tuple[bytes, ...] = ()
    """What is asked afterwards."""
    kind: str = "image/png"


class Pictures(VendorUpstream):
    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        draw = request.input
        assert isinstance(draw, Draw)
        dropped = list(_wordless(draw))
        amazons = "amazon." in model
        write = _amazon if amazons else _stability
        first, *rest = (fields.dump(body) for body in write(draw, dropped))
        kind = (not amazons and draw.format) or "image/png"
        path = path_of(model, "invoke")
        return _Drawing(path=path, body=first, dropped=tuple(dropped), rest=tuple(rest), kind=kind)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        rest, kind = (outgoing.rest, outgoing.kind) if isinstance(outgoing, _Drawing) else ((), "image/png")
        follows = [Follow(url=outgoing.path, method="POST", body=body) for body in rest]
        return PicturesDecoder(kind, follows)


def _wordless(draw: Draw) -> Iterator[str]:
    """Wishes that none of these models has a word for."""
    for name in ("style", "background", "steps", "end_user"):
        if getattr(draw, name) is not None:
            yield name
    yield from (f"extra.{name}" for name in draw.extra)
    if draw.count > MOST:
        yield f"count: no more than {MOST}"


def _amazon(draw: Draw, dropped: list[str]) -> Iterator[dict[str, JsonValue]]:
    words: dict[str, JsonValue] = {"text": draw.prompt}
    if draw.negative_prompt is not None:
        words["negativeText"] = draw.negative_prompt
    dropped += [name for name in ("aspect_ratio", "format") if getattr(draw, name) is not None]
    config: dict[str, JsonValue] = {}
    if draw.size is not None:
        config |= {"width": draw.size[0], "height": draw.size[1]}
    if draw.quality is not None:
        config["quality"] = "premium" if draw.quality in ("premium", "hd", "high") else "standard"
    if draw.guidance is not None:
        config["cfgScale"] = draw.guidance
    if draw.seed is not None:
        config["seed"] = draw.seed % (LARGEST_SEED + 1)
    task = _task(draw, words)
    left = min(max(draw.count, 1), MOST)
    while left > 0:
        yield {**task, "imageGenerationConfig": {**config, "numberOfImages": min(left, AT_ONCE)}}
        left -= AT_ONCE


def _task(draw: Draw, words: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """What is done: drawing, following pictures, or filling in what a mask leaves free."""
    if not draw.images:
        return {"taskType": "TEXT_IMAGE", "textToImageParams": words}
    pictures: list[JsonValue] = [_bytes(it, f"images[{n}]") for n, it in enumerate(draw.images)]
    if draw.mask is None:
        return {"taskType": "IMAGE_VARIATION", "imageVariationParams": {**words, "images": pictures}}
    filling = {**words, "image": pictures[0], "maskImage": _bytes(draw.mask, "mask")}
    return {"taskType": "INPAINTING", "inPaintingParams": filling}


def _stability(draw: Draw, dropped: list[str]) -> Iterator[dict[str, JsonValue]]:
    dropped += [name for name in ("size", "quality", "guidance", "mask") if getattr(draw, name) is not None]
    body: dict[str, JsonValue] = {"prompt": draw.prompt, "mode": "text-to-image"}
    if draw.images:
        dropped += [f"images[{number}]" for number in range(1, len(draw.images))]
        body |= {"mode": "image-to-image", "image": _bytes(draw.images[0], "images[0]"), "strength": STRENGTH}
    elif draw.aspect_ratio is not None:
        body["aspect_ratio"] = draw.aspect_ratio
    if draw.negative_prompt is not None:
        body["negative_prompt"] = draw.negative_prompt
    if draw.format is not None:
        body["output_format"] = draw.format.partition("/")[2]
    for number in range(min(max(draw.count, 1), MOST)):
        yield body if draw.seed is None else {**body, "seed": draw.seed + number}


def _bytes(material: Material, path: str) -> str:
    if isinstance(material, Url):
        message = f"{path}: {FAMILY} takes pictures as bytes, not by their address"
        raise BadRequest(message, Code.UNSUPPORTED, param=path)
    return base64_of(material)


class PicturesDecoder(RepeatedDecoder):
    """`images`, and why there are none.

    Args:
        kind: their media type, which nobody tells.
    """

    def __init__(self, kind: str, rest: Iterable[Follow] = ()) -> None:
        super().__init__(rest)
        self._kind = kind
        self._drawn = 0

    def read(self, said: Json, headers: Mapping[str, str]) -> None:
        if error := error_inside(said):
            self.narrator.end(Failed(error))
            return
        images = said.get("images")
        drawn = [it for it in images if isinstance(it, str) and it] if isinstance(images, list) else []
        for base64 in drawn:
            self.narrator.emit(MediumStarted(self._drawn, self._kind))
            self.narrator.emit(MediumDelta(self._drawn, base64.encode(), base64=True))
            self._drawn += 1
        if not drawn:
            reasons = said.get("finish_reasons")
            told = [it for it in reasons if isinstance(it, str)] if isinstance(reasons, list) else []
            why = word(said, "error") or "; ".join(told)
            code = Code.CONTENT_POLICY if why else Code.PROTOCOL
            self.narrator.fail(f"the provider's reply has no picture in it: {why or 'it says not why'}", code)

    def finish(self) -> None:
        self.narrator.emit(UsageReport(Usage(images=self._drawn)))
        super().finish()
