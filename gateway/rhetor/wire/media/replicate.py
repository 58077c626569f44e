"""The language of Replicate: predictions, of models that each have inputs and outputs of their own.

https://replicate.com/docs/reference/http (the vendor's OpenAPI document) and
https://replicate.com/docs/topics/predictions/lifecycle (read 2026-11-21).

A model is `owner/name` where Replicate calls it official, `owner/name:version` or the version alone
where it does not, and `deployments/owner/name` for a deployment.

Predictions are made without `Prefer: wait`, which would hold the request open until the model is done:
whoever leaves meanwhile does not know which prediction to cancel, and it is paid for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.events import TextDelta, UsageReport
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.wire.base import Decoder, Follow, Outgoing, Quirks, Upstream
from rhetor.wire.fields import dump
from rhetor.wire.lenient import thing, word
from rhetor.wire.media.asked import Names, inputs
from rhetor.wire.media.errand import TEXT, ErrandDecoder, kind_of
from rhetor.wire.media.found import others, results, text_of, transcript
from rhetor.wire.media.vendor import VendorUpstream, VendorWire
from rhetor.wire.refusals import code_of_status

NAME = "replicate"
_VERSION = re.compile(r"[0-9a-f]{64}")
_OFFICIAL = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_DEPLOYED = re.compile(r"deployments/([\w-][\w.-]*/[\w-][\w.-]*)")
_PERCENT = re.compile(r"(\d{1,3})%\|")
"""How tqdm, which most models write their logs with, shows how far they are."""

NAMES = Names(
    image="image",
    several="input_images",
    mask="mask",
    audio="audio",
    video="video",
    count="num_outputs",
    spoken_prompt=re.compile(r"music|bark|sound|sfx|lyria|riffusion|kokoro-prompt"),
    images=tuple(
        (re.compile(pattern), name)
        for pattern, name in (
            (r"flux-kontext", "input_image"),
            (r"/flux-[23]\b|gpt-image", "input_images[]"),
            (r"nano-banana|seedream", "image_input[]"),
            (r"qwen-image-edit-plus", "image[]"),
            (r"/kling|luma/ray", "start_image"),
            (r"minimax/(video|hailuo)", "first_frame_image"),
        )
    ),
    formats={"png": "png", "jpg": "jpg", "webp": "webp"},
)
"""What the pages of the more popular models on https://replicate.com/explore say; another name is given as an
option of the caller's own. That of `audio` is Whisper's."""

_WORDS: tuple[tuple[re.Pattern[str], Code], ...] = (
    (re.compile(r"nsfw|sensitive|safety|moderat|content polic|E005", re.IGNORECASE), Code.CONTENT_POLICY),
    (re.compile(r"E004|temporarily unavailable|high demand|E6716", re.IGNORECASE), Code.UNAVAILABLE),
    (re.compile(r"rate limit|too many requests", re.IGNORECASE), Code.RATE_LIMITED),
)
"""What models say when they fail: there are few codes, https://replicate.com/docs/reference/error-codes
(read 2026-11-21), and E004 and E005 are not among them, though official models say them."""


class ReplicateUpstream(VendorUpstream):
    """One operation; they differ in what has to come."""

    def __init__(self, capability: Capability) -> None:
        self._capability = capability

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        path, version = _place(model)
        said, dropped = inputs(request, model, NAMES)
        body: dict[str, JsonValue] = {"input": said}
        if version is not None:
            body["version"] = version
        return Outgoing(path, dump(body), dropped=dropped, outlives=True)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return PredictionDecoder(self._capability)


class PredictionDecoder(ErrandDecoder):
    """Decodes a prediction, from when it is begun to the last of what it made."""

    def __init__(self, capability: Capability) -> None:
        super().__init__(TEXT if capability is Capability.IMAGE_TO_TEXT else kind_of(capability))
        self._capability = capability
        self._told = 0
        """How much of a text was told already, in characters."""

    def read(self, said: Json) -> None:
        self.start(word(said, "id"), word(said, "model"))
        output, status = said.get("output"), word(said, "status")
        match status:
            case "succeeded":
                self._made(output, said)
            case "failed":
                error = word(said, "error")
                self.fail(f"the prediction failed: {error or 'nobody says why'}", _code_of(error))
            case "canceled" | "aborted":
                self.fail(f"the prediction was {status} at the provider", Code.UNAVAILABLE)
            case _:
                self._go_on(said, status)

    def _go_on(self, said: Json, status: str) -> None:
        urls = thing(said, "urls")
        poll, cancel = word(urls, "get"), word(urls, "cancel")
        if not poll:
            self.fail("the provider does not say where the prediction can be asked about", Code.PROTOCOL)
            return
        percents = _PERCENT.findall(word(said, "logs"))
        fraction = min(int(percents[-1]), 100) / 100 if percents else None
        self.wait(poll, status, fraction, Follow(url=cancel, method="POST") if cancel else None)
        if self._capability in _CONVERSES:
            self._tell(said.get("output"))

    def _made(self, output: JsonValue, said: Json) -> None:
        used = _usage(thing(said, "metrics"))
        ending = [UsageReport(used)] if used is not None else []
        if output is None:
            self.fail("the prediction succeeded and made nothing", Code.PROTOCOL)
        elif self._capability in _CONVERSES:
            self._tell(output)
            if not self._told:
                self.fail(f"the prediction made no text: {others(output)}", Code.PROTOCOL)
            else:
                self.finish(*ending)
        elif self._capability is Capability.AUDIO_TO_TEXT:
            heard = transcript(output)
            if not heard:
                self.fail(f"the prediction wrote nothing down: {others(output)}", Code.PROTOCOL)
            else:
                self.finish(*heard, *ending)
        else:
            api = urlsplit(word(thing(said, "urls"), "get"))[:2]
            found = results(output, self.kind, lambda url: urlsplit(url)[:2] == api)
            if not found:
                message = f"the prediction did not make {self.kind.name}, but {others(output)}"
                self.fail(message, Code.PROTOCOL)
            else:
                self.fetch(found, ending)

    def _tell(self, output: JsonValue) -> None:
        """What is new in a text that grows."""
        text = text_of(output) or ""
        if len(text) > self._told:
            self.say(TextDelta(text[self._told :]))
            self._told = len(text)


class Replicate(VendorWire):
    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        capability: ReplicateUpstream(capability)
        for capability in Capability
        if capability not in (Capability.EMBEDDINGS, Capability.COUNT_TOKENS, Capability.RERANK)
    }

    def code_of(self, status: int, said: str) -> Code:
        """422: the input does not fit the model's schema."""
        return Code.INVALID_REQUEST if status == 422 else code_of_status(status)


