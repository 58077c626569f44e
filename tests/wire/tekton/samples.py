"""Requests, replies and listings that the golden files and the tests share."""

from __future__ import annotations

from rhetor.core.errors import Code, UpstreamError
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
)
from rhetor.core.usage import Price, Usage
from rhetor.wire.base import ReplyInfo
from rhetor.wire.tekton.providers import ListedModel, ListedProvider, Listing

CREATED_S = 1795166699  # 2026-11-20T09:24:59Z

INFO = ReplyInfo(
    id="gen_1",
    created_s=CREATED_S,
    model="anthropic/m-def",
    provider="anthropic",
    served_model="m-def",
    meta={
        "requested_model": "anthropic/m-def",
        "attempts": [{"target": "anthropic/m-def", "outcome": "ok", "ms": 12}],
        "fallback": False,
        "cost": {"micros": 33, "currency": "USD"},
        "dropped": [],
    },
)

HELLO: list[Event] = [
    Started("msg_1", "m-def-0611"),
    TextDelta("Hel"),
    TextDelta("lo"),
    UsageReport(Usage(input_tokens=1, output_tokens=2)),
    Finished(FinishReason.STOP),
]

WITHOUT_USAGE: list[Event] = [Started("msg_1", "m-def"), TextDelta("Hello"), Finished(FinishReason.OTHER)]

TOOLS: list[Event] = [
    Started("msg_1", "m-def"),
    ThinkingDelta("Two cities."),
    TextDelta("Let me see."),
    ToolUseStarted(0, "call_a", "weather"),
    ToolUseDelta(0, '{"city":'),
    ToolUseStarted(1, "call_b", "weather"),
    ToolUseDelta(1, '{"city":"Bern"}'),
    ToolUseDelta(0, '"Zürich"}'),
    UsageReport(Usage(input_tokens=40, output_tokens=9, cache_read_tokens=30, reasoning_tokens=4)),
    Finished(FinishReason.TOOL_USE),
]

FAILURE = UpstreamError('the provider hung up: "bye"\n', Code.TRUNCATED, origin="anthropic")

FAILED: list[Event] = [Started("msg_1", "m-def"), TextDelta("Hel"), Failed(FAILURE)]

LISTING = Listing(
    providers=(
        ListedProvider(
            id="anthropic",
            name="Anthropic",
            available=True,
            default_model="m-def",
            models=(
                ListedModel(
                    id="m-def",
                    name="M",
                    context_tokens=200_000,
                    price=Price(3_000_000, 15_000_000, cache_read_micros=300_000),
                ),
                ListedModel(id="m-old", capabilities=("chat", "images")),
            ),
        ),
        ListedProvider(id="groq", name="Groq", available=False, reason="no key: set GROQ_API_KEY"),
    ),
    default_provider="anthropic",
    default_model="m-def",
)
