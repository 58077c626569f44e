"""What the generations of Claude accept: the same request is an error to one and plain to another.

The facts are from Anthropic's pages on thinking, effort, mid-conversation
system messages and tool choice (https://platform.claude.com/docs/en/build-with-claude/thinking,
…/effort, …/mid-conversation-system-messages, https://platform.claude.com/docs/en/api/errors,
read 2026-11-20). A model that is not Claude gets what every server of the
language understands; a Claude that the table does not know is taken for the newest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LOW_TO_HIGH = ("low", "medium", "high")
LOW_TO_MAX = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Generation:
    """What the models of one generation take. The defaults are those of the newest."""

    adaptive: bool = True
    """Takes `thinking: adaptive`: the model decides how much to think."""
    budgets: bool = False
    """Takes `thinking: enabled` with `budget_tokens`."""
    efforts: tuple[str, ...] = LOW_TO_MAX
    """Levels of `output_config.effort`, lowest first; empty: the field is an error."""
    off: Literal["disabled", "between_tools"] | None = None
    """The type of thinking that means none; None: the model always thinks."""
    sampling: Literal["free", "one", "none"] = "none"
    """Takes temperature, top_p and top_k: all of them, not temperature with top_p, or none at all."""
    forced_tools: bool = False
    """Takes a `tool_choice` that demands a call."""
    system_inside: bool = True
    """Takes messages of the role system after a user's message."""


ANY_SERVER = Generation(
    adaptive=False,
    budgets=True,
    efforts=(),
    off="disabled",
    sampling="free",
    forced_tools=True,
    system_inside=False,
)
"""Not Claude: a local server or another vendor that speaks the language."""

_NEWEST = Generation()
_CLAUDE_4 = Generation(
    adaptive=False,
    budgets=True,
    efforts=(),
    off="disabled",
    sampling="one",
    forced_tools=True,
    system_inside=False,
)
_OPUS_4_5 = Generation(
    adaptive=False,
    budgets=True,
    efforts=LOW_TO_HIGH,
    off="disabled",
    sampling="one",
    forced_tools=True,
    system_inside=False,
)
_CLAUDE_4_6 = Generation(
    budgets=True,
    efforts=(*LOW_TO_HIGH, "max"),
    off="disabled",
    sampling="one",
    forced_tools=True,
    system_inside=False,
)
_OPUS_4_7 = Generation(off="disabled", forced_tools=True, system_inside=False)
_OPUS_4_8 = Generation(off="disabled", forced_tools=True)
_FABLE_5 = Generation(forced_tools=True)
_SONNET_5_5 = Generation(off="between_tools")

_BY_NAME: tuple[tuple[str, Generation], ...] = (
    # The first fragment found in the name decides, so 5-5 stands before 5.
    ("opus-5-5", _NEWEST),
    ("sonnet-5-5", _SONNET_5_5),
    ("haiku-5-5", _OPUS_4_8),
    ("fable-5-1", _NEWEST),
    ("mythos-5-1", _NEWEST),
    ("opus-5", _OPUS_4_8),
    ("sonnet-5", _OPUS_4_7),
    ("fable-5", _FABLE_5),
    ("mythos-5", _FABLE_5),
    ("opus-4-8", _OPUS_4_8),
    ("opus-4-7", _OPUS_4_7),
    ("opus-4-6", _CLAUDE_4_6),
    ("sonnet-4-6", _CLAUDE_4_6),
    ("opus-4-5", _OPUS_4_5),
    ("opus-4", _CLAUDE_4),
    ("sonnet-4", _CLAUDE_4),
    ("haiku-4", _CLAUDE_4),
    ("claude-3", _CLAUDE_4),
)


def generation_of(model: str) -> Generation:
    """What a model takes, by its name, also as `anthropic/claude-opus-4.6` or `claude-opus-4-5@20251101`."""
    name = model.lower().replace(".", "-")
    if "claude" not in name:
        return ANY_SERVER
    return next((generation for fragment, generation in _BY_NAME if fragment in name), _NEWEST)
