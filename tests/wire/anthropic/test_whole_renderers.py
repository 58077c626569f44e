"""Replies in one piece."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Opaque
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    OpaquePart,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolUseDelta,
    ToolUseStarted,
    UsageReport,
)
from rhetor.core.request import Chat
from rhetor.core.usage import Usage
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.anthropic.decoders import MessageDecoder
from rhetor.wire.anthropic.whole_renderers import CountRenderer, MessageRenderer
from rhetor.wire.base import ReplyInfo
from tests.wire.anthropic.golden import golden, told
from tests.wire.strategies import request_of

INFO = ReplyInfo(id="gen_1", created_s=0, model="fast")
START = Started("chatcmpl-1", "gpt-4o")


def test_a_message() -> None:
    events = [START, TextDelta("a"), UsageReport(Usage(10, 3, 4, 5, 2)), Finished(FinishReason.STOP)]
    assert _render(events) == {
        "id": "gen_1",
        "type": "message",
        "role": "assistant",
        "model": "fast",
        "content": [{"type": "text", "text": "a"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 1,
            "cache_creation_input_tokens": 5,
            "cache_read_input_tokens": 4,
            "output_tokens": 3,
            "output_tokens_details": {"thinking_tokens": 2},
        },
    }


def test_a_message_of_this_language_comes_back_as_it_was() -> None:
    """Every block of the documented message, through events and back."""
    body = golden("message.json")
    said = orjson.loads(body)
    events, _ = told(MessageDecoder(), [body])
    rendered = _render(events)
    for block in said["content"]:
        block.pop("citations", None)
        block.pop("caller", None)
    assert rendered["content"] == said["content"]
    assert rendered["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ("", {}),
        ('{"a":1}', {"a": 1}),
        ('{"a":', {"INVALID_JSON": '{"a":'}),
        ("[]", {"INVALID_JSON": "[]"}),
    ],
)
def test_arguments_are_always_an_object(arguments: str, value: dict[str, Any]) -> None:
    events = [START, ToolUseStarted(0, "1", "f"), ToolUseDelta(0, arguments), Finished(FinishReason.TOOL_USE)]
    assert _render(events)["content"][0]["input"] == value


def test_thoughts_refusals_and_opaque_parts() -> None:
    events = [
        START,
        ThinkingDelta("hm"),
        OpaquePart(Opaque("openai", {"type": "audio"})),
        OpaquePart(Opaque("anthropic", {"type": "redacted_thinking", "data": "x"})),
        RefusalDelta("No."),
        Finished(FinishReason.STOP),
    ]
    said = _render(events)
    assert said["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "No."},
    ]
    assert said["stop_reason"] == "refusal"
    assert said["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_a_failure_is_no_message() -> None:
    with pytest.raises(UpstreamError, match="gone"):
        MessageRenderer(INFO).render([START, TextDelta("a"), Failed(UpstreamError("gone", Code.TRUNCATED))])


def test_a_count() -> None:
    """Whoever counted: the provider, or an estimate."""
    events = [START, UsageReport(Usage(2095, source="estimated")), Finished(FinishReason.STOP)]
    assert CountRenderer().render(events) == b'{"input_tokens":2095}'


@pytest.mark.parametrize(
    ("capability", "stream", "content_type"),
    [
        (Capability.CHAT, True, "text/event-stream"),
        (Capability.CHAT, False, "application/json"),
        (Capability.COUNT_TOKENS, False, "application/json"),
    ],
)
def test_doors_choose_the_renderer(capability: Capability, stream: bool, content_type: str) -> None:
    request = request_of(Chat(messages=()), stream=stream)
    assert ANTHROPIC.doors[capability].renderer(request, INFO).content_type == content_type


def _render(events: list[Event]) -> dict[str, Any]:
    said: dict[str, Any] = orjson.loads(MessageRenderer(INFO).render(events))
    return said
