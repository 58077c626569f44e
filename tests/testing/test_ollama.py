"""What an Ollama server says: the house's own wire reads it back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Thinking
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import Event, Failed, Folded, Started, fold
from rhetor.testing.ollama import LINES_TYPE, ChatVoice, EmbedVoice
from rhetor.testing.script import Spoken, Step
from rhetor.testing.steps import USAGE, calls, embeds, says
from rhetor.testing.voices import Asked
from rhetor.wire.base import Outgoing
from rhetor.wire.ollama import OLLAMA


def events_of(step: Step) -> list[Event]:
    assert isinstance(step.content, Spoken)
    return [Started("1", "small"), *step.content.events]


def read_back(events: Sequence[Event], stream: bool) -> Folded:
    said = ChatVoice().say(Asked("small", stream), events, "small", "1")
    decoder = OLLAMA.upstream[Capability.CHAT].decoder(stream, Outgoing("", b""))
    heard = [event for piece in said.pieces for event in decoder.feed(piece).events]
    return fold([*heard, *decoder.close().events])


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "step",
    [
        says("one two three"),
        says(Thinking("let me see"), "forty two"),
        calls(("weather", {"city": "Paris"}), ("time", {})),
        says("cut short", usage=None),
    ],
    ids=["text", "thinking", "tools", "no usage"],
)
def test_the_wire_reads_back_what_is_said(step: Step, stream: bool) -> None:
    said, heard = fold(events_of(step)), read_back(events_of(step), stream)
    assert (heard.text, heard.thinking, heard.finish) == (said.text, said.thinking, said.finish)
    assert heard.tool_uses == said.tool_uses
    assert heard.usage == said.usage


def test_a_failure_is_the_last_line_of_a_stream() -> None:
    events = [*events_of(says("one two"))[:2], Failed(RhetorError("it broke", Code.UPSTREAM_ERROR))]
    heard = read_back(events, stream=True)
    assert heard.text == "one"
    assert heard.error is not None
    assert "it broke" in heard.error.message


def test_vectors_come_in_order() -> None:
    said = EmbedVoice().say(Asked("small", False, 2), events_of(embeds([0.5], [1.5])), "small", "1")
    decoder = OLLAMA.upstream[Capability.EMBEDDINGS].decoder(False, Outgoing("", b""))
    decoder.feed(said.pieces[0])
    heard = fold(decoder.close().events)
    assert heard.vectors == {0: [0.5], 1: [1.5]}
    assert heard.usage is not None
    assert heard.usage.input_tokens == USAGE.input_tokens


def test_chats_are_streams_unless_they_say_otherwise() -> None:
    assert ChatVoice().hear(b'{"model":"small","messages":[]}', {}).stream
    assert not ChatVoice().hear(b'{"model":"small","messages":[],"stream":false}', {}).stream
    assert (
        ChatVoice().say(Asked("small", True), events_of(says("a")), "small", "1").content_type == LINES_TYPE
    )


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"messages":[]}', b'{"model":"small"}'])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        ChatVoice().hear(body, {})
