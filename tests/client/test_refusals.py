"""Error replies → exceptions, and what is tried again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tekton_llm_client import exceptions as errors
from tekton_llm_client.models import Attempt
from tekton_llm_client.refusals import failure, pause_before_retry, read_attempts, refusal

NOW = datetime(2026, 11, 21, 7, 28, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"why"}', "why"),
        (b'{"detail":"why"}', "why"),
        (b'{"error":{"message":"nested","code":"c"}}', "nested"),
        (b'{"error":{}}', '{"error":{}}'),
        (b"<html>proxy</html>", "<html>proxy</html>"),
        (b"", "HTTP 502 without a message"),
    ],
)
def test_every_refusal_has_a_message(body: bytes, message: str) -> None:
    assert refusal(502, {}, body).message == message


def test_a_refusal_tells_everything_that_the_gateway_told() -> None:
    headers = {
        "x-request-id": "gen_1",
        "x-should-retry": "false",
        "x-rhetor-attempts": "lab/small;connect_failed;2ms, offline/echo;ok;3ms;continued",
    }
    error = refusal(503, headers, b'{"error":"why","code":"overloaded"}')
    assert isinstance(error, errors.ServiceUnavailableError)
    assert (error.status, error.code, error.request_id, error.retry) == (503, "overloaded", "gen_1", False)
    assert error.attempts == (
        Attempt(target="lab/small", outcome="connect_failed", ms=2),
        Attempt(target="offline/echo", outcome="ok", ms=3, how="continued"),
    )


def test_a_providers_own_status_is_told_by_its_code() -> None:
    assert isinstance(refusal(529, {}, b'{"error":"w","code":"overloaded"}'), errors.ServiceUnavailableError)


@pytest.mark.parametrize("header", ["", "?", "a;b;c", ";;;", "a" * 10_000])
def test_attempts_that_are_not_understood_are_left_out(header: str) -> None:
    assert read_attempts(header) == []


@pytest.mark.parametrize(
    ("headers", "retry_after_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Sat, 21 Nov 2026 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 07:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_may_be_said_in_several_ways(
    headers: dict[str, str], retry_after_s: float | None
) -> None:
    assert refusal(429, headers, b"", NOW).retry_after_s == retry_after_s


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_request", errors.InvalidRequestError),
        ("unauthenticated", errors.AuthenticationError),
        ("rate_limited", errors.RateLimitError),
        ("overloaded", errors.ServiceUnavailableError),
        ("idle_timeout", errors.TimeoutError),
        ("connection_lost", errors.AdapterError),
        ("something_new", errors.AdapterError),
        (None, errors.AdapterError),
    ],
)
def test_without_a_status_the_code_tells_the_kind(
    code: str | None, kind: type[errors.TektonLLMError]
) -> None:
    error = failure("why", code, request_id="r")
    assert type(error) is kind
    assert (error.message, error.code, error.request_id) == ("why", code, "r")


@pytest.mark.parametrize(
    ("error", "tried", "pause_s"),
    [
        (errors.ConnectionError("down"), 1, 0.5),
        (errors.ConnectionError("down"), 3, 2.0),
        (errors.ConnectionError("down"), 4, None),  # tried often enough
        (errors.ServiceUnavailableError("busy", retry_after_s=7.0), 1, 7.0),
        (errors.RateLimitError("tomorrow", retry_after_s=86_400.0), 1, None),
        (errors.ServiceUnavailableError("all tried", retry=False), 1, None),
        (errors.AdapterError("rhetor", "bad gateway", status=502), 1, 0.5),  # a proxy that lost its gateway
        (errors.AdapterError("rhetor", "bad gateway", status=502, retry=False), 1, None),
        (errors.TimeoutError("slow", retry=True), 1, 0.5),
        (errors.TimeoutError("slow"), 1, None),  # it may be working on it still
        (errors.InvalidRequestError("wrong"), 1, None),
        (errors.AdapterError("rhetor", "broken", status=500), 1, None),
    ],
)
def test_only_passing_faults_are_tried_again(
    error: errors.TektonLLMError, tried: int, pause_s: float | None
) -> None:
    assert pause_before_retry(error, tried, retries=3, first_pause_s=0.5) == pause_s


def test_tries_never_come_too_far_apart() -> None:
    pauses = [pause_before_retry(errors.ConnectionError("down"), n, 99, 0.5) for n in range(1, 99)]
    assert max(pause or 0 for pause in pauses) == 8.0
