"""How the tests of this language ask and listen: what is sent, and what is told of recorded replies."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import orjson

from rhetor.core.capability import Capability
from rhetor.core.content import Text
from rhetor.core.request import Chat, Input, Message, Request, Role
from rhetor.testing.eventstream import message
from rhetor.wire.base import PLAIN, Outgoing, Quirks
from rhetor.wire.bedrock.outgoing import build_chat
from tests.wire.gemini.speaking import media_of, told

__all__ = ["media_of", "told"]

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
NEWEST = "anthropic.claude-opus-5-5"
NOVA, LLAMA = "amazon.nova-2-lite-v1:0", "meta.llama4-scout-17b-instruct-v1:0"
GPT, OSS = "openai.gpt-5-2", "openai.gpt-oss-120b-1:0"
HI = Message(Role.USER, (Text("hi"),))


def sent(
    chat: Chat, model: str = CLAUDE, stream: bool = False, quirks: Quirks = PLAIN
) -> tuple[Any, Outgoing]:
    """The body of the call, and the call."""
    outgoing = build_chat(request_of(chat, stream=stream), model, quirks)
    return orjson.loads(outgoing.body), outgoing


def request_of(input: Input, capability: Capability = Capability.CHAT, stream: bool = False) -> Request:
    return Request(id="", capability=capability, model="fast", input=input, stream=stream)


def stream_of(*said: tuple[str, object]) -> bytes:
    return b"".join(message("event", name, orjson.dumps(payload)) for name, payload in said)


def delta(at: int, **said: object) -> tuple[str, object]:
    return "contentBlockDelta", {"contentBlockIndex": at, "delta": said}


def stop(at: int) -> tuple[str, object]:
    return "contentBlockStop", {"contentBlockIndex": at}


REASONED = stream_of(
    ("messageStart", {"role": "assistant"}),
    delta(0, reasoningContent={"text": "27 is 3 times 9,"}),
    delta(0, reasoningContent={"text": " so yes."}),
    delta(0, reasoningContent={"signature": "EqQBCgIYAhIM"}),
    stop(0),
    delta(1, text="Yes"),
    delta(1, text="."),
    stop(1),
    (
        "messageStop",
        {"stopReason": "end_turn", "additionalModelResponseFields": {"delta": {"stop_sequence": None}}},
    ),
    (
        "metadata",
        {
            "metrics": {"latencyMs": 2303},
            "usage": {"inputTokens": 51, "outputTokens": 94, "totalTokens": 145},
        },
    ),
)
"""This and the others are recorded: https://github.com/vercel/ai, `packages/amazon-bedrock/src/__fixtures__`
(read 2026-11-21), with shorter signatures."""

CALLED = stream_of(
    ("messageStart", {"role": "assistant"}),
    delta(0, reasoningContent={"redactedContent": "EmwKAhgB"}),
    stop(0),
    (
        "contentBlockStart",
        {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "weather"}}},
    ),
    delta(1, toolUse={"input": ""}),
    delta(1, toolUse={"input": '{"city": '}),
    delta(1, toolUse={"input": '"Oslo"}'}),
    stop(1),
    (
        "contentBlockStart",
        {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "tooluse_2", "name": "time"}}},
    ),
    stop(2),
    ("messageStop", {"stopReason": "tool_use"}),
    (
        "metadata",
        {
            "usage": {
                "inputTokens": 12,
                "cacheReadInputTokens": 2000,
                "cacheWriteInputTokens": 100,
                "outputTokens": 60,
                "totalTokens": 2172,
            }
        },
    ),
)

BROKE = b64decode(
    "AAAA3QAAAGfHkZB6DTptZXNzYWdlLXR5cGUHAAlleGNlcHRpb24POmV4Y2VwdGlvbi10eXBlBwAZbW9kZWxTdHJlYW1FcnJvckV4"
    "Y2VwdGlvbg06Y29udGVudC10eXBlBwAQYXBwbGljYXRpb24vanNvbnsibWVzc2FnZSI6Ik1vZGVsIFN0cmVhbSBFcnJvciIsIm9y"
    "aWdpbmFsU3RhdHVzQ29kZSI6NTAwLCJvcmlnaW5hbE1lc3NhZ2UiOiJUaGUgbW9kZWwgc3RyZWFtIGZhaWxlZC4ifVczQxM="
)
"""An exception, byte by byte as it came."""

WHOLE = {
    "metrics": {"latencyMs": 1830},
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Look.", "signature": "EqQB"}}},
                {"text": "I will look."},
                {
                    "toolUse": {
                        "toolUseId": "tooluse_7Q4evXsYiM6i6BGlipoZQW",
                        "name": "weather",
                        "input": {"city": "Oslo"},
                    }
                },
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {"inputTokens": 458, "outputTokens": 64, "totalTokens": 522},
}
