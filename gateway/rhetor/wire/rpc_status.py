"""What a refusal of Google's servers means, in whatever language one asks: `google.rpc.Status` as JSON.

https://ai.google.dev/gemini-api/docs/troubleshooting and
https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto (read 2026-11-21).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.wire import refusals
from rhetor.wire.lenient import thing, things, word

_CODES: Mapping[str, Code] = {
    "INVALID_ARGUMENT": Code.INVALID_REQUEST,
    "OUT_OF_RANGE": Code.INVALID_REQUEST,
    "FAILED_PRECONDITION": Code.UPSTREAM_AUTH,  # the place or the account is not served
    "UNAUTHENTICATED": Code.UPSTREAM_AUTH,
    "PERMISSION_DENIED": Code.UPSTREAM_AUTH,
    "NOT_FOUND": Code.MODEL_NOT_FOUND,
    "RESOURCE_EXHAUSTED": Code.RATE_LIMITED,
    "INTERNAL": Code.UPSTREAM_ERROR,
    "UNKNOWN": Code.UPSTREAM_ERROR,
    "UNAVAILABLE": Code.UNAVAILABLE,
    "DEADLINE_EXCEEDED": Code.UNAVAILABLE,
    "CANCELLED": Code.UPSTREAM_ERROR,
}
_REASONS: Mapping[str, Code] = {
    "API_KEY_INVALID": Code.UPSTREAM_AUTH,  # comes with 400
    "API_KEY_SERVICE_BLOCKED": Code.UPSTREAM_AUTH,
    "SERVICE_DISABLED": Code.UPSTREAM_AUTH,
    "BILLING_DISABLED": Code.UPSTREAM_BILLING,
}
_PHRASES: tuple[tuple[Code, re.Pattern[str], Code], ...] = tuple(
    (of, re.compile(pattern, re.IGNORECASE), code)
    for of, pattern, code in (
        (Code.INVALID_REQUEST, r"token count .*exceeds|exceeds the maximum number of", Code.CONTEXT_LENGTH),
        (Code.INVALID_REQUEST, r"context (length|window)|prompt is too long", Code.CONTEXT_LENGTH),
        (Code.INVALID_REQUEST, r"api key (not valid|expired)", Code.UPSTREAM_AUTH),
        (Code.INVALID_REQUEST, r"content filter", Code.CONTENT_POLICY),
        (Code.UPSTREAM_AUTH, r"enable billing|billing account", Code.UPSTREAM_BILLING),
        (Code.RATE_LIMITED, r"prepayment credits|spend(ing)? cap", Code.UPSTREAM_BILLING),
        (Code.UNAVAILABLE, r"overloaded|high demand", Code.OVERLOADED),
    )
)
"""Where only the sentence tells causes apart."""


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """What an answer that is not a success means; `headers` have lower-case names."""
    said = refusals.error_object(body)
    after_s = refusals.retry_after_s(headers)
    if said is None:
        code = refusals.code_of_status(status)
        return _error(status, code, refusals.page_text(body), after_s)
    return _interpret(status, said, after_s)


def error_inside(said: Json) -> UpstreamError | None:
    """The failure that a reply with status 200, or a frame of one, reports; None when it reports none."""
    inner = said.get("error")
    if not isinstance(inner, dict):
        return None
    code = inner.get("code")
    return _interpret(code if isinstance(code, int) and 400 <= code < 600 else 500, said, None)


def _interpret(status: int, said: Json, after_s: float | None) -> UpstreamError:
    inner = thing(said, "error") or said
    text = refusals.message_of(said)
    code = _code_of(status, inner, text or "")
    told_s = next(_delays_s(inner), None)
    return _error(status, code, text, after_s if told_s is None else told_s)


def _code_of(status: int, inner: Json, text: str) -> Code:
    for detail in things(inner, "details"):
        if (code := _REASONS.get(word(detail, "reason"))) is not None:
            return code
    code = _CODES.get(word(inner, "status")) or refusals.code_of_status(status)
    return next((it for of, phrase, it in _PHRASES if of is code and phrase.search(text)), code)


def _delays_s(inner: Json) -> Iterator[float]:
    """`RetryInfo`: `{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26.4s"}`."""
    for detail in things(inner, "details"):
        delay = word(detail, "retryDelay").removesuffix("s")
        if delay.replace(".", "", 1).isdecimal():
            yield float(delay)


def _error(status: int, code: Code, text: str | None, after_s: float | None) -> UpstreamError:
    secretive = code is Code.UPSTREAM_AUTH
    message = refusals.credentials_refused(status) if secretive else refusals.refused(status, text)
    own = status if code is Code.INVALID_REQUEST and 400 <= status < 500 else None
    return UpstreamError(message, code, status=own, retry_after_s=after_s)
