"""Error objects, both directions: what a provider's refusal means, and how ours are said."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from rhetor.core.content import Json, JsonValue
from rhetor.core.errors import Code, RhetorError, UpstreamError
from rhetor.wire import refusals
from rhetor.wire.lenient import thing, word
from rhetor.wire.openai.vocabulary import NAME

_CODES: Mapping[str, Code] = {
    "context_length_exceeded": Code.CONTEXT_LENGTH,
    "exceed_context_size_error": Code.CONTEXT_LENGTH,  # llama.cpp
    "content_filter": Code.CONTENT_POLICY,  # Azure
    "content_policy_violation": Code.CONTENT_POLICY,
    "moderation_blocked": Code.CONTENT_POLICY,
    "insufficient_quota": Code.UPSTREAM_BILLING,
    "billing_hard_limit_reached": Code.UPSTREAM_BILLING,
    "billing_not_active": Code.UPSTREAM_BILLING,
    "invalid_api_key": Code.UPSTREAM_AUTH,
    "model_not_found": Code.MODEL_NOT_FOUND,
    "DeploymentNotFound": Code.MODEL_NOT_FOUND,  # Azure
    "rate_limit_exceeded": Code.RATE_LIMITED,
    "overloaded_error": Code.OVERLOADED,
    "server_overloaded": Code.OVERLOADED,
}
"""What providers write into `code` or `type`.

https://platform.openai.com/docs/guides/error-codes (read 2026-11-20), and what others say instead.
"""

# Most compatible servers say it in words only: vLLM, Mistral, Together, DeepSeek, llama.cpp.
_TOO_LONG = re.compile(
    r"context.?(length|window|size)|prompt is too long|too many (input )?tokens"
    r"|maximum (input|prompt) length",
    re.IGNORECASE,
)
_MAY_BE_TOO_LONG = (Code.INVALID_REQUEST, Code.TOO_LARGE)
_SECRETIVE = (Code.UPSTREAM_AUTH,)

_SAID_AS: Mapping[Code, tuple[str, str | None]] = {
    Code.INVALID_REQUEST: ("invalid_request_error", None),
    Code.UNAUTHENTICATED: ("authentication_error", "invalid_api_key"),
    Code.FORBIDDEN: ("permission_error", None),
    Code.NOT_FOUND: ("not_found_error", None),
    Code.UPSTREAM_BILLING: ("insufficient_quota", "insufficient_quota"),
    Code.RATE_LIMITED: ("rate_limit_error", "rate_limit_exceeded"),
}
"""Code → type and code of the error object; others are told by their status, with our own code."""


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """What a reply that is not a success means; `headers` have lower-case names."""
    fields = refusals.error_object(body)
    if fields is None:
        code = refusals.code_of_status(status)
        return _error(status, code, refusals.page_text(body), None, refusals.retry_after_s(headers))
    return _interpret(status, fields, refusals.retry_after_s(headers))


def error_inside(fields: Json, event: str = "") -> UpstreamError | None:
    """The failure that a reply with status 200, or a frame of one, reports; None when it reports none."""
    if fields.get("error") or "error" in (event, fields.get("object")):
        return _interpret(_status_inside(fields), fields, None)
    return None


def error_body(error: RhetorError) -> bytes:
    """The error object, as a reply's body or a frame's data."""
    return orjson.dumps({"error": error_fields(error)})


def error_fields(error: RhetorError) -> dict[str, JsonValue]:
    """What stands in the error object: all that the provider said, where it speaks this language."""
    kind, code = _SAID_AS.get(error.code, (None, str(error.code)))
    if kind is None:
        kind = "invalid_request_error" if error.status < 500 else "server_error"
    fields: dict[str, JsonValue] = {
        "message": error.message,
        "type": kind,
        "param": error.param,
        "code": code,
    }
    if error.wire == NAME and error.original is not None:
        fields |= error.original
        if isinstance(fields.get("code"), int):
            # a repeated status (llama.cpp, vLLM, Gemini) where callers' types expect a word
            fields["code"] = code
    return fields


def _interpret(status: int, fields: Json, retry_after_s: float | None) -> UpstreamError:
    inner = thing(fields, "error") or fields
    text = refusals.message_of(fields)
    return _error(status, _code(status, inner, text or ""), text, inner, retry_after_s)


def _code(status: int, inner: Json, text: str) -> Code:
    for name in ("code", "type"):
        if (known := _CODES.get(word(inner, name))) is not None:
            return known
    if status == 403 and "reasons" in thing(inner, "metadata"):
        return Code.CONTENT_POLICY  # OpenRouter's moderation
    code = refusals.code_of_status(status)
    return Code.CONTEXT_LENGTH if code in _MAY_BE_TOO_LONG and _TOO_LONG.search(text) else code


def _error(
    status: int, code: Code, text: str | None, inner: Json | None, retry_after_s: float | None
) -> UpstreamError:
    if code in _SECRETIVE:
        return UpstreamError(refusals.credentials_refused(status), code)
    return UpstreamError(
        refusals.refused(status, text) if inner is None else text or refusals.refused(status, None),
        code,
        status=status if code is Code.INVALID_REQUEST else None,
        param=word(inner, "param") or None if inner is not None else None,
        retry_after_s=retry_after_s,
        wire=NAME if inner is not None else None,
        original=inner,
    )


def _status_inside(fields: Json) -> int:
    """The status that an error inside a reply names: OpenRouter and vLLM write it into `code`."""
    inner = thing(fields, "error") or fields
    for value in (inner.get("code"), inner.get("status"), inner.get("status_code")):
        if isinstance(value, int) and 400 <= value < 600:
            return value
    return 500
