"""What a caller has heard, in little room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Opaque, Text
from rhetor.core.events import (
    Event,
    MediumDelta,
    MediumLink,
    MediumStarted,
    OpaquePart,
    RefusalDelta,
    Spoken,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
    fold,
)
from rhetor.core.usage import Usage
from rhetor.pipeline.heard import PIECES, Heard

STARTED = Started("id", "m")
THOUGHT = [ThinkingDelta("well, "), ThinkingDelta("then"), ThinkingSigned("s")]
CALL = [ToolUseStarted(0, "c", "weather"), ToolUseDelta(0, '{"city"'), ToolUseDelta(0, ':"Paris"}')]


def heard_of(*events: Event) -> Heard:
    heard = Heard()
    for event in events:
        heard.add(event)
    return heard


@given(st.lists(st.text(max_size=5), max_size=20), st.booleans(), st.booleans())
def test_the_same_is_told_in_fewer_events(texts: list[str], thinks: bool, calls: bool) -> None:
    """Whoever is told what was heard knows as much as whoever was there."""
    events: list[Event] = [STARTED, *(THOUGHT if thinks else []), *map(TextDelta, texts)]
    events += CALL if calls else []

    told = heard_of(*events).events()

    spoken = [part for part in fold(events).parts if part != Text("")]
    assert fold(told).parts == spoken
    assert len(told) <= len(events)


def test_a_long_reply_is_kept_whole() -> None:
    heard = heard_of(STARTED, *(TextDelta(f"{n} ") for n in range(3 * PIECES)))

    assert heard.text.split() == [str(n) for n in range(3 * PIECES)]
    assert len(heard.events()) == 2
    assert heard.chars == len(heard.text)


def test_where_nobody_can_go_on_it_only_counts() -> None:
    heard = Heard(keeps=False)
    for event in (STARTED, TextDelta("four"), *CALL, UsageReport(Usage(5, 1))):
        heard.add(event)

    assert (heard.chars, heard.usage) == (4 + len('{"city":"Paris"}'), Usage(5, 1))
    assert not heard.can_be_continued
    assert heard.events() == []


@pytest.mark.parametrize(
    ("events", "can"),
    [
        ([STARTED], False),
        ([STARTED, TextDelta("a")], True),
        ([STARTED, TextDelta("")], False),
        ([STARTED, *THOUGHT, TextDelta("a")], True),
        ([STARTED, *THOUGHT], False),
        ([STARTED, TextDelta("a"), *THOUGHT], False),
        ([STARTED, TextDelta("a"), *THOUGHT, TextDelta("b")], False),
        ([STARTED, TextDelta("a"), *CALL], False),
        ([STARTED, *CALL, TextDelta("a")], False),
        ([STARTED, RefusalDelta("no"), TextDelta("a")], False),
        ([STARTED, OpaquePart(Opaque("w", {})), TextDelta("a")], False),
        ([STARTED, TextDelta("a"), UsageReport(Usage(1, 1))], True),
    ],
)
def test_only_a_text_that_broke_off_can_be_continued(events: list[Event], can: bool) -> None:
    """Never inside a thought or a tool call, and not after one either."""
    assert heard_of(*events).can_be_continued is can


def test_the_last_usage_counts() -> None:
    heard = heard_of(STARTED, UsageReport(Usage(5, 1)), TextDelta("a"), UsageReport(Usage(5, 9)))

    assert heard.usage == Usage(5, 9)


def test_media_are_counted_and_the_length_of_a_recording_is_noted() -> None:
    heard = heard_of(
        STARTED,
        MediumStarted(0, "image/png"),
        MediumDelta(0, b"a"),
        MediumLink(1, "https://m.test/"),
        Spoken("en", 2.5),
    )

    assert (heard.media, heard.duration_s, heard.can_be_continued) == (2, 2.5, False)
