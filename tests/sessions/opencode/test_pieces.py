"""A text is told once, whole, and in its place."""

from __future__ import annotations

from rhetor.sessions.event import Event, EventType
from rhetor.sessions.opencode.pieces import Pieces

ASSISTANT, THINKING = EventType.ASSISTANT, EventType.THINKING


def said(events: list[Event]) -> str:
    assert all(event.type in (ASSISTANT, THINKING) for event in events)
    return "".join(event.content for event in events)


class Texts:
    """Pieces of one message, with shorter words."""

    def __init__(self) -> None:
        self.pieces = Pieces()

    def delta(self, part: str, delta: str, live: bool = True) -> str:
        return said(self.pieces.on_delta(part, delta, live))

    def snapshot(
        self, part: str, text: str, *, whole: bool = False, live: bool = True, type: EventType = ASSISTANT
    ) -> list[Event]:
        return self.pieces.on_snapshot(part, type, "msg_1", text, whole=whole, live=live)


def test_deltas_follow_on_a_snapshot() -> None:
    texts = Texts()
    assert said(texts.snapshot("a", "one")) == "one"
    assert texts.delta("a", " two") == " two"
    assert said(texts.snapshot("a", "one two", whole=True)) == ""
    assert texts.delta("a", " three") == ""


def test_a_delta_of_a_text_that_nobody_knows_waits() -> None:
    texts = Texts()
    assert texts.delta("a", "one") == ""
    assert said(texts.snapshot("a", "one two", whole=True)) == "one two"


def test_after_a_gap_deltas_wait_for_a_snapshot() -> None:
    texts = Texts()
    texts.snapshot("a", "one")
    texts.pieces.on_gap()
    assert texts.delta("a", " three") == ""
    assert said(texts.snapshot("a", "one two three")) == " two three"
    assert texts.delta("a", " four") == " four"


def test_a_list_that_is_ahead_of_the_events_stops_the_deltas() -> None:
    """They may be in it already."""
    texts = Texts()
    texts.snapshot("a", "one")
    assert said(texts.snapshot("a", "one two", live=False)) == " two"
    assert texts.delta("a", " two") == ""
    assert said(texts.snapshot("a", "one two three", whole=True)) == " three"


def test_a_list_that_is_behind_does_not() -> None:
    texts = Texts()
    texts.snapshot("a", "")
    texts.delta("a", "one")
    assert said(texts.snapshot("a", "", live=False)) == ""
    assert texts.delta("a", " two") == " two"


def test_a_delta_out_of_its_turn_stops_them_too() -> None:
    texts = Texts()
    texts.snapshot("a", "")
    assert texts.delta("a", "two", live=False) == ""
    assert texts.delta("a", "three") == ""
    assert said(texts.snapshot("a", "one two three", whole=True)) == "one two three"


def test_a_text_waits_for_the_end_of_the_one_before() -> None:
    texts = Texts()
    texts.snapshot("a", "one")
    assert texts.snapshot("b", "") == []
    assert texts.pieces.wants_messages
    assert texts.delta("b", "three") == ""
    assert said(texts.snapshot("a", "one two", whole=True, live=False)) == " two"
    assert said(texts.snapshot("b", "three", whole=True)) == "three"


def test_thoughts_and_answers_do_not_wait_for_each_other() -> None:
    texts = Texts()
    texts.snapshot("a", "hm", type=THINKING)
    assert said(texts.snapshot("b", "one")) == "one"
    assert texts.delta("a", "m") == "m"
    assert not texts.pieces.wants_messages


def test_what_reads_otherwise_in_the_end_is_said_to() -> None:
    """It cannot be taken back."""
    texts = Texts()
    texts.snapshot("a", "one")
    assert texts.snapshot("a", "two") == []
    (event,) = texts.snapshot("a", "three", whole=True)
    assert (event.type, event.data["told"], event.data["text"]) == (EventType.SYSTEM, "one", "three")
    assert texts.snapshot("a", "three", whole=True) == []


def test_space_at_the_end_is_no_matter() -> None:
    texts = Texts()
    texts.snapshot("a", "one  \n")
    assert texts.snapshot("a", "one", whole=True) == []
