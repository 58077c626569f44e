"""What the generations take, by the names of their models."""

from __future__ import annotations

import pytest

from rhetor.wire.gemini.generations import MINIMAL_TO_HIGH, generation_of


@pytest.mark.parametrize(
    ("model", "levels", "budgets"),
    [
        ("gemini-3-pro-preview", ("low", "high"), None),
        ("gemini-3.5-flash-lite", MINIMAL_TO_HIGH, None),
        ("gemini-3.1-pro-preview", ("low", "medium", "high"), None),
        ("models/gemini-2.5-pro", (), (128, 32_768)),
        ("gemini-2.5-flash", (), (512, 24_576)),
        ("gemini-9-ultra", ("low", "medium", "high"), None),
    ],
)
def test_how_a_model_is_told_to_think(
    model: str, levels: tuple[str, ...], budgets: tuple[int, int] | None
) -> None:
    generation = generation_of(model)
    assert (generation.levels, generation.budgets) == (levels, budgets)
    assert generation.thinks


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemma-4-31b-it", "learnlm-2"])
def test_what_does_not_think_signs_nothing(model: str) -> None:
    generation = generation_of(model)
    assert not generation.thinks
    assert not generation.signed_calls


def test_an_unknown_gemini_is_taken_for_the_newest() -> None:
    """Whose first call of a step is refused without a signature."""
    assert generation_of("gemini-9-ultra").signed_calls
    assert not generation_of("gemini-9-ultra").knobs
