"""A provider's list of models: https://ai.google.dev/api/models (read 2026-11-21)."""

from __future__ import annotations

from collections.abc import Sequence

from rhetor.core.capability import Capability
from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.base import ModelEntry
from rhetor.wire.lenient import count, parse, word

MODELS_PATH = "/models?pageSize=1000"
"""The whole list on one page."""

PICTURES = frozenset({Capability.TEXT_TO_IMAGE, Capability.IMAGE_TO_IMAGE})
TALKS = frozenset({Capability.CHAT, Capability.AUDIO_TO_TEXT})
_METHODS = {
    "embedContent": frozenset({Capability.EMBEDDINGS}),
    "predict": frozenset({Capability.TEXT_TO_IMAGE}),
}


def read_models(body: bytes) -> Sequence[ModelEntry]:
    """The list, under the names that requests use.

    Raises:
        UpstreamError: protocol_error, this is no list of models.
    """
    said = parse(body)
    listed = said.get("models") if said is not None else None
    if not isinstance(listed, list):
        raise UpstreamError("the provider's list of models is not one", Code.PROTOCOL)
    return [_entry(it) for it in listed if isinstance(it, dict) and word(it, "name")]


def _entry(model: Json) -> ModelEntry:
    id = word(model, "name").removeprefix("models/")
    return ModelEntry(
        id=id,
        name=word(model, "displayName") or None,
        context_tokens=count(model, "inputTokenLimit") or None,
        max_output_tokens=count(model, "outputTokenLimit") or None,
        capabilities=_capabilities(id, model.get("supportedGenerationMethods")),
        lacks=frozenset({"thinking"}) if model.get("thinking") is False else frozenset(),
    )


def _capabilities(id: str, methods: object) -> frozenset[Capability] | None:
    """What a model is asked for: its methods say how, and of those that generate, its name says what."""
    if not isinstance(methods, list):
        return None
    if "generateContent" in methods:
        return capabilities_of(id)
    return frozenset().union(*(_METHODS.get(it, frozenset()) for it in methods if isinstance(it, str)))


def capabilities_of(id: str) -> frozenset[Capability]:
    """What a model that generates content generates."""
    if "image" in id or "nano-banana" in id:
        return PICTURES
    if "-tts" in id:
        return frozenset({Capability.TEXT_TO_AUDIO})
    return TALKS if id.startswith("gemini") else frozenset({Capability.CHAT})
