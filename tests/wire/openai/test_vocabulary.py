"""Usage: two totals, and parts of them, whatever a provider calls them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from rhetor.core.events import FinishReason
from rhetor.core.usage import Usage
from rhetor.wire.openai.vocabulary import finish_of, read_usage, write_usage
from tests.wire.openai.speech import SPEECH
from tests.wire.strategies import usages


@given(usages(SPEECH))
def test_usage_is_read_back(usage: Usage) -> None:
    assert read_usage(write_usage(usage)) == usage


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, Usage(5, 2)),
        ({"prompt_tokens": 5, "completion_tokens": None}, Usage(5, 0)),
        ({"prompt_tokens": "5", "completion_tokens": -2}, Usage()),
        ({"prompt_tokens": 5, "prompt_tokens_details": None}, Usage(5)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3}}, Usage(5, cache_read_tokens=3)),
        ({"prompt_tokens": 5, "prompt_cache_hit_tokens": 3}, Usage(5, cache_read_tokens=3)),
        ({"prompt_tokens": 5, "cached_tokens": 3}, Usage(5, cache_read_tokens=3)),
        (
            {"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 9},
            Usage(0, 9, reasoning_tokens=4),
        ),
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(32, 103, reasoning_tokens=94),
        ),
        ({}, Usage()),
    ],
)
def test_usage_in_every_form(said: dict[str, Any], usage: Usage) -> None:
    assert read_usage(said) == usage


def test_who_calls_tools_hears_that_tools_are_called() -> None:
    assert finish_of("stop", called=True) is FinishReason.TOOL_USE
    assert finish_of("length", called=True) is FinishReason.LENGTH
    assert finish_of("tool_calls", called=False) is FinishReason.TOOL_USE
