"""How the models of Amazon Bedrock sound."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import File, Image, Inline, Text
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
    fold,
)
from rhetor.core.request import Chat, Role
from rhetor.core.usage import Usage
from rhetor.testing.amazon import AmazonVoice, refuse
from rhetor.testing.google import PATH
from rhetor.wire.bedrock import BEDROCK
from rhetor.wire.bedrock.decoders import ReplyDecoder, StreamDecoder
from tests.wire.bedrock.speaking import told

VOICE = AmazonVoice(Capability.CHAT)
HI = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
SAID: list[Event] = [
    Started("r-1", "small"),
    ThinkingDelta("hm"),
    TextDelta("Hello"),
    ToolUseStarted(0, "1", "f"),
    ToolUseDelta(0, '{"a":'),
    ToolUseDelta(0, "1}"),
    ToolUseStarted(1, "2", "g"),
    ToolUseDelta(1, "{}"),
    UsageReport(Usage(9, 9, cache_read_tokens=3, cache_write_tokens=1)),
    Finished(FinishReason.TOOL_USE),
]


def heard(body: object, action: str = "converse", voice: AmazonVoice = VOICE) -> Any:
    return voice.hear(orjson.dumps(body), {PATH: f"/model/amazon.small-v1%3A0/{action}"})


@pytest.mark.parametrize("stream", [True, False])
def test_what_it_says_is_understood(stream: bool) -> None:
    """By the language's own decoders: the same as was meant."""
    asked = heard(HI, "converse-stream" if stream else "converse")
    assert (asked.model, asked.stream) == ("amazon.small-v1:0", stream)
    said = b"".join(VOICE.say(asked, SAID, "small", "r-1").pieces)
    understood = fold(told(StreamDecoder() if stream else ReplyDecoder(), said))
    meant = fold(SAID)
    assert understood.parts == meant.parts
    assert (understood.usage, understood.finish) == (meant.usage, meant.finish)


def test_what_it_hears() -> None:
    blocks = [
        {"text": "hi"},
        {"image": {"format": "png", "source": {"bytes": "iV"}}},
        {"document": {"format": "pdf", "source": {"bytes": "JVBE"}}},
    ]
    body = {
        "messages": [{"role": "user", "content": blocks}, {"role": "assistant", "content": [{"text": "a"}]}],
        "toolConfig": {"tools": [{"toolSpec": {"name": "f"}}, {"cachePoint": {}}]},
        "outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": '{"type":"object"}'}}}},
    }
    chat = heard(body).request.input
    assert isinstance(chat, Chat)
    assert chat.messages[0].parts == (Text("hi"), Image(Inline("png", "iV")), File(Inline("pdf", "JVBE")))
    assert chat.messages[1].role is Role.ASSISTANT
    assert [tool.name for tool in chat.tools] == ["f"]
    assert chat.response_format is not None
    assert chat.response_format.schema == {"type": "object"}


@pytest.mark.parametrize(("body", "count"), [({"texts": ["a", "b"]}, 2), ({"inputText": "a"}, 1)])
def test_it_counts_what_is_to_be_embedded(body: object, count: int) -> None:
    assert heard(body, "invoke", AmazonVoice(Capability.EMBEDDINGS)).inputs == count


@pytest.mark.parametrize("body", [{"messages": []}, [], {"messages": "hi"}])
def test_what_no_provider_would_take_is_refused(body: object) -> None:
    with pytest.raises(BadRequest):
        heard(body)


@pytest.mark.parametrize("code", [Code.RATE_LIMITED, Code.MODEL_NOT_FOUND, Code.UNAVAILABLE])
def test_errors_are_understood(code: Code) -> None:
    error = RhetorError("it broke", code)
    assert BEDROCK.read_error(error.status, {}, refuse(error, "")).code is code
    asked = heard(HI, "converse-stream")
    said = VOICE.say(asked, [Started("1", "m"), TextDelta("a"), Failed(error)], "m", "1")
    *_, last = told(StreamDecoder(), b"".join(said.pieces))
    assert isinstance(last, Failed)
    assert last.error.code is code
