"""The models on a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.base import ModelEntry
from rhetor.wire.ollama import OLLAMA

GOLDEN = Path(__file__).parents[2] / "golden" / "ollama"


def test_the_list_names_every_model_with_its_tag() -> None:
    assert OLLAMA.models_path == "/api/tags"
    assert OLLAMA.read_models((GOLDEN / "tags.json").read_bytes()) == [
        ModelEntry("deepseek-r1:latest"),
        ModelEntry("llama3.2:latest"),
    ]


def test_older_servers_only_give_names() -> None:
    assert OLLAMA.read_models(b'{"models":[{"name":"llama3"},{"model":""},7]}') == [ModelEntry("llama3")]


@pytest.mark.parametrize("body", [b'{"models":[]}', b'{"models":null}'])
def test_a_server_may_have_no_models(body: bytes) -> None:
    assert OLLAMA.read_models(body) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{}", b'{"models":7}'])
def test_what_is_no_list_is_no_ollama(body: bytes) -> None:
    """Anything may listen on its port."""
    with pytest.raises(UpstreamError) as caught:
        OLLAMA.read_models(body)
    assert caught.value.code is Code.PROTOCOL
