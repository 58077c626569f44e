"""The language of fal: a queue in front of models that each have inputs and outputs of their own.

https://fal.ai/docs/api-reference/inference-api, https://fal.ai/docs/documentation/model-apis/inference/queue,
…/model-apis/errors and …/model-apis/request-errors (read 2026-11-21).

The addresses of a request are those that the queue gives: status and result leave out the end of the
model's name, and are not built by us.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from rhetor.core.capability import Capability
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, Follow, Outgoing, Quirks, Upstream
from rhetor.wire.fields import dump
from rhetor.wire.lenient import things, word
from rhetor.wire.media.asked import Names, inputs
from rhetor.wire.media.errand import ErrandDecoder, kind_of
from rhetor.wire.media.found import others, results, transcript
from rhetor.wire.media.vendor import VendorUpstream, VendorWire
from rhetor.wire.refusals import code_of_status

NAME = "fal"
_MODEL = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)+")
_STEP = re.compile(r"(\d{1,3})%\||\b[Ss]tep (\d{1,4})/(\d{1,4})\b")
"""How far a model is, where its logs say so."""

NAMES = Names(
    image="image_url",
    several="image_urls",
    mask="mask_url",
    audio="audio_url",
    video="video_url",
    count="num_images",
    size="image_size",
    spoken_prompt=re.compile(r"music|sound|sfx|kokoro|stable-audio|lyria|mmaudio"),
    images=((re.compile(r"/edit(-image)?$|/edit/|/multi$|reference-to-video"), "image_urls[]"),),
    formats={"png": "png", "jpg": "jpeg", "webp": "webp"},
)
"""What the schemas of the more popular models say, https://fal.ai/models (read 2026-11-21)."""

_CODES: Mapping[str, Code] = {
    "content_policy_violation": Code.CONTENT_POLICY,
    "no_media_generated": Code.UPSTREAM_ERROR,
    "image_too_large": Code.INVALID_REQUEST,
    "request_timeout": Code.UNAVAILABLE,
    "startup_timeout": Code.UNAVAILABLE,
    "generation_timeout": Code.UNAVAILABLE,
    "runner_scheduling_failure": Code.UNAVAILABLE,
    "runner_connection_timeout": Code.UNAVAILABLE,
    "runner_connection_refused": Code.UNAVAILABLE,
    "runner_disconnected": Code.UNAVAILABLE,
    "downstream_service_unavailable": Code.UNAVAILABLE,
    "downstream_service_error": Code.UNAVAILABLE,
    "client_cancelled": Code.UNAVAILABLE,
}
"""By `type` of what a model refuses, or `error_type` of what goes wrong with the request."""


class FalUpstream(VendorUpstream):
    """One operation; they differ in what has to come."""

    def __init__(self, capability: Capability) -> None:
        self._capability = capability

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        if not _MODEL.fullmatch(model):
            message = f"{model!r} is no model of fal: expected owner/name"
            raise BadRequest(message, Code.MODEL_NOT_FOUND, param="model")
        said, dropped = inputs(request, model, NAMES)
        return Outgoing(f"/{quote(model)}", dump(said), dropped=dropped, outlives=True)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return QueueDecoder(self._capability)


class QueueDecoder(ErrandDecoder):
    """Decodes a request's way through the queue: submitted, asked about, and its result."""

    def __init__(self, capability: Capability) -> None:
        super().__init__(kind_of(capability))
        self._capability = capability
        self._status_url = ""
        self._cancel_url = ""
        self._response_url = ""
        self._is_done = False

    def read(self, said: Json) -> None:
        if self._is_done:
            self._made(said)
            return
        self.start(word(said, "request_id"), "")
        self._status_url = self._status_url or word(said, "status_url")
        self._cancel_url = self._cancel_url or word(said, "cancel_url")
        self._response_url = word(said, "response_url") or self._response_url
        match status := word(said, "status") or "IN_QUEUE":
            case "COMPLETED" if word(said, "error_type") or word(said, "error"):
                kind = word(said, "error_type")
                message = word(said, "error") or kind
                self.fail(f"the request failed: {message}", _CODES.get(kind, Code.UPSTREAM_ERROR))
            case "COMPLETED":
                self._is_done = True
                self._fetch_result()
            case "FAILED" | "CANCELED" | "CANCELLED":
                self.fail(f"the provider ended the request: {status}", Code.UPSTREAM_ERROR)
            case _:
                self._go_on(said, status)

    def _fetch_result(self) -> None:
        if self._response_url:
            self.ask(self._response_url)
        else:
            self.fail("the provider does not say where the result is", Code.PROTOCOL)

    def _go_on(self, said: Json, status: str) -> None:
        if not self._status_url:
            self.fail("the provider does not say where the request can be asked about", Code.PROTOCOL)
            return
        position = said.get("queue_position")
        note = status.lower() + (f", {position} ahead" if isinstance(position, int) and position else "")
        poll = self._status_url + ("&" if "?" in self._status_url else "?") + "logs=1"
        cancel = Follow(url=self._cancel_url, method="PUT") if self._cancel_url else None
        self.wait(poll, note, _fraction(said), cancel)

    def _made(self, said: Json) -> None:
        if self._capability is Capability.AUDIO_TO_TEXT:
            heard = transcript(dict(said))
            if not heard:
                self.fail(f"the model wrote nothing down: {others(dict(said))}", Code.PROTOCOL)
            else:
                self.finish(*heard)
            return
        output, hidden = _shown(said)
        found = results(output, self.kind)
        if hidden and not found:
            self.fail("the model's safety checker holds back what it made", Code.CONTENT_POLICY)
        elif not found:
            self.fail(f"the model did not make {self.kind.name}, but {others(output)}", Code.PROTOCOL)
        else:
            self.fetch(found)


class Fal(VendorWire):
    name = NAME
    upstream: Mapping[Capability, Upstream] = {
        capability: FalUpstream(capability)
        for capability in Capability
        if capability.rpartition("-to-")[2] in ("image", "video", "audio", "3d")
        or capability is Capability.AUDIO_TO_TEXT
    }

    def code_of(self, status: int, said: str) -> Code:
        """422: the input does not fit the model."""
        return Code.INVALID_REQUEST if status == 422 else code_of_status(status)

    def _code_said(self, fields: Json | None) -> Code | None:
        if fields is None:
            return None
        kinds = [word(fields, "error_type"), *(word(it, "type") for it in things(fields, "detail"))]
        return next((_CODES[kind] for kind in kinds if kind in _CODES), None)


FAL = Fal()


def _fraction(said: Json) -> float | None:
    """How far the model is, as the last line of its logs that says so has it."""
    for line in reversed(things(said, "logs")):
        if found := _STEP.findall(word(line, "message")):
            percent, step, steps = found[-1]
            done = int(percent) / 100 if percent else int(step) / max(int(steps), 1)
            return min(done, 1.0)
    return None


def _shown(said: Json) -> tuple[JsonValue, bool]:
    """A model's output without what its safety checker has blackened, and whether there is any."""
    flags, images = said.get("has_nsfw_concepts"), said.get("images")
    if not isinstance(flags, list) or True not in flags or not isinstance(images, list):
        return dict(said), False
    shown: list[JsonValue] = [
        image for n, image in enumerate(images) if n >= len(flags) or flags[n] is not True
    ]
    return {**said, "images": shown}, True
