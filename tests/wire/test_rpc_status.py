"""What refusals of Google's servers mean."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.errors import Code
from rhetor.wire.rpc_status import error_inside, read_error

QUOTA = {
    "code": 429,
    "message": "You exceeded your current quota, please check your plan and billing details.",
    "status": "RESOURCE_EXHAUSTED",
    "details": [
        {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"},
    ],
}
BAD_KEY = {
    "code": 400,
    "message": "API key not valid. Please pass a valid API key.",
    "status": "INVALID_ARGUMENT",
    "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
}


def test_a_quota_says_when_to_come_back() -> None:
    error = read_error(429, {"retry-after": "5"}, orjson.dumps({"error": QUOTA}))
    assert error.code is Code.RATE_LIMITED
    assert error.retry_after_s == 34.4
    assert "current quota" in error.message


def test_a_refused_key_comes_with_the_status_of_a_bad_request() -> None:
    """Another key, or another provider, may be asked; the caller has done nothing wrong."""
    error = read_error(400, {}, orjson.dumps({"error": BAD_KEY}))
    assert error.code is Code.UPSTREAM_AUTH
    assert "API key not valid" not in error.message


@pytest.mark.parametrize(
    ("status", "word", "text", "code"),
    [
        (400, "INVALID_ARGUMENT", "Invalid JSON payload received.", Code.INVALID_REQUEST),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (2097153) exceeds the maximum number of tokens allowed (1048576).",
            Code.CONTEXT_LENGTH,
        ),
        (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", Code.UPSTREAM_AUTH),
        (403, "PERMISSION_DENIED", "This API method requires billing to be enabled.", Code.UPSTREAM_AUTH),
        (403, "PERMISSION_DENIED", "Please enable billing on project #7", Code.UPSTREAM_BILLING),
        (404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta", Code.MODEL_NOT_FOUND),
        (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", Code.UPSTREAM_BILLING),
        (499, "CANCELLED", "The operation was cancelled.", Code.UPSTREAM_ERROR),
        (500, "INTERNAL", "An internal error has occurred.", Code.UPSTREAM_ERROR),
        (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", Code.OVERLOADED),
        (503, "UNAVAILABLE", "The service is currently unavailable.", Code.UNAVAILABLE),
        (504, "DEADLINE_EXCEEDED", "Deadline expired.", Code.UNAVAILABLE),
        (418, "", "I am a teapot.", Code.INVALID_REQUEST),
    ],
)
def test_words_and_sentences(status: int, word: str, text: str, code: Code) -> None:
    said = {"code": status, "message": text, "status": word}
    assert read_error(status, {}, orjson.dumps({"error": said})).code is code


def test_streams_wrap_their_error_in_a_list() -> None:
    """Where `alt=sse` was asked for, and the request was refused before it began."""
    error = read_error(429, {}, orjson.dumps([{"error": QUOTA}]))
    assert error.code is Code.RATE_LIMITED


def test_a_page_is_no_status() -> None:
    error = read_error(502, {}, b"<html><title>Error 502</title></html>")
    assert error.code is Code.UNAVAILABLE
    assert "Error 502" in error.message


def test_the_callers_mistake_keeps_its_status() -> None:
    body = orjson.dumps({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "x"}})
    assert read_error(400, {}, body).status == 400


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"error": QUOTA}, Code.RATE_LIMITED),
        ({"error": {"message": "boom"}}, Code.UPSTREAM_ERROR),
        ({"error": {"code": 200, "message": "boom"}}, Code.UPSTREAM_ERROR),
    ],
)
def test_an_error_inside_a_reply(said: Any, code: Code) -> None:
    error = error_inside(said)
    assert error is not None
    assert error.code is code


@pytest.mark.parametrize("said", [{}, {"error": None}, {"error": "no"}])
def test_a_reply_without_an_error(said: Any) -> None:
    assert error_inside(said) is None
