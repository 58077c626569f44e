"""Usage, converted without gain or loss."""

from __future__ import annotations

from hypothesis import given

from rhetor.core.events import FinishReason
from rhetor.core.usage import Usage
from rhetor.wire.anthropic.vocabulary import STOP_REASONS, read_usage, write_usage
from tests.wire.strategies import usages


@given(usages())
def test_usage_is_read_as_it_was_written(usage: Usage) -> None:
    assert read_usage(write_usage(usage)) == usage


def test_counts_that_are_none_count_nothing() -> None:
    said = {"input_tokens": None, "output_tokens": True, "cache_read_input_tokens": -3}
    assert read_usage(said) == Usage()


def test_every_reason_has_a_word() -> None:
    assert STOP_REASONS.keys() == set(FinishReason)
