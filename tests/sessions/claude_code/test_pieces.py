"""Text is told once, however a message comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rhetor.sessions.claude_code.pieces import Pieces
from rhetor.sessions.event import Event, EventType


def begins(id: str = "m1") -> dict[str, Any]:
    return {"type": "message_start", "message": {"id": id}}


def delta(text: str, kind: str = "text") -> dict[str, Any]:
    return {"type": "content_block_delta", "delta": {"type": f"{kind}_delta", kind: text}}


def block(text: str, kind: str = "text") -> dict[str, Any]:
    return {"type": kind, kind: text}


def contents(told: Sequence[Event | None]) -> list[str]:
    return [each.content for each in told if each is not None]


def test_pieces_are_told_as_they_come() -> None:
    pieces = Pieces()
    told = [pieces.stream(it) for it in (begins(), delta("one"), delta(" two"))]
    assert told == [
        None,
        Event(EventType.ASSISTANT, "one", {"message_id": "m1"}),
        Event(EventType.ASSISTANT, " two", {"message_id": "m1"}),
    ]
    assert pieces.complete("m1", block("one two")) is None


def test_a_complete_message_tells_what_is_missing() -> None:
    pieces = Pieces()
    pieces.stream(begins())
    pieces.stream(delta("one"))
    assert contents([pieces.complete("m1", block("one two"))]) == [" two"]


def test_a_message_that_was_not_streamed_is_told_whole() -> None:
    pieces = Pieces()
    pieces.stream(begins("m1"))
    pieces.stream(delta("one"))
    told = pieces.complete("m2", block("two"))
    assert told == Event(EventType.ASSISTANT, "two", {"message_id": "m2"})


def test_what_differs_from_its_pieces_is_not_told_again() -> None:
    pieces = Pieces()
    pieces.stream(begins())
    pieces.stream(delta("  one"))
    assert pieces.complete("m1", block("one")) is None


def test_thoughts_are_told_apart() -> None:
    pieces = Pieces()
    pieces.stream(begins())
    thought = pieces.stream(delta("well", "thinking"))
    assert thought == Event(EventType.THINKING, "well", {"message_id": "m1"})
    assert not pieces.told
    assert pieces.complete("m1", block("well", "thinking")) is None
    assert contents([pieces.complete("m1", block("so"))]) == ["so"]
    assert pieces.told


def test_a_message_without_an_id_has_one_nevertheless() -> None:
    told = Pieces().stream(delta("one"))
    assert told is not None
    assert told.data["message_id"]


texts = st.text("ab ", min_size=1, max_size=6)


@given(blocks=st.lists(texts, min_size=1, max_size=4), data=st.data())
def test_however_much_was_streamed_the_text_is_whole(blocks: list[str], data: st.DataObject) -> None:
    """A stream may break off anywhere, and each block comes again when it is complete."""
    pieces = Pieces()
    told = [pieces.stream(begins())]
    for text in blocks:
        streamed = data.draw(st.integers(0, len(text)))
        told += [pieces.stream(delta(letter)) for letter in text[:streamed]]
        told.append(pieces.complete("m1", block(text)))
    assert "".join(contents(told)) == "".join(blocks)
