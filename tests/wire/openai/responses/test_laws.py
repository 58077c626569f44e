"""The laws of every language: what is built is parsed again, what is rendered is read, in any pieces."""

from __future__ import annotations

from dataclasses import replace

import orjson
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.events import Event, Finished, FinishReason, ToolUseDelta, ToolUseStarted, fold
from rhetor.core.request import Chat, Original
from rhetor.wire.base import PLAIN
from rhetor.wire.openai.responses.vocabulary import NAME
from tests.wire.openai.responses.speech import (
    DOOR,
    INFO,
    SPEECH,
    TALKATIVE,
    UPSTREAM,
    build,
    decode,
    merged,
    normal,
    parse,
    render,
    stream_decoder,
    told,
    whole_decoder,
)
from tests.wire.strategies import chats, replies, request_of, splits, texts, words


@given(chats(SPEECH), st.booleans())
def test_what_is_built_is_parsed_again(asked: Chat, stream: bool) -> None:
    body, dropped = build(request_of(asked, stream=stream), TALKATIVE)
    request = DOOR.parse(orjson.dumps(body), {})
    assert not dropped
    assert (request.model, request.stream, request.unsaid, request.bound) == ("target", stream, (), None)
    assert isinstance(request.input, Chat)
    assert merged(request.input) == merged(asked)


@given(chats(replace(SPEECH, thinking=False)), words, texts)
def test_a_caller_of_the_same_language_keeps_every_field(asked: Chat, key: str, text: str) -> None:
    body = {**build(request_of(asked))[0], f"x_{key}": {"said": [text]}}
    original = Original(NAME, orjson.dumps(body, option=orjson.OPT_INDENT_2), body)
    outgoing = UPSTREAM.retarget(original, "another", PLAIN)
    assert orjson.loads(outgoing.body) == {**body, "model": "another"}
    assert outgoing.body == original.body.replace(b'"target"', b'"another"', 1)


@given(replies(SPEECH), st.data())
def test_what_is_streamed_is_read_back(events: list[Event], data: st.DataObject) -> None:
    events = normal(events)
    renderer = DOOR.renderer(parse(stream=True), INFO)
    stream = b"".join(renderer.render([event]) for event in events)
    chunk = decode(stream_decoder(), *data.draw(splits(stream)))
    assert chunk.events == in_turn(events)
    assert chunk.raw == stream


def in_turn(events: list[Event]) -> list[Event]:
    """The calls, which come next to each other, one after the other."""
    at = [n for n, event in enumerate(events) if isinstance(event, ToolUseStarted | ToolUseDelta)]
    calls = sorted((events[n] for n in at), key=index_of)
    return [*events[: at[0]], *calls, *events[at[-1] + 1 :]] if at else events


def index_of(event: Event) -> int:
    assert isinstance(event, ToolUseStarted | ToolUseDelta)
    return event.index


@given(replies(SPEECH))
def test_events_may_come_together_or_one_by_one(events: list[Event]) -> None:
    one_by_one = DOOR.renderer(parse(stream=True), INFO)
    assert render(events, stream=True) == b"".join(one_by_one.render([event]) for event in events)


@given(replies(SPEECH))
def test_what_is_written_whole_is_read_back(events: list[Event]) -> None:
    """A whole reply keeps what was said, in which order, but not how it came in pieces."""
    events = normal(events)
    read, said = fold(decode(whole_decoder(), render(events)).events), fold(events)
    assert (read.id, read.model, read.usage, read.finish) == (said.id, said.model, said.usage, said.finish)
    assert read.parts == said.parts
    assert read.logprobs == said.logprobs


@given(replies(replace(SPEECH, logprobs=False)))
def test_a_stream_ends_with_the_response_that_would_have_come_whole(events: list[Event]) -> None:
    ending = told(render(events, stream=True))[-1]
    assert isinstance(events[-1], Finished)
    cut = events[-1].reason in (FinishReason.LENGTH, FinishReason.REFUSAL)
    assert ending["type"] == ("response.incomplete" if cut else "response.completed")
    assert ending["response"] == orjson.loads(render(events))
