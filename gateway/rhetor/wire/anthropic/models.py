"""A provider's list of models."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.capability import Feature
from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.base import ModelEntry
from rhetor.wire.lenient import count, parse, thing, things, word

MODELS_PATH = "/v1/models?limit=1000"
"""The whole list on one page. https://platform.claude.com/docs/en/api/models/list (read 2026-11-20)."""

_ALWAYS = frozenset({Feature.STREAMING, Feature.TOOLS, Feature.PROMPT_CACHING})
"""What every model of the language does, and the list therefore does not say."""
_FEATURES: Mapping[str, Feature] = {
    "image_input": Feature.IMAGES,
    "pdf_input": Feature.DOCUMENTS,
    "structured_outputs": Feature.JSON_SCHEMA,
    "thinking": Feature.THINKING,
}


def read_models(body: bytes) -> list[ModelEntry]:
    """The models that can be asked; retired ones and entries without an id are left out.

    Raises:
        UpstreamError: protocol_error, this is no list of models.
    """
    said = parse(body)
    if said is None or not isinstance(said.get("data"), list):
        raise UpstreamError("the provider's list of models is not one", Code.PROTOCOL)
    entries = things(said, "data")
    return [_read(entry) for entry in entries if word(entry, "id") and entry.get("lifecycle") != "retired"]


def _read(entry: Json) -> ModelEntry:
    return ModelEntry(
        id=word(entry, "id"),
        name=word(entry, "display_name") or None,
        context_tokens=count(entry, "max_input_tokens") or None,
        max_output_tokens=count(entry, "max_tokens") or None,
        features=_features(thing(entry, "capabilities")),
    )


def _features(said: Json) -> frozenset[str] | None:
    if not said:
        return None
    return _ALWAYS | {it for key, it in _FEATURES.items() if thing(said, key).get("supported") is True}
