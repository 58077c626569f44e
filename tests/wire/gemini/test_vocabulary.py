"""Where things are asked, why replies end, what they used."""

from __future__ import annotations

import pytest

from rhetor.core.errors import Code
from rhetor.core.events import Failed, Finished, FinishReason
from rhetor.core.usage import Usage
from rhetor.wire.gemini.vocabulary import blocked, ending_of, path_of, proof_of, read_usage, signature_of


@pytest.mark.parametrize("model", ["gemini-3-pro", "models/gemini-3-pro"])
def test_models_are_called_with_and_without_their_folder(model: str) -> None:
    assert path_of(model, "countTokens") == "/models/gemini-3-pro:countTokens"


def test_a_name_leads_nowhere_else() -> None:
    assert path_of("../x?y", "predict") == "/models/..%2Fx%3Fy:predict"


@pytest.mark.parametrize(
    ("word", "calls", "reason"),
    [
        ("STOP", False, FinishReason.STOP),
        ("STOP", True, FinishReason.TOOL_USE),
        ("MAX_TOKENS", True, FinishReason.LENGTH),
        ("SAFETY", True, FinishReason.REFUSAL),
        ("RECITATION", False, FinishReason.REFUSAL),
        ("IMAGE_SAFETY", False, FinishReason.REFUSAL),
        ("OF_NEXT_YEAR", False, FinishReason.OTHER),
    ],
)
def test_why_a_reply_ended(word: str, calls: bool, reason: FinishReason) -> None:
    assert ending_of({"finishReason": word}, calls) == Finished(reason)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("MALFORMED_FUNCTION_CALL", Code.UPSTREAM_ERROR),
        ("UNEXPECTED_TOOL_CALL", Code.UPSTREAM_ERROR),
        ("MISSING_THOUGHT_SIGNATURE", Code.INVALID_REQUEST),
    ],
)
def test_a_model_that_stumbled_has_not_finished(word: str, code: Code) -> None:
    ending = ending_of({"finishReason": word, "finishMessage": "no such tool"}, calls=False)
    assert isinstance(ending, Failed)
    assert ending.error.code is code
    assert ending.error.message == f"the provider ended its reply with {word}: no such tool"


def test_a_blocked_prompt_says_why() -> None:
    error = blocked({"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "too sharp"}})
    assert error is not None
    assert error.code is Code.CONTENT_POLICY
    assert error.message == "the provider blocked the request (SAFETY): too sharp"
    assert blocked({"promptFeedback": {"safetyRatings": []}}) is None


def test_thoughts_are_output_and_what_tools_read_is_input() -> None:
    said = {
        "promptTokenCount": 100,
        "toolUsePromptTokenCount": 20,
        "cachedContentTokenCount": 64,
        "candidatesTokenCount": 7,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 157,
    }
    assert read_usage(said) == Usage(120, 37, cache_read_tokens=64, reasoning_tokens=30)
    assert read_usage({}) is None


@pytest.mark.parametrize("proof", [None, "EqQBCgIYAhIM", "responses:abc"])
def test_only_its_own_signatures_are_given_back(proof: str | None) -> None:
    """Another vendor's would be refused."""
    assert signature_of(proof) is None
    assert signature_of(proof_of("EqYa")) == "EqYa"
