"""How much a model is asked to think, in each generation's way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rhetor.core.content import Opaque, Part, Text, Thinking, ToolResult, ToolUse
from rhetor.core.request import Chat, Message, Reasoning, Role, ToolChoice
from rhetor.wire.anthropic.generations import generation_of
from rhetor.wire.anthropic.reasoning import BUDGETS, read_reasoning, write_reasoning

HI = Chat(messages=(Message(Role.USER, (Text("hi"),)),), max_tokens=64_000)


@pytest.mark.parametrize(
    ("said", "reasoning"),
    [
        ({}, None),
        ({"output_config": {}}, None),
        ({"output_config": {"effort": "max"}}, Reasoning("max")),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(budget_tokens=2048)),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, Reasoning("low")),
        ({"thinking": {"type": "disabled"}}, Reasoning(enabled=False)),
        ({"thinking": {"type": "between_tools"}}, Reasoning(enabled=False)),
    ],
)
def test_what_callers_say(said: dict[str, Any], reasoning: Reasoning | None) -> None:
    unsaid: list[str] = []
    assert read_reasoning(said, unsaid) == reasoning
    assert unsaid == []


def test_a_kind_of_next_year_is_named() -> None:
    unsaid: list[str] = []
    assert read_reasoning({"thinking": {"type": "dreaming", "depth": 3}}, unsaid) == Reasoning()
    assert unsaid == ["thinking.depth", "thinking.type: dreaming"]


@pytest.mark.parametrize(
    ("model", "wanted", "thinking", "effort"),
    [
        ("local", Reasoning("high"), {"type": "enabled", "budget_tokens": 16384}, None),
        ("local", Reasoning("minimal"), {"type": "enabled", "budget_tokens": 1024}, None),
        ("local", Reasoning(), {"type": "enabled", "budget_tokens": 8192}, None),
        ("local", Reasoning(enabled=False), {"type": "disabled"}, None),
        ("claude-haiku-4-5", Reasoning("low"), {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-opus-4-5", Reasoning("xhigh"), {"type": "enabled", "budget_tokens": 24576}, "high"),
        ("claude-opus-4-6", Reasoning("xhigh"), {"type": "adaptive"}, "high"),
        ("claude-opus-4-6", Reasoning("minimal"), {"type": "adaptive"}, "low"),
        (
            "claude-opus-4-6",
            Reasoning(budget_tokens=5000),
            {"type": "enabled", "budget_tokens": 5000},
            None,
        ),
        ("claude-opus-4-8", Reasoning("xhigh"), {"type": "adaptive"}, "xhigh"),
        ("claude-opus-4-8", Reasoning(budget_tokens=20_000), {"type": "adaptive"}, "high"),
        ("claude-opus-4-8", Reasoning("none", enabled=False), {"type": "disabled"}, None),
        ("claude-opus-4-8", Reasoning("max", enabled=False), {"type": "disabled"}, "high"),
        ("claude-sonnet-5-5", Reasoning("none"), {"type": "between_tools"}, None),
        ("claude-opus-5-5", Reasoning(), {"type": "adaptive"}, None),
    ],
)
def test_what_each_generation_is_told(
    model: str, wanted: Reasoning, thinking: dict[str, Any] | None, effort: str | None
) -> None:
    thought = write_reasoning(replace(HI, reasoning=wanted), generation_of(model))
    assert (thought.thinking, thought.effort, thought.dropped) == (thinking, effort, [])


def test_a_model_that_always_thinks_is_asked_for_the_least() -> None:
    thought = write_reasoning(
        replace(HI, reasoning=Reasoning(enabled=False)), generation_of("claude-opus-5-5")
    )
    assert (thought.thinking, thought.effort) == (None, "low")
    assert thought.dropped == ["reasoning: the model always thinks"]


def test_an_effort_of_next_year_is_named() -> None:
    thought = write_reasoning(replace(HI, reasoning=Reasoning("huge")), generation_of("claude-opus-5-5"))
    assert thought.effort is None
    assert thought.dropped == ["reasoning.effort: huge"]


def test_the_limit_stays_larger_than_the_budget() -> None:
    """The API demands it; half of the limit is left for the answer."""
    chat = replace(HI, max_tokens=6000, reasoning=Reasoning(budget_tokens=20_000))
    thought = write_reasoning(chat, generation_of("local"))
    assert thought.thinking == {"type": "enabled", "budget_tokens": 3000}
    assert thought.dropped == ["reasoning.budget_tokens: 20000 became 3000"]


def test_a_budget_is_at_least_what_the_api_takes() -> None:
    thought = write_reasoning(replace(HI, reasoning=Reasoning(budget_tokens=5)), generation_of("local"))
    assert thought.thinking == {"type": "enabled", "budget_tokens": 1024}


CALL = ToolUse("1", "f", "{}")
ANSWER = Message(Role.TOOL, (ToolResult("1", (Text("a"),)),))


def _answering(*parts: Part) -> Chat:
    return replace(HI, messages=(*HI.messages, Message(Role.ASSISTANT, parts), ANSWER))


@pytest.mark.parametrize(
    ("chat", "reason"),
    [
        (replace(HI, max_tokens=1024), "reasoning: max_tokens leaves no room for the least budget of 1024"),
        (
            replace(HI, tool_choice=ToolChoice("required")),
            "reasoning: not together with a demanded tool call",
        ),
        (_answering(CALL), "reasoning: the tool calls being answered came without their thoughts"),
        (
            _answering(Thinking("hm"), CALL),
            "reasoning: the tool calls being answered came without their thoughts",
        ),
    ],
)
def test_a_budget_gives_way_where_the_api_would_answer_with_an_error(chat: Chat, reason: str) -> None:
    thought = write_reasoning(replace(chat, reasoning=Reasoning("high")), generation_of("local"))
    assert thought.thinking is None
    assert thought.dropped == [reason]
    adaptive = write_reasoning(replace(chat, reasoning=Reasoning("high")), generation_of("claude-opus-4-8"))
    assert adaptive.thinking == {"type": "adaptive"}


@pytest.mark.parametrize(
    "chat",
    [
        _answering(Thinking("hm", "s"), CALL),
        _answering(Opaque("anthropic", {"type": "redacted_thinking"}), CALL),
        replace(
            HI, messages=(*_answering(CALL).messages, Message(Role.ASSISTANT, (Text("a"),)), *HI.messages)
        ),
    ],
)
def test_a_budget_stays_where_thoughts_are_whole_or_the_turn_is_over(chat: Chat) -> None:
    thought = write_reasoning(replace(chat, reasoning=Reasoning("high")), generation_of("local"))
    assert thought.thinking is not None


def test_each_effort_means_more_than_the_last() -> None:
    budgets = list(BUDGETS.values())
    assert budgets == sorted(set(budgets))
