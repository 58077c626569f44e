"""Lists of models, with whatever each vendor adds."""

from __future__ import annotations

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
    assert OPENAI.read_models((GOLDEN / f"models_{vendor}.json").read_bytes()) == entries


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
