"""The official client's own types read what we write."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from rhetor.core.events import Event, Started, ToolUseStarted, fold
from rhetor.wire.base import Outgoing
from rhetor.wire.openai.reply import ChatStream, ChatWhole
from rhetor.wire.sse import SseSplitter
from tests.wire.openai.speech import SPEECH, UPSTREAM, render
from tests.wire.strategies import replies


def plain(told: Any) -> Any:
    """As JSON, without what was not sent."""
    return orjson.loads(told.model_dump_json(exclude_unset=True))


@given(replies(SPEECH))
def test_the_official_client_reads_every_chunk(events: list[Event]) -> None:
    stream = render(events, stream=True, stream_options={"include_usage": True})
    *frames, done = SseSplitter().feed(stream)
    assert done.data == b"[DONE]"
    chunks = [ChatCompletionChunk.model_validate(orjson.loads(it.data), strict=True) for it in frames]
    assert [plain(chunk) for chunk in chunks] == [orjson.loads(it.data) for it in frames]
    assert isinstance(events[0], Started)
    assert {chunk.id for chunk in chunks} == {events[0].id}
    opened = [
        call
        for chunk in chunks
        for choice in chunk.choices
        for call in choice.delta.tool_calls or ()
        if call.id
    ]
    assert [call.index for call in opened] == [it.index for it in events if isinstance(it, ToolUseStarted)]


@given(replies(SPEECH))
def test_the_official_client_reads_the_whole(events: list[Event]) -> None:
    body = render(events)
    completion = ChatCompletion.model_validate(orjson.loads(body), strict=True)
    assert plain(completion) == orjson.loads(body)
    message = completion.choices[0].message
    reply = fold(events)
    assert (message.content or "", message.refusal or "") == (reply.text, reply.refusal)


def test_a_stream_is_read_as_a_stream_and_a_whole_reply_as_a_whole() -> None:
    assert isinstance(UPSTREAM.decoder(True, Outgoing("", b"")), ChatStream)
    assert isinstance(UPSTREAM.decoder(False, Outgoing("", b"")), ChatWhole)
