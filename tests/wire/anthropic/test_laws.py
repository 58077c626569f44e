"""What holds for every request and every reply: nothing is lost on the way there and back."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.capability import Capability
from rhetor.core.events import Event, Started, fold
from rhetor.core.request import Chat
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.anthropic.decoders import MessageDecoder
from rhetor.wire.anthropic.stream_renderer import StreamRenderer
from rhetor.wire.anthropic.whole_renderers import MessageRenderer
from rhetor.wire.base import PLAIN, ReplyInfo
from tests.wire.anthropic.golden import streamed, told
from tests.wire.anthropic.speech import SPEECH, as_heard
from tests.wire.strategies import chats, replies, request_of, splits

IN_ORDER = replace(SPEECH, interleaved=False)


@given(chats(SPEECH), st.booleans())
def test_a_request_is_heard_as_it_was_meant(chat: Chat, stream: bool) -> None:
    """parse(build(r)) == r"""
    chat = as_heard(chat)
    if chat.parallel_tool_calls is not None and chat.tool_choice is None:
        chat = replace(chat, parallel_tool_calls=None)
    outgoing = ANTHROPIC.upstream[Capability.CHAT].build(request_of(chat, stream=stream), "some-model", PLAIN)

    heard = ANTHROPIC.doors[Capability.CHAT].parse(outgoing.body, outgoing.headers)

    assert heard.input == chat
    assert heard.stream is stream
    assert heard.model == "some-model"
    assert heard.unsaid == ()
    assert outgoing.dropped == ()


@given(replies(IN_ORDER))
def test_a_streamed_reply_is_read_as_it_was_told(events: list[Event]) -> None:
    """read(render(e)) == e, to the single delta."""
    assert streamed(_stream(events)) == events


@given(replies(SPEECH), st.data())
def test_a_streamed_reply_means_the_same_however_its_calls_grew(
    events: list[Event], data: st.DataObject
) -> None:
    stream = _stream(events)
    assert fold(streamed(*data.draw(splits(stream)))) == fold(events)


@given(replies(SPEECH), st.data())
def test_it_does_not_matter_how_many_events_are_rendered_at_once(
    events: list[Event], data: st.DataObject
) -> None:
    """Only usage that is known when the start is written comes with the start."""
    at = data.draw(st.integers(1, len(events)))
    renderer = StreamRenderer(_info(events))
    pieces = [renderer.render(events[:at]), renderer.render(events[at:])]
    assert fold(streamed(*pieces)) == fold(events)


@given(replies(SPEECH))
def test_a_whole_reply_is_read_as_it_was_told(events: list[Event]) -> None:
    """read(render(e)) folds to the reply that e folds to."""
    body = MessageRenderer(_info(events)).render(events)
    read, _ = told(MessageDecoder(), [body])
    assert fold(read) == fold(events)


@given(replies(SPEECH))
def test_at_most_one_block_is_open(events: list[Event]) -> None:
    open_block: int | None = None
    opened = 0
    for line in _stream(events).split(b"\n"):
        if line == b"event: content_block_start":
            assert open_block is None
            open_block, opened = opened, opened + 1
        elif line == b"event: content_block_stop":
            assert open_block is not None
            open_block = None
    assert open_block is None


def _stream(events: list[Event]) -> bytes:
    return StreamRenderer(_info(events)).render(events)


def _info(events: list[Event]) -> ReplyInfo:
    started = events[0]
    assert isinstance(started, Started)
    return ReplyInfo(id=started.id, created_s=0, model=started.model)
