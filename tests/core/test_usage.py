"""Tokens and money: nothing appears, nothing disappears."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from rhetor.core.usage import TOKENS_PER_PRICE, Price, Usage, estimate_tokens

tokens = st.integers(0, 10**9)
rates = st.integers(0, 10**9)  # up to a thousand dollars for a million tokens


@st.composite
def usages(draw: DrawFn) -> Usage:
    read, written, fresh = draw(tokens), draw(tokens), draw(tokens)
    output = draw(tokens)
    thought = draw(st.integers(0, output))
    return Usage(read + written + fresh, output, read, written, thought)


prices = st.builds(Price, rates, rates, st.none() | rates, st.none() | rates)
full_prices = st.builds(Price, rates, rates, rates, rates)


@pytest.mark.parametrize(
    ("price", "usage", "cost_micros"),
    [
        pytest.param(Price(3_000_000, 15_000_000), Usage(1_000_000, 0), 3_000_000, id="a million in"),
        pytest.param(Price(3_000_000, 15_000_000), Usage(0, 1_000_000), 15_000_000, id="a million out"),
        pytest.param(Price(3_000_000, 15_000_000), Usage(11, 7), 138, id="a few"),
        pytest.param(Price(3_000_000, 0, 300_000), Usage(100, 0, 90), 57, id="mostly from the cache"),
        pytest.param(Price(3_000_000, 0, 300_000, 3_750_000), Usage(100, 0, 0, 100), 375, id="into it"),
        pytest.param(Price(3_000_000, 0), Usage(100, 0, 60, 30), 300, id="cached at no price of its own"),
        pytest.param(Price(0, 0, image_micros=40_000), Usage(images=2), 80_000, id="two pictures"),
        pytest.param(Price(0, 0, character_micros=15_000_000), Usage(characters=100), 1_500, id="a sentence"),
        pytest.param(Price(0, 0, audio_micros=100_000), Usage(audio_ms=60_000), 6_000, id="a minute heard"),
        pytest.param(Price(0, 0, video_micros=400_000), Usage(video_ms=5_000), 2_000, id="a film"),
        pytest.param(Price(0, 0, 0, 0), Usage(10**9, 10**9), 0, id="free"),
        pytest.param(Price(1, 0), Usage(500_000, 0), 1, id="half a micro-dollar rounds up"),
        pytest.param(Price(1, 0), Usage(499_999, 0), 0, id="less rounds down"),
        pytest.param(Price(0, 4_000_000), Usage(0, 10, reasoning_tokens=9), 40, id="thoughts are output"),
    ],
)
def test_cost(price: Price, usage: Usage, cost_micros: int) -> None:
    assert price.cost_micros(usage) == cost_micros


@given(full_prices, usages())
def test_a_cost_is_the_sum_of_its_parts_rounded_once(price: Price, usage: Usage) -> None:
    assert price.cache_read_micros is not None
    assert price.cache_write_micros is not None
    fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    exact = Fraction(
        fresh * price.input_micros
        + usage.cache_read_tokens * price.cache_read_micros
        + usage.cache_write_tokens * price.cache_write_micros
        + usage.output_tokens * price.output_micros,
        TOKENS_PER_PRICE,
    )
    assert abs(price.cost_micros(usage) - exact) <= Fraction(1, 2)


@given(prices, usages(), usages())
def test_money_never_appears_or_disappears(price: Price, one: Usage, other: Usage) -> None:
    """Two generations cost what one of both sizes would, but for the rounding of each."""
    both = Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cache_read_tokens + other.cache_read_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
    )
    apart = price.cost_micros(one) + price.cost_micros(other)
    assert abs(apart - price.cost_micros(both)) <= 1


@given(st.builds(Price, rates, rates), usages())
def test_a_cache_without_prices_changes_nothing(price: Price, usage: Usage) -> None:
    assert price.cost_micros(usage) == price.cost_micros(Usage(usage.input_tokens, usage.output_tokens))


@given(prices, usages())
def test_thoughts_are_not_paid_twice(price: Price, usage: Usage) -> None:
    unthinking = Usage(
        usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens
    )
    assert price.cost_micros(usage) == price.cost_micros(unthinking)


@given(prices, tokens, tokens)
def test_a_provider_that_counts_its_cache_beside_the_input_never_pays_us(
    price: Price, read: int, written: int
) -> None:
    """Counts that contradict each other cost something or nothing, never less than nothing."""
    assert price.cost_micros(Usage(0, 0, read, written)) >= 0


@given(tokens, tokens)
def test_the_total_is_input_and_output(input_tokens: int, output_tokens: int) -> None:
    assert Usage(input_tokens, output_tokens, 5, 5, 5).total_tokens == input_tokens + output_tokens


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("日本語です", 2)])
def test_a_guess_is_rounded_up(text: str, count: int) -> None:
    assert estimate_tokens(text) == count
