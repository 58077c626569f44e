"""Which generation a name means."""

from __future__ import annotations

import pytest

from rhetor.wire.anthropic.generations import ANY_SERVER, Generation, generation_of


@pytest.mark.parametrize(
    ("spellings", "adaptive", "sampling", "forced_tools", "system_inside"),
    [
        (("claude-3-7-sonnet-20250219", "claude-sonnet-4-20250514"), False, "one", True, False),
        (("claude-opus-4-5@20251101", "anthropic/claude-opus-4.5"), False, "one", True, False),
        (("claude-opus-4-6", "us.anthropic.claude-sonnet-4-6-v1:0"), True, "one", True, False),
        (("claude-opus-4-7", "claude-sonnet-5"), True, "none", True, False),
        (("claude-opus-4-8", "claude-opus-5", "claude-haiku-5-5"), True, "none", True, True),
        (("claude-fable-5", "claude-mythos-5"), True, "none", True, True),
        (("Claude-Opus-5.5", "claude-sonnet-5-5", "claude-fable-5-1"), True, "none", False, True),
        (("llama-3", "deepseek-chat", ""), False, "free", True, False),
    ],
)  # fmt: skip
def test_names_in_all_their_spellings(
    spellings: tuple[str, ...], adaptive: bool, sampling: str, forced_tools: bool, system_inside: bool
) -> None:
    for name in spellings:
        generation = generation_of(name)
        told = (generation.adaptive, generation.sampling, generation.forced_tools, generation.system_inside)
        assert told == (adaptive, sampling, forced_tools, system_inside), name


def test_what_is_not_claude_gets_what_every_server_understands() -> None:
    assert generation_of("qwen") is ANY_SERVER


def test_a_claude_we_do_not_know_is_taken_for_the_newest() -> None:
    assert generation_of("claude-ode-11") == Generation()
