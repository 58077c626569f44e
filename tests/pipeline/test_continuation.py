"""The rest of one reply out of another one: no word twice, none lost, nothing glued blindly."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseStarted,
    UsageReport,
    fold,
)
from rhetor.core.usage import Usage
from rhetor.pipeline.continuation import Continuation, Prefilled, Restarted

WHOLE = "the quick brown fox jumps over the lazy dog"
END = Finished(FinishReason.STOP)


def pieces_of(text: str, cuts: list[int]) -> list[Event]:
    """The text in pieces, cut at these places."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(places)]
    return [Started("id", "m"), *map(TextDelta, pieces), END]


def said(continuation: Continuation, events: list[Event]) -> list[Event]:
    """Fed one by one, as they may come."""
    return [new for event in events for new in continuation.feed([event])]


CUTS = st.lists(st.integers(0, 1000), max_size=10)


@given(at=st.integers(0, len(WHOLE)), cuts=CUTS)
def test_an_answer_from_the_beginning_gives_exactly_the_rest(at: int, cuts: list[int]) -> None:
    new = said(Restarted(WHOLE[:at]), pieces_of(WHOLE, cuts))

    assert WHOLE[:at] + fold(new).text == WHOLE
    assert new[-1] == END


@given(at=st.integers(1, len(WHOLE)), cuts=CUTS, echoes=st.booleans())
def test_a_continuation_gives_exactly_the_rest(at: int, cuts: list[int], echoes: bool) -> None:
    """Whether the target repeats what it was given or not, and with white space between the two."""
    text = WHOLE[:at]
    given_ = text.rstrip()
    rest = WHOLE if echoes and len(given_) >= 16 else WHOLE[len(given_) :]

    new = said(Prefilled(text, given_), pieces_of(rest, cuts))

    assert text + fold(new).text == WHOLE
    assert new[-1] == END


def test_a_continuation_may_leave_the_white_space_out() -> None:
    """It was not given any, and need not begin with it."""
    assert fold(said(Prefilled("one ", "one"), pieces_of("two", []))).text == "two"


@pytest.mark.parametrize(
    "events",
    [
        [TextDelta("the slow")],
        [TextDelta("the "), TextDelta("slow")],
        [TextDelta("the "), END],
        [ToolUseStarted(0, "c", "weather")],
    ],
)
def test_an_answer_that_goes_another_way_is_not_glued(events: list[Event]) -> None:
    with pytest.raises(UpstreamError) as raised:
        said(Restarted(WHOLE[:20]), events)
    assert raised.value.code is Code.DIVERGED


def test_an_answer_may_end_where_only_white_space_was_left() -> None:
    assert said(Restarted("one \n"), [TextDelta("one"), END]) == [END]


def test_thoughts_are_not_heard_twice() -> None:
    thought: list[Event] = [Started("id", "m"), ThinkingDelta("hm"), ThinkingSigned("s")]

    assert said(Restarted("one"), [*thought, TextDelta("one two")]) == [TextDelta(" two")]
    assert said(Prefilled("one", "one"), [*thought, TextDelta(" two")]) == [TextDelta(" two")]


def test_usage_is_that_of_one_reply() -> None:
    """A continued one had its beginning from somebody else; a restarted one said all of it."""
    usage = UsageReport(Usage(10, 5))
    continued, restarted = Prefilled("x" * 40, "x" * 40), Restarted("one")

    assert continued.feed([usage]) == [UsageReport(Usage(10, 15, source="estimated"))]
    assert restarted.feed([usage]) == [usage]
    assert continued.reported == restarted.reported == Usage(10, 5)


def test_a_failure_passes() -> None:
    failed = Failed(UpstreamError("gone"))

    assert Restarted("one").feed([failed]) == Prefilled("one", "one").feed([failed]) == [failed]


def test_what_was_skipped_is_counted() -> None:
    restarted = Restarted("one")
    restarted.feed([TextDelta("one two")])

    assert restarted.skipped_chars == 3
