"""Errors of the language: what a provider's refusal means, and how ours are said.

https://platform.claude.com/docs/en/api/errors (read 2026-11-20). Where a cloud stands in front of the models,
it refuses in its own words, those of `google.rpc.Status`.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import MEANING, Code, RhetorError, UpstreamError
from rhetor.wire import rpc_status
from rhetor.wire.anthropic.vocabulary import NAME
from rhetor.wire.lenient import thing, word
from rhetor.wire.refusals import (
    code_of_status,
    credentials_refused,
    error_object,
    message_of,
    page_text,
    refused,
    retry_after_s,
)

_CODES: Mapping[str, Code] = {
    "invalid_request_error": Code.INVALID_REQUEST,
    "authentication_error": Code.UPSTREAM_AUTH,
    "permission_error": Code.UPSTREAM_AUTH,
    "billing_error": Code.UPSTREAM_BILLING,
    "not_found_error": Code.NOT_FOUND,
    "request_too_large": Code.TOO_LARGE,
    "exceed_context_size_error": Code.CONTEXT_LENGTH,  # llama.cpp's word
    "rate_limit_error": Code.RATE_LIMITED,
    "api_error": Code.UPSTREAM_ERROR,
    "timeout_error": Code.UPSTREAM_ERROR,
    "overloaded_error": Code.OVERLOADED,
}

_CODES_BY_PHRASE: tuple[tuple[Code, str, Code], ...] = (
    # The language has one type for many causes; only its sentences tell them apart.
    (Code.INVALID_REQUEST, "prompt is too long", Code.CONTEXT_LENGTH),
    (Code.INVALID_REQUEST, "exceed context limit", Code.CONTEXT_LENGTH),
    (Code.INVALID_REQUEST, "context window", Code.CONTEXT_LENGTH),
    (Code.INVALID_REQUEST, "context size", Code.CONTEXT_LENGTH),
    (Code.INVALID_REQUEST, "content filtering policy", Code.CONTENT_POLICY),
    (Code.INVALID_REQUEST, "credit balance", Code.UPSTREAM_BILLING),
    (Code.INVALID_REQUEST, "usage limits", Code.UPSTREAM_BILLING),
    (Code.RATE_LIMITED, "spend limit", Code.UPSTREAM_BILLING),
    (Code.NOT_FOUND, "model", Code.MODEL_NOT_FOUND),
)

_TYPES: Mapping[Code, str] = {
    Code.INVALID_REQUEST: "invalid_request_error",
    Code.UNSUPPORTED: "invalid_request_error",
    Code.METHOD_NOT_ALLOWED: "invalid_request_error",
    Code.CONTEXT_LENGTH: "invalid_request_error",
    Code.CONTENT_POLICY: "invalid_request_error",
    Code.CANCELLED: "invalid_request_error",
    Code.CONFLICT: "conflict_error",
    Code.UNAUTHENTICATED: "authentication_error",
    Code.FORBIDDEN: "permission_error",
    Code.NOT_FOUND: "not_found_error",
    Code.MODEL_NOT_FOUND: "not_found_error",
    Code.TOO_LARGE: "request_too_large",
    Code.RATE_LIMITED: "rate_limit_error",
    Code.OVERLOADED: "overloaded_error",
    Code.UNAVAILABLE: "overloaded_error",
    Code.POOL_FULL: "overloaded_error",
    Code.SHUTTING_DOWN: "overloaded_error",
    Code.CONNECT_TIMEOUT: "timeout_error",
    Code.FIRST_EVENT_TIMEOUT: "timeout_error",
    Code.IDLE_TIMEOUT: "timeout_error",
    Code.TOTAL_TIMEOUT: "timeout_error",
}
"""All other codes are `api_error`: also a refused key of ours, which a caller would take for its own."""

OVERLOADED_STATUS = 529
"""Where others say 503: https://platform.claude.com/docs/en/api/errors (read 2026-11-20)."""

_OURS = frozenset({Code.UPSTREAM_AUTH, Code.UPSTREAM_BILLING})
"""Refusals that concern our account at the provider: its words are not for callers."""


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """What a provider's refusal means; `headers` have lower-case names."""
    said = error_object(body)
    if said is not None and is_status(said):
        return rpc_status.read_error(status, headers, body)
    code = code_of_status(status) if said is None else _code_of(said, code_of_status(status))
    text = page_text(body) if said is None else message_of(said)
    return UpstreamError(
        credentials_refused(status) if code is Code.UPSTREAM_AUTH else refused(status, text),
        code,
        # Of the same class, the provider's status is the more precise one: 529 rather than 503.
        status=status if status // 100 == MEANING[code].status // 100 else None,
        retry_after_s=retry_after_s(headers),
        wire=NAME,
        original=_original(said, code),
    )


def read_error_object(said: Json) -> UpstreamError:
    """The error that came in place of a reply, or in the middle of one."""
    if is_status(said) and (error := rpc_status.error_inside(said)):
        return error
    code = _code_of(said, Code.UPSTREAM_ERROR)
    text = "it does not accept the gateway's key" if code is Code.UPSTREAM_AUTH else message_of(said)
    return UpstreamError(
        f"the provider failed: {text or 'it does not say why'}",
        code,
        wire=NAME,
        original=_original(said, code),
    )


def is_status(said: Json) -> bool:
    """Whether a cloud refuses: `{"error": {"code": 503, "message": "…", "status": "UNAVAILABLE"}}`."""
    inner = thing(said, "error")
    return isinstance(inner.get("code"), int) and bool(word(inner, "status")) and "type" not in inner


def render_error(error: RhetorError, request_id: str) -> bytes:
    """The body of an error reply; an error in this language is passed on as the provider said it."""
    return orjson.dumps({"request_id": request_id, **error_fields(error)})


def error_fields(error: RhetorError) -> dict[str, JsonValue]:
    if error.wire == NAME and error.original is not None:
        return dict(error.original)
    kind = _TYPES.get(error.code, "api_error")
    return {"type": "error", "error": {"type": kind, "message": error.message}}


def _code_of(said: Json, otherwise: Code) -> Code:
    inner = thing(said, "error")
    code = _CODES.get(word(inner, "type"), otherwise)
    sentence = word(inner, "message").lower()
    return next((it for of, phrase, it in _CODES_BY_PHRASE if of is code and phrase in sentence), code)


def _original(said: Json | None, code: Code) -> Json | None:
    """The error as it may be passed on to callers of this language."""
    if said is None or said.get("type") != "error" or not word(thing(said, "error"), "type"):
        return None
    return None if code in _OURS else said
