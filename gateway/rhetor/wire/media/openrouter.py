"""What OpenRouter says otherwise than OpenAI: pictures, at one place for drawing and for changing.

https://openrouter.ai/docs/guides/overview/multimodal/image-generation, with the details of the vendor's own
SDK for Python 1.3.84 (read 2026-11-21). Speech and transcripts are as OpenAI's; a transcript takes the form
with a file as well as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue
from rhetor.core.media import Draw, url_of
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, Outgoing, Quirks, Upstream
from rhetor.wire.media.pictures import PicturesDecoder
from rhetor.wire.media.vendor import VendorUpstream, VendorWire, split_extra

NAME = "openrouter"

_KNOWN = frozenset({"output_compression", "provider", "resolution", "session_id", "trace"})


class PicturesUpstream(VendorUpstream):
    """A prompt, and perhaps pictures to go by → pictures."""

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        asked = request.input
        assert isinstance(asked, Draw)
        extra, dropped = split_extra(asked.extra, _KNOWN)
        unsaid = ("style", "mask", "negative_prompt", "steps", "guidance")
        dropped += [name for name in unsaid if getattr(asked, name) is not None]
        said: dict[str, JsonValue] = {
            "aspect_ratio": asked.aspect_ratio if asked.size is None else None,
            "size": "{}x{}".format(*asked.size) if asked.size is not None else None,
            "n": asked.count if asked.count > 1 else None,
            "quality": asked.quality,
            "background": asked.background,
            "seed": asked.seed,
            "output_format": asked.format.removeprefix("image/").partition("+")[0] if asked.format else None,
            "user": asked.end_user,
        }
        body: dict[str, JsonValue] = {"model": model, "prompt": asked.prompt}
        body |= {name: value for name, value in said.items() if value is not None}
        if asked.images:
            body["input_references"] = [
                {"type": "image_url", "image_url": {"url": url_of(image)}} for image in asked.images
            ]
        return Outgoing("/images", orjson.dumps(body | extra), dropped=tuple(dropped))

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return PicturesDecoder()


class OpenRouter(VendorWire):
    """https://openrouter.ai/docs/api-reference/overview (read 2026-11-21)."""

    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        Capability.TEXT_TO_IMAGE: PicturesUpstream(),
        Capability.IMAGE_TO_IMAGE: PicturesUpstream(),
    }


OPENROUTER = OpenRouter()