REPLICATE = Replicate()

_CONVERSES = frozenset({Capability.CHAT, Capability.IMAGE_TO_TEXT})


def _place(model: str) -> tuple[str, str | None]:
    """Where predictions of a model are made, and the version that is to be named there.

    Raises:
        BadRequest: model_not_found, no model is called so.
    """
    name, _, version = model.rpartition(":")
    if _VERSION.fullmatch(version or name):
        return "/v1/predictions", version or name
    if (deployed := _DEPLOYED.fullmatch(model)) is not None:
        return f"/v1/deployments/{quote(deployed[1])}/predictions", None
    if _OFFICIAL.fullmatch(model) is None:
        message = f"{model!r} is no model of Replicate: expected owner/name or owner/name:version"
        raise BadRequest(message, Code.MODEL_NOT_FOUND, param="model")
    return f"/v1/models/{quote(model)}/predictions", None


def _code_of(error: str) -> Code:
    return next((code for pattern, code in _WORDS if pattern.search(error)), Code.UPSTREAM_ERROR)


_METRICS: Mapping[str, tuple[str, float]] = {
    "token_input_count": ("input_tokens", 1),
    "token_output_count": ("output_tokens", 1),
    "character_input_count": ("characters", 1),
    "image_output_count": ("images", 1),
    "audio_output_duration_seconds": ("audio_ms", 1000),
    "video_output_duration_seconds": ("video_ms", 1000),
}
"""What models report to be billed by, besides `predict_time`, for which nobody has a measure: the names
are those of the vendor's own models, https://github.com/replicate (read 2026-11-21)."""


def _usage(metrics: Json) -> Usage | None:
    used: dict[str, int] = {}
    for name, (measure, factor) in _METRICS.items():
        amount = metrics.get(name)
        if isinstance(amount, int | float) and not isinstance(amount, bool) and amount > 0:
            used[measure] = round(amount * factor)
    return Usage(**used) if used else None  # type: ignore[arg-type]  # none of them is the source
