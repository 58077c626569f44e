"""How a turn of Claude Code's ended: its `result` line in our words.

A model call that failed is a `success` with `is_error`; how, is said by a word in a message of the model
`<synthetic>`, and by the HTTP status. Seen running, version 2.1.197, 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.sessions.backend import TurnEnded
from rhetor.wire.lenient import count, thing, word

NAME = "claude_code"

_BY_WORD: Mapping[str, Code] = {
    "authentication_failed": Code.UPSTREAM_AUTH,
    "oauth_org_not_allowed": Code.UPSTREAM_AUTH,
    "billing_error": Code.UPSTREAM_BILLING,
    "rate_limit": Code.RATE_LIMITED,
    "overloaded": Code.OVERLOADED,
    "model_not_found": Code.MODEL_NOT_FOUND,
    "max_output_tokens": Code.TRUNCATED,
}
_BY_STATUS: Mapping[int, Code] = {
    400: Code.INVALID_REQUEST,
    401: Code.UPSTREAM_AUTH,
    402: Code.UPSTREAM_BILLING,
    403: Code.UPSTREAM_AUTH,
    404: Code.MODEL_NOT_FOUND,
    413: Code.TOO_LARGE,
    429: Code.RATE_LIMITED,
    499: Code.CANCELLED,
    503: Code.UNAVAILABLE,
    504: Code.TOTAL_TIMEOUT,
    529: Code.OVERLOADED,
}


def ending(result: Json, error_word: str, stopping: bool) -> TurnEnded:
    """
    Args:
        error_word: what the turn's last `<synthetic>` message says went wrong; empty: nothing.
        stopping: it was asked to stop.
    """
    why = word(result, "terminal_reason")
    if result.get("subtype") == "error_max_turns" or why == "max_turns":
        return TurnEnded("max_turns")
    if why.startswith("aborted") or (stopping and result.get("subtype") == "error_during_execution"):
        return TurnEnded("interrupted")
    if result.get("subtype") == "success" and result.get("is_error") is not True:
        return TurnEnded("end")
    text = complaints(result) or "the agent gave its turn up, and did not say why"
    return TurnEnded("error", UpstreamError(text, _code(result, error_word), origin=NAME))


def complaints(result: Json) -> str:
    """What it says went wrong."""
    errors = result.get("errors")
    said = [each for each in errors if isinstance(each, str)] if isinstance(errors, list) else []
    return word(result, "result") or "; ".join(said)


def is_ours(result: Json) -> bool:
    """It ends the turn of a message of ours, not one that the agent began by itself."""
    return word(thing(result, "origin"), "kind") in ("", "human")


def _code(result: Json, error_word: str) -> Code:
    if result.get("stop_reason") == "refusal":
        return Code.CONTENT_POLICY
    if word(result, "terminal_reason") in ("prompt_too_long", "blocking_limit"):
        return Code.CONTEXT_LENGTH
    status = count(result, "api_error_status")
    if error_word == "invalid_request" and not status:
        return Code.INVALID_REQUEST
    return _BY_WORD.get(error_word) or _BY_STATUS.get(status) or Code.UPSTREAM_ERROR
