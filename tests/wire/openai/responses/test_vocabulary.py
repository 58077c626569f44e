"""Ids, usage and proofs of thoughts."""

from __future__ import annotations

from hypothesis import given

from rhetor.core.events import FinishReason
from rhetor.core.usage import Usage
from rhetor.wire.openai.responses.vocabulary import (
    encrypted_of,
    finish_of,
    is_sealed,
    proof_of,
    read_usage,
    response_id,
    write_usage,
)
from tests.wire.strategies import usages, words


def test_a_response_is_called_after_its_generation() -> None:
    assert response_id("gen_0a1b") == "resp_0a1b"
    assert response_id("resp_theirs") == "resp_theirs"


@given(usages())
def test_usage_is_read_back(usage: Usage) -> None:
    assert read_usage(write_usage(usage)) == (usage if usage.total_tokens else None)


def test_usage_that_nobody_told_is_written_with_all_its_details() -> None:
    """Codex stops at a response whose usage lacks them."""
    assert write_usage(None) == {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }


@given(words)
def test_a_proof_of_another_language_is_known_by_its_seal(proof: str) -> None:
    assert proof_of(encrypted_of(proof)) == proof
    assert is_sealed({"type": "reasoning", "encrypted_content": encrypted_of(proof)})


@given(words)
def test_a_proof_of_this_language_passes(encrypted: str) -> None:
    assert encrypted_of(proof_of(encrypted)) == encrypted
    assert not is_sealed({"type": "reasoning", "encrypted_content": encrypted})


def test_why_a_reply_ended() -> None:
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert finish_of(cut, called=False) is FinishReason.LENGTH
    assert finish_of({"status": "incomplete"}, called=True) is FinishReason.OTHER
    assert finish_of({"status": "completed"}, called=True) is FinishReason.TOOL_USE
    assert finish_of({"status": "completed"}, called=False) is FinishReason.STOP
