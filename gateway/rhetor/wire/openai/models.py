"""The list of models: each OpenAI speaker adds what it likes to the four documented fields.

https://platform.openai.com/docs/api-reference/models/list and
https://openrouter.ai/docs/models (read 2026-11-20); which server writes which
of the other names is noted beside them.
"""

from __future__ import annotations

import re
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
_TYPES: Mapping[str, frozenset[Capability]] = {
    "chat": frozenset({Capability.CHAT}),
    "language": frozenset({Capability.CHAT}),
    "code": frozenset({Capability.CHAT}),
    "llm": frozenset({Capability.CHAT}),
    "vlm": frozenset({Capability.CHAT}),
    "text": frozenset({Capability.CHAT}),
    "embedding": frozenset({Capability.EMBEDDINGS}),
    "embeddings": frozenset({Capability.EMBEDDINGS}),
    "rerank": frozenset({Capability.RERANK}),
    "image": frozenset({Capability.TEXT_TO_IMAGE, Capability.IMAGE_TO_IMAGE}),
    "video": frozenset({Capability.TEXT_TO_VIDEO, Capability.IMAGE_TO_VIDEO}),
    "audio": frozenset({Capability.TEXT_TO_AUDIO}),
    "transcribe": frozenset({Capability.AUDIO_TO_TEXT}),
    "moderation": frozenset(),
}
"""Together's and LM Studio's `type`: https://docs.together.ai/reference/models (read 2026-11-21)."""
_OUTPUTS: Mapping[str, Capability] = {
    "text": Capability.CHAT,
    "image": Capability.TEXT_TO_IMAGE,
    "embeddings": Capability.EMBEDDINGS,
    "rerank": Capability.RERANK,
    "speech": Capability.TEXT_TO_AUDIO,
    "transcription": Capability.AUDIO_TO_TEXT,
    "video": Capability.TEXT_TO_VIDEO,
}
"""OpenRouter's and xAI's output modalities; who chats and says `audio` speaks in conversations.

https://openrouter.ai/docs/api_reference/models (read 2026-11-21).
"""
_TASKS: Mapping[str, Capability] = {
    "automatic-speech-recognition": Capability.AUDIO_TO_TEXT,
    "text-to-speech": Capability.TEXT_TO_AUDIO,
}
"""Speaches' `task`: https://github.com/speaches-ai/speaches/blob/master/src/speaches/api_types.py
(read 2026-11-21)."""
_FROM_IMAGES: Mapping[Capability, Capability] = {
    Capability.TEXT_TO_IMAGE: Capability.IMAGE_TO_IMAGE,
    Capability.TEXT_TO_VIDEO: Capability.IMAGE_TO_VIDEO,
}
"""What those who take pictures can make of them too."""
_FREE = re.compile(r"[:-]free$", re.IGNORECASE)
"""How the names of models end that cost nothing, at OpenRouter and at Together."""


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
        free=_free(model),
        created_s=count(model, "created") or None,
    )


def _free(model: Json) -> bool | None:
    """Whether a model costs nothing; None where the list names no prices that say so.

    OpenRouter's prices are texts, `-1` where they vary, and `0` of films that are paid for by the second.
    Together's are numbers that say 0 of much that is paid for otherwise: of its models only the name tells.
    """
    if _FREE.search(word(model, "id")):
        return True
    said = thing(model, "pricing")
    if not (word(said, "prompt") and word(said, "completion")):
        return None
    if not all(_is_zero(price) for price in said.values() if isinstance(price, str)):
        return False
    return True if "text" in (_outputs(model) or ()) else None


def _is_zero(price: str) -> bool:
    try:
        return float(price) == 0
    except ValueError:
        return False


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
    if (task := _TASKS.get(word(model, "task"))) is not None:
        return frozenset({task})
    words = _outputs(model)
    if not words:
        return _TYPES.get(word(model, "type"))
    told = {_OUTPUTS[it] for it in words if isinstance(it, str) and it in _OUTPUTS}
    sources = _modalities(model, "input_modalities")
    if isinstance(sources, list) and "image" in sources:
        told |= {_FROM_IMAGES[it] for it in told if it in _FROM_IMAGES}
    return frozenset(told)


def _without_chat(model: Json) -> frozenset[Capability]:
    """Mistral says which models chat, and of the others only their names tell which embed."""
    return frozenset({Capability.EMBEDDINGS}) if "embed" in word(model, "id") else frozenset()


def _outputs(model: Json) -> list[JsonValue] | None:
    words = _modalities(model, "output_modalities")
    return words if isinstance(words, list) else None


def _modalities(model: Json, name: str) -> JsonValue:
    """OpenRouter writes them into `architecture`, xAI beside the id."""
    return thing(model, "architecture").get(name, model.get(name))
