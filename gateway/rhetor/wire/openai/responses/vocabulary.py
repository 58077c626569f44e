"""Words of the language that both directions need: ids, usage, why a reply ended, proofs of thoughts."""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.content import Json, JsonValue
from rhetor.core.events import FinishReason
from rhetor.core.usage import Usage
from rhetor.wire.lenient import count, thing, word

NAME = "responses"
LOGPROBS = "message.output_text.logprobs"
"""What `include` says where log probabilities are wanted."""
ENCRYPTED = "reasoning.encrypted_content"
"""What it says where proofs of thoughts are wanted; they come in any case."""

ID_PREFIX = "resp_"
OURS = "gen_"

INCOMPLETE: Mapping[FinishReason, str] = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.REFUSAL: "content_filter",
}
"""Reasons that make a reply `incomplete`; after all others it is `completed`."""
_FINISH = {word: reason for reason, word in INCOMPLETE.items()}


def response_id(id: str) -> str:
    """How a response is called that the gateway makes, after its generation; a provider's name is kept."""
    return id if id.startswith(ID_PREFIX) else ID_PREFIX + id.removeprefix(OURS)


def finish_of(response: Json, called: bool) -> FinishReason:
    """Why a reply ended that did not fail."""
    if word(response, "status") == "incomplete":
        reason = word(thing(response, "incomplete_details"), "reason")
        return _FINISH.get(reason, FinishReason.OTHER)
    return FinishReason.TOOL_USE if called else FinishReason.STOP


def read_usage(said: Json) -> Usage | None:
    """A provider's usage; None where it knows nothing, which looks like zeros."""
    usage = Usage(
        input_tokens=count(said, "input_tokens"),
        output_tokens=count(said, "output_tokens"),
        cache_read_tokens=count(thing(said, "input_tokens_details"), "cached_tokens"),
        cache_write_tokens=count(thing(said, "input_tokens_details"), "cache_write_tokens"),
        reasoning_tokens=count(thing(said, "output_tokens_details"), "reasoning_tokens"),
    )
    return usage if usage.total_tokens else None


def write_usage(usage: Usage | None) -> dict[str, JsonValue]:
    """Always with its details: clients refuse a response without them. Zeros where nothing is known."""
    usage = usage or Usage()
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


_OWN = NAME + ":"
_SEAL = "rhetor."


def proof_of(encrypted: str) -> str:
    """What events and messages have of a thought's `encrypted_content`: one can tell who gave it."""
    return encrypted.removeprefix(_SEAL) if encrypted.startswith(_SEAL) else _OWN + encrypted


def encrypted_of(proof: str) -> str:
    """The `encrypted_content` for a proof; sealed if another language's provider gave it."""
    return proof.removeprefix(_OWN) if proof.startswith(_OWN) else _SEAL + proof


def is_sealed(item: Json) -> bool:
    """Whether an item is a thought whose proof no provider of this language gave: they would refuse it."""
    return word(item, "type") == "reasoning" and word(item, "encrypted_content").startswith(_SEAL)


def may_hold_seals(body: bytes) -> bool:
    """Whether it is worth looking for them."""
    return _SEAL.encode() in body
