"""Notes: what goes in comes out, as a conversation and as something to be read."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.content import File, Image, Inline, Opaque, Refusal, Text, Thinking, ToolResult, ToolUse, Url
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Message, Role
from rhetor.wire.tekton.notes import noted, notes, reply_of, shown, text_of, tokens_of, transcript

WORDS = st.text(min_size=1, max_size=10)
ASKED = st.builds(lambda text: Message(Role.USER, (Text(text),)), WORDS)
SAID = st.builds(
    lambda text, n: Message(Role.ASSISTANT, (Text(text), *(ToolUse(f"c{i}", "f", "{}") for i in range(n)))),
    WORDS,
    st.integers(0, 2),
)
RESULTS = st.builds(
    lambda texts: Message(Role.TOOL, tuple(ToolResult(f"c{i}", (Text(it),)) for i, it in enumerate(texts))),
    st.lists(WORDS, min_size=1, max_size=2),
)
ROUNDS = st.lists(st.tuples(ASKED, SAID, RESULTS), max_size=3)
PICTURE = Image(Inline("image/png", "aGk="))


@given(ROUNDS)
def test_law_what_is_noted_is_what_was_said(rounds: list[tuple[Message, ...]]) -> None:
    """Also after it was JSON."""
    said = tuple(message for messages in rounds for message in messages)
    assert noted(orjson.loads(orjson.dumps(notes(said, {})))) == said


def test_each_result_has_a_note_of_its_own() -> None:
    results = Message(Role.TOOL, (ToolResult("a", (Text("x"),)), ToolResult("b", (Text("y"),))))
    told = notes([results], {"k": 1})
    assert [text_of(note) for note in told] == ["x", "y"]
    assert [note["metadata"] for note in told] == [{"k": 1}, {"k": 1}]
    assert noted(told) == (results,)


def test_a_reply_is_noted_without_its_thoughts() -> None:
    opaque = Opaque("anthropic", {"type": "x"})
    parts = [Thinking("hm", "sig"), Text("hi"), ToolUse("c", "f", "{}"), opaque, Refusal("no")]
    assert reply_of(parts) == Message(Role.ASSISTANT, (Text("hi"), ToolUse("c", "f", "{}"), Refusal("no")))


def test_what_cannot_be_noted_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        notes([Message(Role.USER, (File(Url("https://example.org/a.pdf")),))], {})
    assert caught.value.code is Code.UNSUPPORTED


def test_what_is_shown_is_text_first() -> None:
    (note,) = notes([Message(Role.USER, (Text("look"), PICTURE), "ann")], {"source": "x"})
    expected: dict[str, Any] = {
        "role": "user",
        "content": "look",
        "name": "ann",
        "parts": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        ],
    }
    assert shown(note, metadata=False) == expected
    assert shown(note, metadata=True) == {**expected, "metadata": {"source": "x"}}


def test_a_conversation_can_be_read_aloud() -> None:
    messages = [
        Message(Role.USER, (Text("look"), PICTURE)),
        Message(Role.ASSISTANT, (ToolUse("c", "f", '{"a":1}'),)),
        Message(Role.TOOL, (ToolResult("c", (Text("x"),)),)),
        Message(Role.ASSISTANT, (Refusal("no"),)),
    ]
    expected = 'user: look [image]\n\nassistant: [calls f: {"a":1}]\n\ntool: x\n\nassistant: no'
    assert transcript(messages) == expected


def test_lengths_are_about_right() -> None:
    assert tokens_of(Message(Role.USER, (Text("x" * 400),))) == 100
    assert tokens_of(Message(Role.USER, (PICTURE,))) > 100
    assert tokens_of(Message(Role.TOOL, (ToolResult("c", (Text("x" * 40),)),))) == 10
