"""The list of models: each OpenAI speaker adds what it likes to the four documented fields.

https://platform.openai.com/docs/api-reference/models/list and
https://openrouter.ai/docs/models (read 2026-11-20); which server writes which
of the other names is noted beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from rhetor.core.capability import Capability, Feature
from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.base import ModelEntry
from rhetor.wire.lenient import count, thing, word
from rhetor.wire.refusals import page_text

PATH = "/models"

_CONTEXT = (
    "context_length",  # OpenRouter, Together, Fireworks, Moonshot
    "context_window",  # Groq
    "max_context_length",  # Mistral, LM Studio
    "max_model_len",  # vLLM
    "max_input_tokens",
)
_OUTPUT = ("max_completion_tokens", "max_output_tokens", "max_output_length")

_PARAMETERS: Mapping[str, Feature] = {
    "tools": Feature.TOOLS,
    "structured_outputs": Feature.JSON_SCHEMA,
    "reasoning": Feature.THINKING,
    "logprobs": Feature.LOGPROBS,
}
"""OpenRouter's `supported_parameters`."""
_MODALITIES: Mapping[str, Feature] = {
    "image": Feature.IMAGES,
    "audio": Feature.AUDIO,
    "file": Feature.DOCUMENTS,
}
_FLAGS: Mapping[str, Feature] = {
    "function_calling": Feature.TOOLS,  # these three Mistral, inside `capabilities`
    "vision": Feature.IMAGES,
    "audio": Feature.AUDIO,
    "supports_tools": Feature.TOOLS,  # these two Fireworks
    "supports_image_input": Feature.IMAGES,
    "supports_image_in": Feature.IMAGES,  # these two Moonshot
    "supports_reasoning": Feature.THINKING,
}
_TYPES: Mapping[str, Capability] = {
    "chat": Capability.CHAT,
    "language": Capability.CHAT,
    "llm": Capability.CHAT,
    "vlm": Capability.CHAT,
    "embedding": Capability.EMBEDDINGS,
    "embeddings": Capability.EMBEDDINGS,
    "rerank": Capability.RERANK,
    "image": Capability.TEXT_TO_IMAGE,
    "video": Capability.TEXT_TO_VIDEO,
    "audio": Capability.TEXT_TO_AUDIO,
    "transcribe": Capability.AUDIO_TO_TEXT,
    "text": Capability.CHAT,
}
"""Together's and LM Studio's `type`, and OpenRouter's output modalities."""


def read_models(body: bytes) -> Sequence[ModelEntry]:
    """The list.

    Raises:
        UpstreamError: protocol_error, this is no list of models.
    """
    try:
        said: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UpstreamError(f"the list of models is not JSON: {page_text(body)}", Code.PROTOCOL) from error
    if isinstance(said, dict):
        said = said.get("data", said.get("models"))
    if not isinstance(said, list):  # Together's is a bare array
        raise UpstreamError(f"this is no list of models: {page_text(body)}", Code.PROTOCOL)
    return [_entry(model) for model in said if isinstance(model, dict) and word(model, "id")]


def _entry(model: Json) -> ModelEntry:
    top = thing(model, "top_provider")
    features, lacks = _features(model)
    return ModelEntry(
        id=word(model, "id"),
        name=word(model, "name") or word(model, "display_name") or None,
        context_tokens=_first(model, _CONTEXT) or count(thing(model, "meta"), "n_ctx_train") or None,
        max_output_tokens=_first(model, _OUTPUT) or _first(top, _OUTPUT) or None,
        features=features,
        capabilities=_capabilities(model),
        lacks=lacks,
    )


def _first(fields: Json, names: Sequence[str]) -> int:
    return next((number for name in names if (number := count(fields, name))), 0)


def _features(model: Json) -> tuple[frozenset[str] | None, frozenset[str]]:
    """All that a model can do, None when the list tells of some features only; and what it denies."""
    told: dict[Feature, bool] = {}
    for fields in (model, thing(model, "capabilities")):
        for name, feature in _FLAGS.items():
            if isinstance(value := fields.get(name), bool):
                told[feature] = told.get(feature, False) or value
    for words, table in (
        (model.get("supported_parameters"), _PARAMETERS),
        (_modalities(model, "input_modalities"), _MODALITIES),
    ):
        if isinstance(words, list):
            told |= {feature: told.get(feature, False) or name in words for name, feature in table.items()}
    if isinstance(model.get("supported_parameters"), list):
        return frozenset(feature for feature, can in told.items() if can), frozenset()
    return None, frozenset(feature for feature, can in told.items() if not can)


def _capabilities(model: Json) -> frozenset[Capability] | None:
    """Which operations the list says a model offers; None when it says nothing of the kind."""
    chats = [thing(model, "capabilities").get("completion_chat"), model.get("supports_chat")]
    if any(isinstance(it, bool) for it in chats):
        return frozenset({Capability.CHAT}) if True in chats else _without_chat(model)
    if model.get("owned_by") == "llamacpp":
        # It says `text` of every model: https://github.com/ggml-org/llama.cpp/pull/22709 (read 2026-11-20).
        return None
    words = _modalities(model, "output_modalities")
    if not isinstance(words, list):
        words = [model.get("type")]
    told = frozenset(_TYPES[it] for it in words if isinstance(it, str) and it in _TYPES)
    return told or None


def _without_chat(model: Json) -> frozenset[Capability]:
    """Mistral says which models chat, and of the others only their names tell which embed."""
    return frozenset({Capability.EMBEDDINGS}) if "embed" in word(model, "id") else frozenset()


def _modalities(model: Json, name: str) -> JsonValue:
    """OpenRouter writes them into `architecture`, xAI beside the id."""
    return thing(model, "architecture").get(name, model.get(name))
