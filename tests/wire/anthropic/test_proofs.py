"""Thoughts of other providers' models in a conversation that Claude goes on with."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.content import Text, Thinking, ToolResult, ToolUse
from rhetor.core.request import Chat, Message, Original, Reasoning, Role
from rhetor.wire.anthropic.outgoing import build_messages, retarget
from rhetor.wire.anthropic.proofs import is_foreign, own_messages
from rhetor.wire.base import PLAIN
from tests.wire.strategies import request_of

HI = {"role": "user", "content": "hi"}
OWN = {"type": "thinking", "thinking": "", "signature": "EqQBCgIYAhIM"}
FOREIGN = {"type": "thinking", "thinking": "hm", "signature": "gemini:EqYaCqMa"}
CALL = {"type": "tool_use", "id": "1", "name": "f", "input": {}}


def original(*messages: Any, **more: Any) -> Original:
    said = {"model": "fast", "max_tokens": 9, "messages": list(messages), **more}
    return Original("anthropic", orjson.dumps(said), said)


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


@pytest.mark.parametrize(
    ("signature", "foreign"),
    [("gemini:EqYa", True), ("responses:gAAA", True), ("EqQBCgIYAhIM", False), ("", False)],
)
def test_proofs_of_others_say_whose_they_are(signature: str, foreign: bool) -> None:
    assert is_foreign(signature) == foreign


def test_thoughts_of_others_are_taken_out_and_named() -> None:
    """Claude would refuse all of it."""
    said = original(HI, assistant(FOREIGN, CALL), HI, assistant(OWN, CALL), HI, assistant(FOREIGN), HI)
    outgoing = retarget("/v1/messages", said, "claude-x", PLAIN)
    assert orjson.loads(outgoing.body)["messages"] == [HI, assistant(CALL), HI, assistant(OWN, CALL), HI, HI]
    assert outgoing.dropped == ("thoughts of another provider",)


def test_without_them_thinking_is_not_demanded_of_a_turn_that_has_begun() -> None:
    """Claude wants a turn with tools to begin with a thought of its own where thinking is enabled."""
    thinking = {"type": "enabled", "budget_tokens": 2000}
    said = original(HI, assistant(FOREIGN, CALL), thinking=thinking)
    outgoing = retarget("/v1/messages", said, "claude-x", PLAIN)
    assert "thinking" not in orjson.loads(outgoing.body)
    assert outgoing.dropped == ("thoughts of another provider", "thinking")

    result = Message(Role.TOOL, (ToolResult("call_1", (Text("21"),)),))
    call = Message(Role.ASSISTANT, (Thinking("hm", "gemini:EqYa"), ToolUse("call_1", "weather", "{}")))
    chat = Chat(
        messages=(Message(Role.USER, (Text("hi"),)), call, result), reasoning=Reasoning(budget_tokens=2000)
    )
    body = orjson.loads(build_messages(request_of(chat), "claude-sonnet-4-5", PLAIN).body)
    assert body.get("thinking", {}).get("type") != "enabled"


@pytest.mark.parametrize(
    "messages",
    [
        (HI, assistant(OWN, CALL)),
        ({"role": "user", "content": '"signature":"gemini:x"'},),
        (HI, assistant({**CALL, "input": {"signature": "gemini:x"}})),
    ],
)
def test_nothing_else_is_touched(messages: tuple[Any, ...]) -> None:
    said = original(*messages, temperature=0.5)
    assert own_messages(said) is None
    sent = retarget("/v1/messages", said, "claude-x", PLAIN)
    assert sent.body == said.body.replace(b'"fast"', b'"claude-x"')
    assert sent.dropped == ()


def test_callers_of_other_languages_lose_them_as_well() -> None:
    thought = Message(Role.ASSISTANT, (Thinking("hm", "gemini:EqYa"), Text("Hello.")))
    chat = Chat(messages=(Message(Role.USER, (Text("hi"),)), thought))
    outgoing = build_messages(request_of(chat), "claude-x", PLAIN)
    assert b"gemini:" not in outgoing.body
    assert outgoing.dropped == ("messages[1].content[0]: a thought without its signature",)
