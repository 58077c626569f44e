"""A provider's list of models."""

from __future__ import annotations

import pytest

from rhetor.core.errors import Code, UpstreamError
from rhetor.wire.anthropic.models import read_models
from rhetor.wire.base import ModelEntry
from tests.wire.anthropic.golden import golden


def test_models_with_what_the_list_says_of_them() -> None:
    """Retired models and entries without an id are left out; what is not said stays unknown."""
    assert read_models(golden("models.json")) == [
        ModelEntry(
            "claude-opus-4-6",
            "Claude Opus 4.6",
            context_tokens=1_000_000,
            max_output_tokens=128_000,
            features=frozenset(
                {"streaming", "tools", "prompt_caching", "images", "documents", "json_schema", "thinking"}
            ),
        ),
        ModelEntry("claude-haiku-4-5", "Claude Haiku 4.5"),
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"data":{}}'])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_models(body)
    assert caught.value.code is Code.PROTOCOL


def test_entries_that_are_no_models_are_left_out() -> None:
    assert read_models(b'{"data":[1,{"id":5}]}') == []
