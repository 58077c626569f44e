"""What a trip consumed: reported where it was, estimated where not, and the parts add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.content import Url
from rhetor.core.media import Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Input, Request
from rhetor.core.usage import Usage
from rhetor.pipeline.account import (
    Share,
    consumed,
    estimate_input,
    measured,
    total_cost_micros,
    total_usage,
)
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


def asked(input: Input) -> Request:
    return Request(id="gen", capability=Capability.TEXT_TO_AUDIO, model="m", input=input)


@pytest.mark.parametrize(
    ("input", "reported", "expected"),
    [
        (Speak(text="four"), Usage(), Usage(characters=4)),
        (Speak(text="four"), Usage(characters=5), Usage(characters=5)),
        (Draw(prompt="a fox"), Usage(7), Usage(7, images=2)),
        (Draw(prompt="a fox"), Usage(images=1), Usage(images=1)),
        (Transcribe(audio=Url("")), Usage(), Usage(audio_ms=1500)),
        (Transcribe(audio=Url("")), Usage(audio_ms=1), Usage(audio_ms=1)),
        (Make(prompt="a film"), Usage(), Usage()),
    ],
)
def test_what_needs_no_report(input: Input, reported: Usage, expected: Usage) -> None:
    """Letters, pictures and seconds are known without the provider, whose own count goes first."""
    assert measured(reported, asked(input), media=2, duration_s=1.5) == expected


def test_what_is_asked_for_beside_conversations_is_estimated_by_its_words() -> None:
    assert estimate_input(asked(Rank(query="four", documents=("eightlet", "four")))) == 4
    assert estimate_input(asked(Transcribe(audio=Url("")))) == 0


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
