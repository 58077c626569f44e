"""The language of guests: providers that are programs, which the gateway runs and talks to over their stdio.

Requests and replies are the gateway's own words as JSON, media are raw bytes. It is described for authors
in `docs/provider-protocol.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.request import Request
from rhetor.wire.base import Decoder, ModelEntry, Outgoing, Quirks, Upstream
from rhetor.wire.guest.asking import write_request
from rhetor.wire.guest.frames import Frame, FrameSplitter
from rhetor.wire.guest.telling import GuestDecoder, read_failure
from rhetor.wire.lenient import thing, things, word
from rhetor.wire.media.vendor import VendorUpstream, VendorWire

MODELS_PATH = "/models"
MOST_MODELS = 10_000


class _GuestUpstream(VendorUpstream):
    def __init__(self, capability: Capability) -> None:
        self._capability = capability

    def build(self, request: Request, model: str, quirks: Quirks) -> Outgoing:
        return write_request(request, model)

    def decoder(self, stream: bool, outgoing: Outgoing) -> Decoder:
        return GuestDecoder(self._capability, self._count(outgoing))

    def _count(self, outgoing: Outgoing) -> int | None:
        """How many inputs there are for replies that speak of them by number."""
        listed = _LISTED.get(self._capability)
        if listed is None:
            return None
        head: Json = orjson.loads(outgoing.body.partition(b"\n")[0])
        said = thing(thing(head, "request"), "input").get(listed)
        return len(said) if isinstance(said, list) else 0


_LISTED = {Capability.EMBEDDINGS: "inputs", Capability.RERANK: "documents"}


class _Guest(VendorWire):
    name = "guest"
    upstream: Mapping[Capability, Upstream] = {each: _GuestUpstream(each) for each in Capability}
    models_path = MODELS_PATH

    def read_models(self, body: bytes) -> Sequence[ModelEntry]:
        """
        Raises:
            UpstreamError: the guest failed, or told no list.
        """
        listed = things(result_of(body), "models")[:MOST_MODELS]
        return [entry for model in listed if (entry := _entry(model)) is not None]


def result_of(body: bytes) -> Json:
    """The result that a guest told to a question that is no generation.

    Raises:
        UpstreamError: it failed, or told none.
    """
    frames: list[Frame] = FrameSplitter().feed(body)
    for each in frames:
        if each.fields.get("event") == "failed":
            raise read_failure(each.fields)
        if each.fields.get("event") == "result":
            return thing(each.fields, "value")
    raise UpstreamError("the guest did not say what it was asked", Code.PROTOCOL)


def _entry(model: Json) -> ModelEntry | None:
    id = word(model, "id")
    if not id or len(id) > 200 or not id.isprintable():
        return None
    return ModelEntry(
        id,
        word(model, "name") or None,
        context_tokens=_positive(model, "context_tokens"),
        max_output_tokens=_positive(model, "max_output_tokens"),
        features=_words(model, "features"),
        capabilities=_capabilities(model),
    )


def _positive(model: Json, key: str) -> int | None:
    value = model.get(key)
    return value if type(value) is int and 0 < value < 1 << 40 else None


def _words(model: Json, key: str) -> frozenset[str] | None:
    value = model.get(key)
    return frozenset(it for it in value if isinstance(it, str)) if isinstance(value, list) else None


def _capabilities(model: Json) -> frozenset[Capability] | None:
    words = _words(model, "capabilities")
    return None if words is None else frozenset(Capability(it) for it in words & set(Capability))


GUEST = _Guest()
