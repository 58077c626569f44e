"""What the chat platform's callers are told when something goes wrong: {error, message}, and what helps."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from rhetor.core.content import JsonValue
from rhetor.core.errors import BadRequest, Code, Retry, RhetorError
from rhetor.core.ids import new_id
from rhetor.http.ratelimit import Allowance
from rhetor.wire import fields
from rhetor.wire.base import JSON_TYPE
from rhetor.wire.tekton import Tekton

TITLES: Mapping[Code, str] = {
    Code.INVALID_REQUEST: "Validation failed",
    Code.UNAUTHENTICATED: "Access denied",
    Code.FORBIDDEN: "Invalid token",
    Code.NOT_FOUND: "Session not found",
    Code.CONFLICT: "Conflict",
    Code.TOO_LARGE: "Payload too large",
    Code.MODEL_NOT_FOUND: "Unknown model",
    Code.RATE_LIMITED: "Too Many Requests",
    Code.POOL_FULL: "Service unavailable",
    Code.SHUTTING_DOWN: "Service unavailable",
    Code.INTERNAL: "Internal server error",
}
OTHERS = "Message processing failed"
AT_FAULT = frozenset({Code.MODEL_NOT_FOUND, Code.UNSUPPORTED, Code.CONTEXT_LENGTH})
"""Another target of a route may do with these; here all of them were asked."""
LONGEST = 4_000  # characters of a message


class Refused(BadRequest):
    """A refusal with a title of its own.

    Args:
        headers: sent beside it.
    """

    def __init__(
        self,
        title: str,
        message: str,
        code: Code,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, code, status=status, retry_after_s=retry_after_s)
        self.title = title
        self.headers = headers or {}


def too_many(allowance: Allowance) -> Refused:
    """There were too many calls; the next one may come in a while."""
    message = f"Rate limit exceeded: try again in {allowance.retry_after} s"
    return Refused(
        TITLES[Code.RATE_LIMITED],
        message,
        Code.RATE_LIMITED,
        headers=limit_headers(allowance),
        retry_after_s=float(allowance.retry_after),
    )


def limit_headers(allowance: Allowance) -> dict[str, str]:
    """Reset is a timestamp here, and not a number."""
    return {**allowance.headers, "x-ratelimit-reset": allowance.reset_at.isoformat(timespec="milliseconds")}


def error_fields(error: RhetorError) -> dict[str, JsonValue]:
    """The body of an error reply."""
    title = error.title if isinstance(error, Refused) else TITLES.get(error.code, OTHERS)
    extra: dict[str, JsonValue] = {
        "param": error.param,
        "provider": error.origin,
        "retryable": True if is_retryable(error.code) else None,
        "retryAfter": None if error.retry_after_s is None else max(1, round(error.retry_after_s)),
    }
    told: dict[str, JsonValue] = {
        "error": title,
        "message": error.message[:LONGEST] or title,
        "code": error.code.value,
    }
    return told | {name: value for name, value in extra.items() if value is not None}


def refusal(error: RhetorError) -> web.Response:
    request_id = new_id("req")
    headers = {"x-request-id": request_id, "request-id": request_id}
    if isinstance(error, Refused):
        headers |= error.headers
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if error.code is Code.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    body = fields.dump(error_fields(error))
    return web.Response(status=error.status, body=body, content_type=JSON_TYPE, headers=headers)


class Platform(Tekton):
    """The language of its errors, for what is refused before its handlers are asked."""

    name = "chat platform"

    def render_error(self, error: RhetorError, request_id: str) -> bytes:
        return fields.dump(error_fields(error))


PLATFORM = Platform()


def is_retryable(code: Code) -> bool:
    """Whether the same message may well be answered when it is sent again."""
    if code in AT_FAULT:
        return False
    again = RhetorError("", code).retry
    return again is not Retry.NEVER or code in (Code.SHUTTING_DOWN, Code.TOTAL_TIMEOUT)
