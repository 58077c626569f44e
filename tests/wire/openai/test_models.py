"""Lists of models, with whatever each vendor adds."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from rhetor.core.capability import Capability, Feature
from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.base import ModelEntry
from rhetor.wire.openai import OPENAI
from tests.wire.openai.speech import GOLDEN

CHAT = frozenset({Capability.CHAT})


@pytest.mark.parametrize(
    ("vendor", "entries"),
    [
        ("openai", [ModelEntry("gpt-5.1")]),
        (
            "openrouter",
            [
                ModelEntry(
                    "anthropic/claude-sonnet-4.6",
                    "Claude Sonnet 4.6",
                    1_000_000,
                    64_000,
                    frozenset(
                        {
                            Feature.TOOLS,
                            Feature.THINKING,
                            Feature.JSON_SCHEMA,
                            Feature.IMAGES,
                            Feature.DOCUMENTS,
                        }
                    ),
                    CHAT,
                )
            ],
        ),
        (
            "mistral",
            [
                ModelEntry(
                    "mistral-medium-latest",
                    "mistral-medium-2508",
                    131_072,
                    capabilities=CHAT,
                    lacks=frozenset({Feature.AUDIO}),
                ),
                ModelEntry(
                    "mistral-embed",
                    context_tokens=8192,
                    capabilities=frozenset({Capability.EMBEDDINGS}),
                    lacks=frozenset({Feature.TOOLS, Feature.IMAGES}),
                ),
            ],
        ),
        (
            "together",
            [
                ModelEntry(
                    "meta-llama/Llama-3.3-70B-Instruct-Turbo", "Llama 3.3 70B", 131_072, capabilities=CHAT
                ),
                ModelEntry(
                    "BAAI/bge-large-en-v1.5",
                    context_tokens=512,
                    capabilities=frozenset({Capability.EMBEDDINGS}),
                ),
            ],
        ),
        ("groq", [ModelEntry("llama-3.3-70b-versatile", None, 131_072, 32_768)]),
        ("vllm", [ModelEntry("my-model", None, 32_768)]),
        (
            "llamacpp",
            [ModelEntry("tiny.gguf", None, 2048, lacks=frozenset({"images", "audio", "documents"}))],
        ),
        (
            "xai",
            [ModelEntry("grok-4", capabilities=CHAT, lacks=frozenset({Feature.AUDIO, Feature.DOCUMENTS}))],
        ),
    ],
)
def test_reads_the_list_of(vendor: str, entries: list[ModelEntry]) -> None:
    body = (GOLDEN / f"models_{vendor}.json").read_bytes()
    listed = orjson.loads(body)
    created = {it["id"]: it.get("created") for it in (listed if isinstance(listed, list) else listed["data"])}
    expected = [replace(entry, created_s=created[entry.id] or None) for entry in entries]
    assert OPENAI.read_models(body) == expected


def test_entries_that_are_no_models_are_left_out() -> None:
    assert OPENAI.read_models(b'{"data":[1,{"id":""},{"name":"x"},{"id":"a","context_length":"big"}]}') == [
        ModelEntry("a")
    ]


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"{}", b"3", b'{"data":{}}'])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamError) as refused:
        OPENAI.read_models(body)
    assert refused.value.code is Code.PROTOCOL


def test_the_list_is_asked_for_where_the_language_keeps_it() -> None:
    assert OPENAI.models_path == "/models"


SORTED: dict[str, dict[str, set[str]]] = {
    "openrouter": {
        "openrouter/auto": {"text-to-text"},
        "openai/gpt-oss-20b:free": {"text-to-text"},
        "someone/promotion": {"text-to-text"},
        "google/gemini-2.5-flash-image": {"text-to-text", "text-to-image", "image-to-image"},
        "bytedance-seed/seedream-4.5": {"text-to-image", "image-to-image"},
        "openai/gpt-4o-mini-tts-2025-12-15": {"text-to-audio"},
        "openai/whisper-1": {"audio-to-text"},
        "openai/gpt-audio": {"text-to-text"},
        "openai/text-embedding-3-small": {"embeddings"},
        "cohere/rerank-v3.5": {"rerank"},
        "google/veo-3.1": {"text-to-video", "image-to-video"},
        "someone/decides": set(),
    },
    "together": {
        "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free": {"text-to-text"},
        "Qwen/Qwen2.5-7B": {"text-to-text"},
        "codellama/CodeLlama-34b-Python-hf": {"text-to-text"},
        "black-forest-labs/FLUX.1-schnell": {"text-to-image", "image-to-image"},
        "hexgrad/Kokoro-82M": {"text-to-audio"},
        "openai/whisper-large-v3": {"audio-to-text"},
        "BAAI/bge-base-en-v1.5": {"embeddings"},
        "Salesforce/Llama-Rank-V1": {"rerank"},
        "google/veo-3.0": {"text-to-video", "image-to-video"},
        "meta-llama/Llama-Guard-4-12B": set(),
    },
    "xai": {
        "grok-3": {"text-to-text"},
        "grok-2-image-1212": {"text-to-image"},
        "grok-imagine-image": {"text-to-image", "image-to-image"},
    },
}


@pytest.mark.promise("M08")
@pytest.mark.parametrize("vendor", SORTED)
def test_a_list_of_everything_is_sorted_by_what_models_do(vendor: str) -> None:
    entries = OPENAI.read_models((GOLDEN / f"models_{vendor}_all.json").read_bytes())
    told = {entry.id: set(entry.capabilities) for entry in entries if entry.capabilities is not None}
    assert told == SORTED[vendor]


@pytest.mark.promise("M25")
def test_who_costs_nothing_is_told_and_who_says_zero_of_something_else_is_not() -> None:
    entries = [
        entry
        for vendor in SORTED
        for entry in OPENAI.read_models((GOLDEN / f"models_{vendor}_all.json").read_bytes())
    ]
    assert {entry.id for entry in entries if entry.free} == {
        "openai/gpt-oss-20b:free",
        "someone/promotion",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free",
    }
    unknown = {entry.id for entry in entries if entry.free is None}
    assert "black-forest-labs/FLUX.1-schnell" in unknown
    assert "grok-3" in unknown
    assert {"openrouter/auto", "openai/whisper-1"}.isdisjoint(unknown)


def test_a_local_server_says_what_its_models_are_for() -> None:
    """https://github.com/speaches-ai/speaches/blob/master/src/speaches/api_types.py (read 2026-11-21)."""
    body = b"""{"object": "list", "data": [
     {"id": "Systran/faster-whisper-small", "created": 1, "object": "model", "owned_by": "Systran",
      "language": ["en"], "task": "automatic-speech-recognition"},
     {"id": "rhasspy/piper-voices", "object": "model", "owned_by": "rhasspy", "task": "text-to-speech"}]}"""
    assert [(entry.id, entry.capabilities) for entry in OPENAI.read_models(body)] == [
        ("Systran/faster-whisper-small", frozenset({Capability.AUDIO_TO_TEXT})),
        ("rhasspy/piper-voices", frozenset({Capability.TEXT_TO_AUDIO})),
    ]
