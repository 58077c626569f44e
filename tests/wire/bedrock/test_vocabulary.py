"""Where things are asked, why replies end, what they used."""

from __future__ import annotations

import pytest

from rhetor.core.events import Failed, Finished, FinishReason
from rhetor.core.usage import Usage
from rhetor.wire.bedrock.vocabulary import ending_of, is_claude, is_gpt, is_nova, path_of, read_usage
from tests.wire.bedrock.speaking import CLAUDE, GPT, NOVA, OSS


def test_names_with_colons_and_slashes_are_one_piece_of_the_path() -> None:
    arn = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x"
    assert path_of(CLAUDE, "converse") == "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    assert path_of(arn, "invoke") == (
        "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x/invoke"
    )


def test_whose_models_these_are() -> None:
    assert (is_claude(CLAUDE), is_nova(NOVA), is_gpt(GPT), is_gpt(OSS)) == (True, True, True, False)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("tool_use", FinishReason.TOOL_USE),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("guardrail_intervened", FinishReason.REFUSAL),
        ("content_filtered", FinishReason.REFUSAL),
        ("of_next_year", FinishReason.OTHER),
    ],
)
def test_why_a_reply_ended(word: str, reason: FinishReason) -> None:
    assert ending_of({"stopReason": word}) == Finished(reason)


@pytest.mark.parametrize("more", [{"stop_sequence": "END"}, {"delta": {"stop_sequence": "END"}}])
def test_which_sequence_was_met(more: dict[str, object]) -> None:
    said = {"stopReason": "stop_sequence", "additionalModelResponseFields": more}
    assert ending_of(said) == Finished(FinishReason.STOP_SEQUENCE, "END")  # type: ignore[arg-type]


def test_a_model_that_stumbled_has_not_finished() -> None:
    ending = ending_of({"stopReason": "malformed_tool_use"})
    assert isinstance(ending, Failed)
    assert "malformed_tool_use" in ending.error.message


def test_cached_tokens_are_part_of_the_input() -> None:
    said = {
        "inputTokens": 12,
        "outputTokens": 60,
        "cacheReadInputTokens": 2000,
        "cacheWriteInputTokens": 100,
    }
    assert read_usage(said) == Usage(2112, 60, cache_read_tokens=2000, cache_write_tokens=100)
    assert read_usage({}) is None
