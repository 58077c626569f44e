"""What a trip consumed: reported where it was, estimated where not, and the parts add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.usage import Usage
from rhetor.pipeline.account import Share, consumed, total_cost_micros, total_usage
from tests.pipeline.house import chat

REPORTED = Usage(10, 5)


@pytest.mark.parametrize(
    ("reported", "chars", "whole", "guessed", "expected"),
    [
        (REPORTED, 400, True, False, REPORTED),
        (REPORTED, 400, True, True, Usage(10, 5, source="estimated")),
        (REPORTED, 400, False, False, Usage(10, 100, source="estimated")),
        (REPORTED, 4, False, False, REPORTED),
        (None, 9, True, False, Usage(1, 3, source="estimated")),
    ],
)
def test_of_one_answer(
    reported: Usage | None, chars: int, whole: bool, guessed: bool, expected: Usage
) -> None:
    assert consumed(reported, chars, chat(text="four"), whole, guessed) == expected


shares = st.builds(
    Share,
    st.just("a/m"),
    st.builds(
        Usage, st.integers(0, 99), st.integers(0, 99), source=st.sampled_from(["provider", "estimated"])
    ),
    st.none() | st.integers(0, 99),
)


@given(st.lists(shares))
def test_nothing_appears_or_disappears(given_: list[Share]) -> None:
    total = total_usage(given_)

    assert total.total_tokens == sum(share.usage.total_tokens for share in given_)
    assert (total.source == "estimated") is any(share.usage.source == "estimated" for share in given_)


@given(st.lists(shares))
def test_a_price_that_is_not_known_makes_the_whole_unknown(given_: list[Share]) -> None:
    costs = [share.cost_micros for share in given_]
    known = [cost for cost in costs if cost is not None]

    assert total_cost_micros(given_) == (sum(known) if len(known) == len(costs) else None)
