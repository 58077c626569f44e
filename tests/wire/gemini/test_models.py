"""The list of models."""

from __future__ import annotations

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.gemini import GEMINI, VERTEX
from rhetor.wire.gemini.models import PICTURES, TALKS, capabilities_of, read_models

LISTED = {
    "models": [
        {
            "name": "models/gemini-2.5-flash",
            "version": "001",
            "displayName": "Gemini 2.5 Flash",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens", "createCachedContent"],
            "thinking": True,
        },
        {"name": "models/gemini-embedding-001", "supportedGenerationMethods": ["embedContent"]},
        {"name": "models/imagen-4.0-generate-001", "supportedGenerationMethods": ["predict"]},
        {"name": "models/aqa", "supportedGenerationMethods": ["generateAnswer"], "thinking": False},
        {"name": "models/next"},
        {"displayName": "Nameless"},
        "nothing",
    ]
}


def test_models_and_what_they_are_for() -> None:
    flash, embedding, imagen, aqa, later = read_models(orjson.dumps(LISTED))
    assert (flash.id, flash.name) == ("gemini-2.5-flash", "Gemini 2.5 Flash")
    assert (flash.context_tokens, flash.max_output_tokens) == (1048576, 65536)
    assert flash.capabilities == TALKS
    assert embedding.capabilities == {Capability.EMBEDDINGS}
    assert imagen.capabilities == {Capability.TEXT_TO_IMAGE}
    assert aqa.capabilities == frozenset()
    assert aqa.lacks == {"thinking"}
    assert later.capabilities is None


@pytest.mark.parametrize(
    ("id", "capabilities"),
    [
        ("gemini-3-pro-image-preview", PICTURES),
        ("nano-banana-pro-preview", PICTURES),
        ("gemini-2.5-flash-preview-tts", {Capability.TEXT_TO_AUDIO}),
        ("gemini-3-pro", TALKS),
        ("gemma-4-31b-it", {Capability.CHAT}),
    ],
)
def test_names_say_what_is_generated(id: str, capabilities: set[Capability]) -> None:
    assert capabilities_of(id) == capabilities


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b'{"models": 7}'])
def test_what_is_no_list(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        GEMINI.read_models(body)
    assert caught.value.code is Code.PROTOCOL


def test_vertex_lists_none() -> None:
    assert VERTEX.models_path is None
    assert GEMINI.models_path is not None
