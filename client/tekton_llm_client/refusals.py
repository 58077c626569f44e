"""What went wrong: error replies → exceptions, and whether to try again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from tekton_llm_client.exceptions import (
    AdapterError,
    AuthenticationError,
    ConnectionError,
    InvalidRequestError,
    RateLimitError,
    ServiceUnavailableError,
    TektonLLMError,
    TimeoutError,
)
from tekton_llm_client.models import Attempt, StreamingChunk

GATEWAY = "rhetor"
LONGEST_PAUSE_S = 60.0  # a caller waits a minute at most; a limit that lasts longer is an error to be told
LONGEST_BACKOFF_S = 8.0  # where nobody said how long
JITTER = 0.15  # of every pause, so that components that failed together do not come back together
BAD_GATEWAY = 502

_BY_STATUS: Mapping[int, type[TektonLLMError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: InvalidRequestError,
    405: InvalidRequestError,
    408: TimeoutError,
    409: InvalidRequestError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
    503: ServiceUnavailableError,
    504: TimeoutError,
}
_BY_CODE: Mapping[str, type[TektonLLMError]] = {
    "invalid_request": InvalidRequestError,
    "unauthenticated": AuthenticationError,
    "forbidden": AuthenticationError,
    "not_found": InvalidRequestError,
    "model_not_found": InvalidRequestError,
    "unsupported": InvalidRequestError,
    "conflict": InvalidRequestError,
    "request_too_large": InvalidRequestError,
    "context_length_exceeded": InvalidRequestError,
    "content_policy_violation": InvalidRequestError,
    "rate_limited": RateLimitError,
    "overloaded": ServiceUnavailableError,
    "unavailable": ServiceUnavailableError,
    "no_key": ServiceUnavailableError,
    "nothing_to_try": ServiceUnavailableError,
    "pool_full": ServiceUnavailableError,
    "shutting_down": ServiceUnavailableError,
    "connect_timeout": TimeoutError,
    "first_event_timeout": TimeoutError,
    "idle_timeout": TimeoutError,
    "total_timeout": TimeoutError,
}
"""For what is told without a status, on a WebSocket or in a stream, or with a provider's own one."""
_PASSING = (ConnectionError, ServiceUnavailableError, RateLimitError)
_ATTEMPT = re.compile(r"\s*(.+?);([a-z_]+);([\d.]+)ms(?:;(\w+))?\s*")


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, now: datetime | None = None
) -> TektonLLMError:
    """The exception for an error reply; `headers` are looked up in lower case."""
    said = _parsed(body)
    nested = said.get("error")
    if isinstance(nested, dict):  # as OpenAI's door has it
        said = {**nested, "error": nested.get("message")}
    about: dict[str, Any] = {
        "status": status,
        "code": _text(said, "code"),
        "retry_after_s": _retry_after_s(headers, now or datetime.now(UTC)),
        "retry": {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower()),
        "request_id": headers.get("x-request-id") or _text(said, "request_id"),
        "attempts": read_attempts(headers.get("x-rhetor-attempts", "")),
    }
    message = _text(said, "error") or _text(said, "detail")
    message = message or body[:200].decode(errors="replace").strip() or f"HTTP {status} without a message"
    return _made(_BY_STATUS.get(status) or _BY_CODE.get(about["code"] or ""), message, about)


def failure(message: str, code: str | None, **about: Any) -> TektonLLMError:
    """The exception for an error that came without a status."""
    return _made(_BY_CODE.get(code or ""), message, {"code": code, **about})


def broken_off(error: str, chunk: StreamingChunk) -> TektonLLMError:
    """The exception for a stream that ended in this chunk."""
    return failure(error, chunk.code, request_id=chunk.generation_id, attempts=chunk.attempts)


def _made(kind: type[TektonLLMError] | None, message: str, about: dict[str, Any]) -> TektonLLMError:
    return kind(message, **about) if kind is not None else AdapterError(GATEWAY, message, **about)


def pause_before_retry(error: TektonLLMError, tried: int, retries: int, first_pause_s: float) -> float | None:
    """Seconds to wait before another try, after `tried` of them failed; None: let the error out."""
    if tried > retries or not is_passing(error):
        return None
    if error.retry_after_s is None:
        return min(first_pause_s * 2.0 ** (tried - 1), LONGEST_BACKOFF_S)
    return error.retry_after_s if error.retry_after_s <= LONGEST_PAUSE_S else None


def is_passing(error: TektonLLMError) -> bool:
    """Whether another try may go better."""
    if error.retry is not None:
        return error.retry
    # Our gateway says of its own 502 whether they pass; one without a word is of a proxy before it.
    return isinstance(error, _PASSING) or error.status == BAD_GATEWAY


def read_attempts(header: str) -> list[Attempt]:
    """`lab/small;connect_failed;2ms, offline/echo;ok;3ms` → attempts; what is not understood is left out."""
    found = (_ATTEMPT.fullmatch(part) for part in header.split(","))
    return [Attempt(target=m[1], outcome=m[2], ms=float(m[3]), how=m[4]) for m in found if m is not None]


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) else None


def _retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """`retry-after-ms`, or `retry-after` as seconds or as a date (RFC 9110, 10.2.3)."""
    for name, per_second in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        said = headers.get(name)
        if said is None:
            continue
        try:
            return max(0.0, float(said) / per_second)
        except ValueError:
            pass
        try:
            until = parsedate_to_datetime(said)
        except ValueError:
            continue
        return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
    return None
