"""Words of the language that several of its modules need: where things are asked, why replies end, usage."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.core.events import Event, Failed, Finished, FinishReason
from rhetor.core.usage import Usage
from rhetor.wire.lenient import count, thing, word

NAME = "gemini"
VERTEX_NAME = "vertex"
FAMILY = "Gemini"
"""How people call the language."""

_TOOLS = FinishReason.TOOL_USE
_FINISH_REASONS: Mapping[str, FinishReason] = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.LENGTH,
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "LANGUAGE",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "MODEL_ARMOR",
            "ESCALATION",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
        ),
        FinishReason.REFUSAL,
    ),
}
_FAILURES: Mapping[str, Code] = {
    "MALFORMED_FUNCTION_CALL": Code.UPSTREAM_ERROR,
    "UNEXPECTED_TOOL_CALL": Code.UPSTREAM_ERROR,
    "TOO_MANY_TOOL_CALLS": Code.UPSTREAM_ERROR,
    "MALFORMED_RESPONSE": Code.UPSTREAM_ERROR,
    "MISSING_THOUGHT_SIGNATURE": Code.INVALID_REQUEST,
    "PUP_LIMITED_DISABLED": Code.UPSTREAM_AUTH,
}
"""Endings that are none: the model stumbled, and another attempt may not.

These and those above are `FinishReason` of google-genai 3.4.0, https://googleapis.github.io/python-genai/
(read 2026-11-21). What is not listed is `OTHER`, as the language says itself.
"""


def path_of(model: str, method: str) -> str:
    """Where a method of a model is, below the base URL. Names may say `models/…`, as lists do."""
    return f"/models/{quote(model.removeprefix('models/'), safe='')}:{method}"


def ending_of(candidate: Json, calls: bool) -> Event:
    """How a candidate that says why it ended has ended.

    Args:
        calls: whether it called a tool, which the language does not tell apart from saying all there was.
    """
    reason = word(candidate, "finishReason")
    code = _FAILURES.get(reason)
    if code is not None:
        said = word(candidate, "finishMessage")
        message = f"the provider ended its reply with {reason}" + (f": {said}" if said else "")
        return Failed(UpstreamError(message, code))
    finish = _FINISH_REASONS.get(reason, FinishReason.OTHER)
    return Finished(_TOOLS if calls and finish is FinishReason.STOP else finish)


def blocked(said: Json) -> UpstreamError | None:
    """Why the prompt was not answered; None when nothing stood against it."""
    feedback = thing(said, "promptFeedback")
    reason = word(feedback, "blockReason")
    if not reason:
        return None
    text = word(feedback, "blockReasonMessage") or "its filter takes offence at the request"
    return UpstreamError(f"the provider blocked the request ({reason}): {text}", Code.CONTENT_POLICY)


def read_usage(said: Json) -> Usage | None:
    """`usageMetadata`; None where it says nothing. Thoughts are no part of the candidates' tokens there.

    https://ai.google.dev/api/generate-content#UsageMetadata (read 2026-11-21). What tools of the provider's
    own read is counted apart from the prompt, and is input all the same.
    """
    thoughts = count(said, "thoughtsTokenCount")
    usage = Usage(
        input_tokens=count(said, "promptTokenCount") + count(said, "toolUsePromptTokenCount"),
        output_tokens=count(said, "candidatesTokenCount") + thoughts,
        cache_read_tokens=count(said, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )
    return usage if usage.total_tokens else None


_SEAL = NAME + ":"


def proof_of(signature: str) -> str:
    """What events and messages have of a `thoughtSignature`: one can tell whose it is."""
    return _SEAL + signature


def signature_of(proof: str | None) -> str | None:
    """The `thoughtSignature` behind a proof; None when nobody of this language gave it."""
    return proof.removeprefix(_SEAL) if proof is not None and proof.startswith(_SEAL) else None
