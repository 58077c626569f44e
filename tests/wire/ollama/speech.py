"""What the Ollama language can say, for the laws, and short ways to say it."""

from __future__ import annotations

from typing import Any

import orjson

from rhetor.core.capability import Capability
from rhetor.core.events import FinishReason
from rhetor.core.request import Chat, Request
from rhetor.wire.base import ReplyInfo
from rhetor.wire.ollama.doors import CHAT_DOOR, PROMPT_DOOR
from tests.wire.strategies import KNOBS, Speech

CHATS = Speech(
    knobs=KNOBS - {"end_user", "tool_choice", "parallel_tool_calls"},
    text_parts=False,
    names=False,
    images=(),
    audio=(),
    files=(),
    strict_tools=False,
    result_errors=False,
    cache=(),
    signatures=False,
    refusals=False,
    efforts=("low", "medium", "high"),
    budgets=False,
    formats=("json",),
)
REPLIES = Speech(
    signatures=False,
    refusals=False,
    interleaved=False,
    finishes=(FinishReason.STOP, FinishReason.LENGTH),
    usage_fields=(),
)
INFO = ReplyInfo(
    id="gen_1",
    created_s=1_795_132_800,
    model="asked",
    meta={"attempts": [{"target": "a/m", "outcome": "overloaded", "ms": 20}, {"target": "b/m", "ms": 300}]},
)
STAMP = {"model": "served", "created_at": "2026-11-20T00:00:00Z"}
TOOK = {
    "total_duration": 320_000_000,
    "load_duration": 20_000_000,
    "prompt_eval_duration": 0,
    "eval_duration": 300_000_000,
}


def parse(**body: Any) -> Request:
    """A chat with one message, unless others are given."""
    said = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}
    return CHAT_DOOR.parse(orjson.dumps(said), {})


def prompt(**body: Any) -> Request:
    return PROMPT_DOOR.parse(orjson.dumps({"model": "m", "prompt": "hi", **body}), {})


def chat_of(request: Request) -> Chat:
    assert request.capability is Capability.CHAT
    assert isinstance(request.input, Chat)
    return request.input
