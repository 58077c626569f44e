"""What a provider's refusal means: exceptions of AWS, named in a header or in the body.

https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html (read 2026-11-21).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rhetor.core.content import Json
from rhetor.core.errors import Code, UpstreamError
from rhetor.wire import refusals
from rhetor.wire.lenient import word

_CODES: Mapping[str, Code] = {
    "ValidationException": Code.INVALID_REQUEST,
    "AccessDeniedException": Code.UPSTREAM_AUTH,
    "ThrottlingException": Code.RATE_LIMITED,
    "ServiceQuotaExceededException": Code.RATE_LIMITED,  # comes with 400
    "ResourceNotFoundException": Code.MODEL_NOT_FOUND,
    "ModelNotReadyException": Code.UNAVAILABLE,  # comes with 429
    "ModelTimeoutException": Code.UPSTREAM_ERROR,
    "ModelErrorException": Code.UPSTREAM_ERROR,
    "ModelStreamErrorException": Code.UPSTREAM_ERROR,
    "InternalServerException": Code.UPSTREAM_ERROR,
    "ServiceUnavailableException": Code.UNAVAILABLE,
    **dict.fromkeys(
        (
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "IncompleteSignatureException",
            "MissingAuthenticationTokenException",
            "ExpiredTokenException",
            "ExpiredToken",
            "OptInRequired",
        ),
        Code.UPSTREAM_AUTH,
    ),
}
_PHRASES: tuple[tuple[Code, re.Pattern[str], Code], ...] = tuple(
    (Code.INVALID_REQUEST, re.compile(pattern, re.IGNORECASE), code)
    for pattern, code in (
        (r"input is too long|prompt is too long|too many (input )?tokens", Code.CONTEXT_LENGTH),
        (r"context (length|window)|exceeds? .*(token|context)", Code.CONTEXT_LENGTH),
        (
            r"model identifier is invalid|isn.t supported|model .*(not found|end of its life)",
            Code.MODEL_NOT_FOUND,
        ),
        (r"content filter|blocked by .*polic", Code.CONTENT_POLICY),
    )
)
"""There is one exception for whatever is wrong with a request; only its sentence tells causes apart."""


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """What an answer that is not a success means; `headers` have lower-case names."""
    said = refusals.error_object(body)
    named = headers.get("x-amzn-errortype", "") or _named_in(said or {})
    text = refusals.page_text(body) if said is None else message_of(said)
    code = _CODES.get(_bare(named)) or refusals.code_of_status(status)
    return _error(status, _closer(code, text), text, refusals.retry_after_s(headers))


def error_named(name: str, said: Json | None, text: str = "") -> UpstreamError:
    """The failure that a message of a stream reports."""
    bare = _bare(name)
    code = _CODES.get(bare[:1].upper() + bare[1:], Code.UPSTREAM_ERROR)
    told = text or message_of(said or {}) or name
    message = "it does not accept the gateway's key" if code is Code.UPSTREAM_AUTH else told
    return UpstreamError(f"the provider failed: {message}", _closer(code, told))


def error_inside(said: Json) -> UpstreamError | None:
    """The failure that a reply with status 200 reports; None when it reports none."""
    name = _named_in(said)
    return error_named(name, said) if name else None


def message_of(said: Json) -> str:
    return refusals.shortened(word(said, "message") or word(said, "Message"))


def _named_in(said: Json) -> str:
    return word(said, "__type") or word(said, "code")


def _bare(name: str) -> str:
    """`ValidationException:http://internal.amazon.com/…` and `com.amazon…#ValidationException`, bare."""
    return name.partition(":")[0].rpartition("#")[2]


def _closer(code: Code, text: str) -> Code:
    return next((it for of, phrase, it in _PHRASES if of is code and phrase.search(text)), code)


def _error(status: int, code: Code, text: str, after_s: float | None) -> UpstreamError:
    # A refused signature is answered with all that should have been signed, the session's token too.
    secretive = code is Code.UPSTREAM_AUTH
    message = refusals.credentials_refused(status) if secretive else refusals.refused(status, text)
    own = status if code is Code.INVALID_REQUEST and 400 <= status < 500 else None
    return UpstreamError(message, code, status=own, retry_after_s=after_s)
