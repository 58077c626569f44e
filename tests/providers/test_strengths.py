"""What models are said to be good at."""

from __future__ import annotations

import pytest

from rhetor.providers.strengths import load_strengths, strengths_of


@pytest.mark.promise("M26")
@pytest.mark.parametrize(
    ("model", "word"),
    [
        ("claude-opus-5", "coding"),
        ("anthropic/claude-opus-4.1:beta", "coding"),
        ("anthropic.claude-haiku-4-5-v1:0", "speed"),
        ("models/gemini-3.1-flash-lite", "volume"),
        ("gemini-3.8-flash", "agents"),
        ("codestral-latest", "coding"),
    ],
)
def test_a_family_is_known_by_its_name_whoever_offers_it(model: str, word: str) -> None:
    assert word in strengths_of(model)


def test_of_others_nothing_is_said() -> None:
    assert strengths_of("some-model") == frozenset()
    assert strengths_of("codestral-embed") == frozenset()


def test_the_first_family_that_fits_counts() -> None:
    assert "volume" not in strengths_of("gemini-3.8-flash")
    assert len(load_strengths()) > 3
