"""Everything that can go wrong, in one table: code → status, and what another attempt would be good for.

    RhetorError            has a code; the table below says what the code means
    ├── BadRequest         the caller must change something
    └── UpstreamError      a provider, or the way to it, failed

A class exists where somebody branches on it; otherwise the code is enough.
Codes are stable, messages are for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rhetor.core.content import JsonValue


class Retry(StrEnum):
    """What may follow an attempt that failed with a code."""

    NEVER = "never"
    """The request itself is at fault: every target would refuse it."""
    SAME = "same"
    """A passing fault: the same target may be tried once more, then the next."""
    NEXT = "next"
    """This target will not answer; another one may."""
    LATER = "later"
    """This target asks for patience; another one may answer now."""


class Code(StrEnum):
    # the caller's
    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    MODEL_NOT_FOUND = "model_not_found"
    UNSUPPORTED = "unsupported"
    CONFLICT = "conflict"
    TOO_LARGE = "request_too_large"
    CONTEXT_LENGTH = "context_length_exceeded"
    CONTENT_POLICY = "content_policy_violation"
    CANCELLED = "cancelled"
    # the provider's
    UPSTREAM_AUTH = "upstream_authentication"
    UPSTREAM_BILLING = "upstream_billing"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    UPSTREAM_ERROR = "upstream_error"
    PROTOCOL = "protocol_error"
    TRUNCATED = "truncated"
    DIVERGED = "diverged"
    CONNECT_FAILED = "connect_failed"
    CONNECTION_LOST = "connection_lost"
    CONNECT_TIMEOUT = "connect_timeout"
    FIRST_EVENT_TIMEOUT = "first_event_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    TOTAL_TIMEOUT = "total_timeout"
    # ours
    NO_KEY = "no_key"
    NOTHING_TO_TRY = "nothing_to_try"
    POOL_FULL = "pool_full"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal_error"


@dataclass(frozen=True, slots=True)
class Meaning:
    status: int
    retry: Retry


MEANING: Mapping[Code, Meaning] = {
    Code.INVALID_REQUEST: Meaning(400, Retry.NEVER),
    Code.UNAUTHENTICATED: Meaning(401, Retry.NEVER),
    Code.FORBIDDEN: Meaning(403, Retry.NEVER),
    Code.NOT_FOUND: Meaning(404, Retry.NEVER),
    Code.METHOD_NOT_ALLOWED: Meaning(405, Retry.NEVER),
    Code.MODEL_NOT_FOUND: Meaning(404, Retry.NEXT),  # the next target of a route has another model
    Code.UNSUPPORTED: Meaning(400, Retry.NEXT),
    Code.CONFLICT: Meaning(409, Retry.NEVER),
    Code.TOO_LARGE: Meaning(413, Retry.NEVER),
    Code.CONTEXT_LENGTH: Meaning(400, Retry.NEXT),
    Code.CONTENT_POLICY: Meaning(400, Retry.NEVER),
    Code.CANCELLED: Meaning(499, Retry.NEVER),
    Code.UPSTREAM_AUTH: Meaning(502, Retry.NEXT),  # our key is bad, not the caller's: 401 would mislead
    Code.UPSTREAM_BILLING: Meaning(502, Retry.NEXT),
    Code.RATE_LIMITED: Meaning(429, Retry.LATER),
    Code.OVERLOADED: Meaning(503, Retry.NEXT),
    Code.UNAVAILABLE: Meaning(503, Retry.NEXT),
    Code.UPSTREAM_ERROR: Meaning(502, Retry.SAME),
    Code.PROTOCOL: Meaning(502, Retry.NEXT),
    Code.TRUNCATED: Meaning(502, Retry.SAME),
    Code.DIVERGED: Meaning(502, Retry.NEXT),
    Code.CONNECT_FAILED: Meaning(502, Retry.SAME),
    Code.CONNECTION_LOST: Meaning(502, Retry.SAME),
    Code.CONNECT_TIMEOUT: Meaning(504, Retry.NEXT),
    Code.FIRST_EVENT_TIMEOUT: Meaning(504, Retry.NEXT),
    Code.IDLE_TIMEOUT: Meaning(504, Retry.NEXT),
    Code.TOTAL_TIMEOUT: Meaning(504, Retry.NEVER),
    Code.NO_KEY: Meaning(503, Retry.NEXT),
    Code.NOTHING_TO_TRY: Meaning(503, Retry.NEVER),
    Code.POOL_FULL: Meaning(503, Retry.NEXT),
    Code.SHUTTING_DOWN: Meaning(503, Retry.NEVER),
    Code.INTERNAL: Meaning(500, Retry.NEVER),
}


class RhetorError(Exception):
    """An error with a code.

    Args:
        message: for people; never holds a secret.
        status: overrides the table's HTTP status where a provider was more precise.
        param: path of the field at fault, `messages[0].content`.
        retry_after_s: how long the provider asked to be left alone, in seconds.
        origin: the provider that failed; None means the gateway itself or the caller.
        wire, original: the error object as the provider sent it, and its language, so
            that a caller of the same language gets it with every field.
    """

    default_code = Code.INTERNAL

    def __init__(
        self,
        message: str,
        code: Code | None = None,
        *,
        status: int | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        origin: str | None = None,
        wire: str | None = None,
        original: Mapping[str, JsonValue] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.status = status or MEANING[self.code].status
        self.param = param
        self.retry_after_s = retry_after_s
        self.origin = origin
        self.wire = wire
        self.original = original

    @property
    def retry(self) -> Retry:
        return MEANING[self.code].retry

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code}, {self.message!r})"


class BadRequest(RhetorError):
    """The caller must change something."""

    default_code = Code.INVALID_REQUEST


class UpstreamError(RhetorError):
    """A provider, or the way to it, failed."""

    default_code = Code.UPSTREAM_ERROR
