"""How a scripted answer becomes events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import Image, Text, Thinking, ToolUse, Url
from rhetor.core.events import Event, Grammar, Started, ToolUseStarted, fold
from rhetor.testing.script import Spoken, Step
from rhetor.testing.speech import words
from rhetor.testing.steps import calls, says


def events_of(step: Step) -> list[Event]:
    assert isinstance(step.content, Spoken)
    return [Started("1", "m"), *step.content.events]


@given(st.text())
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text


def test_every_word_is_a_piece() -> None:
    assert words("one  two\nthree ") == ["one", "  two", "\nthree "]


def test_a_reply_of_many_parts_folds_to_these_parts() -> None:
    parts = (Thinking("let me see", "signed"), Text("the answer"), ToolUse("1", "f", '{"a":[1,2],"b":{}}'))
    assert fold(events_of(says(*parts))).parts == list(parts)


def test_several_tool_calls_come_interleaved() -> None:
    events = events_of(calls(("weather", {"city": "Paris"}), ("weather", {"city": "Rome"}), ("time", {})))
    folded = fold(events)
    assert [type(event) for event in events[1:4]] == [ToolUseStarted] * 3
    assert [(use.name, use.arguments) for use in folded.tool_uses] == [
        ("weather", '{"city":"Paris"}'),
        ("weather", '{"city":"Rome"}'),
        ("time", "{}"),
    ]
    assert folded.finish == "tool_use"


def test_what_is_said_keeps_the_grammar() -> None:
    grammar = Grammar()
    for event in events_of(says("hello world", ToolUse("1", "f", "{}"))):
        grammar.see(event)
    assert grammar.ended


def test_a_model_does_not_answer_with_a_picture() -> None:
    with pytest.raises(ValueError, match="Image"):
        says(Image(Url("http://a")))
