"""How a turn of Codex's ended: its status in our words.

Seen running, version 0.169.0, 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Mapping

from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.sessions.backend import TurnEnded
from rhetor.wire.lenient import count, parse, thing, word

NAME = "codex"

_BY_WORD: Mapping[str, Code] = {
    "contextWindowExceeded": Code.CONTEXT_LENGTH,
    "sessionBudgetExceeded": Code.UPSTREAM_BILLING,
    "usageLimitExceeded": Code.UPSTREAM_BILLING,
    "rateLimitExceeded": Code.RATE_LIMITED,
    "serverOverloaded": Code.OVERLOADED,
    "modelNotFound": Code.MODEL_NOT_FOUND,
    "cyberPolicy": Code.CONTENT_POLICY,
    "misalignmentPolicyViolation": Code.CONTENT_POLICY,
    "unauthorized": Code.UPSTREAM_AUTH,
    "badRequest": Code.INVALID_REQUEST,
}
_BY_STATUS: Mapping[int, Code] = {
    400: Code.INVALID_REQUEST,
    401: Code.UPSTREAM_AUTH,
    402: Code.UPSTREAM_BILLING,
    403: Code.UPSTREAM_AUTH,
    404: Code.MODEL_NOT_FOUND,
    413: Code.TOO_LARGE,
    429: Code.RATE_LIMITED,
    503: Code.UNAVAILABLE,
    504: Code.TOTAL_TIMEOUT,
    529: Code.OVERLOADED,
}


def ending(turn: Json, exhausted: bool) -> TurnEnded:
    """
    Args:
        exhausted: it was interrupted because it has called its model as often as it may.
    """
    match word(turn, "status"):
        case "completed":
            return TurnEnded("end")
        case "interrupted":
            return TurnEnded("max_turns" if exhausted else "interrupted")
        case _:
            return TurnEnded("error", failed(thing(turn, "error")))


def failed(error: Json) -> UpstreamError:
    """What went wrong with a turn."""
    said = word(error, "message")
    body = thing(parse(said) or {}, "error")
    message = word(body, "message") or said or "the agent gave its turn up, and did not say why"
    return UpstreamError(message, _code(error, bool(body)), origin=NAME)


def _code(error: Json, refused: bool) -> Code:
    """
    Args:
        refused: its message is the body of a reply, as it is for 400 alone.
    """
    info = error.get("codexErrorInfo")
    if isinstance(info, str):
        known = _BY_WORD.get(info)
        return known or (Code.INVALID_REQUEST if refused else Code.UPSTREAM_ERROR)
    if isinstance(info, Mapping):
        for kind in info:
            if status := count(thing(info, kind), "httpStatusCode"):
                return _BY_STATUS.get(status, Code.UPSTREAM_ERROR)
    return Code.UPSTREAM_ERROR
