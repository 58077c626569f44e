"""Neighbouring pieces become one."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rhetor.sessions.event import MERGED_CHARS, PIECES, Event, EventType, merged

EVENTS = st.builds(
    Event,
    st.sampled_from([EventType.ASSISTANT, EventType.THINKING, EventType.TOOL_USE, EventType.USER]),
    st.text(max_size=5),
    st.sampled_from([{"message_id": "a"}, {"message_id": "b"}]),
)


def test_pieces_of_a_message_become_one() -> None:
    said = {"message_id": "m"}
    told = merged([Event(EventType.ASSISTANT, text, said) for text in ("one ", "two ", "three")])
    assert told == [Event(EventType.ASSISTANT, "one two three", said)]


def test_pieces_of_two_messages_stay_two() -> None:
    told = [Event(EventType.ASSISTANT, text, {"message_id": text}) for text in "ab"]
    assert merged(told) == told


@given(st.lists(EVENTS))
def test_nothing_is_lost_or_moved(events: list[Event]) -> None:
    together = merged(events)

    def spelt(told: list[Event]) -> list[tuple[object, ...]]:
        """Character by character where it is a piece."""
        return [
            (event.type, event.data["message_id"], part)
            for event in told
            for part in (event.content if event.type in PIECES else (event.content,))
        ]

    assert spelt(together) == spelt(events)
    for one, other in pairwise(together):
        assert one.type not in PIECES or (one.type, one.data) != (other.type, other.data)


def test_no_event_becomes_a_book() -> None:
    page = Event(EventType.ASSISTANT, "x" * 1000, {"message_id": "m"})
    together = merged([page] * 100)
    assert sum(len(event.content) for event in together) == 100_000
    assert max(len(event.content) for event in together) <= MERGED_CHARS
