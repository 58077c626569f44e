"""The table of errors: complete, consistent, and what each code promises to callers."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from rhetor.core.errors import MEANING, BadRequest, Code, Retry, RhetorError, UpstreamError

CLIENT_CLOSED_REQUEST = 499  # nginx' number for a caller that left; no standard has one


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_meaning(code: Code) -> None:
    meaning = MEANING[code]
    assert 400 <= meaning.status < 600
    assert meaning.status == CLIENT_CLOSED_REQUEST or HTTPStatus(meaning.status)


def test_codes_are_words_that_travel() -> None:
    """They stand in headers, metrics and JSON."""
    assert all(code.isascii() and code.replace("_", "").isalpha() and code.islower() for code in Code)
    assert len({str(code) for code in Code}) == len(Code)


@pytest.mark.parametrize("code", [code for code in Code if MEANING[code].retry in (Retry.SAME, Retry.LATER)])
def test_what_passes_is_no_fault_of_the_request(code: Code) -> None:
    """What may succeed when it is repeated has a status that SDKs repeat."""
    assert MEANING[code].status >= 500 or MEANING[code].status == 429


@pytest.mark.parametrize(
    "code", [Code.UPSTREAM_AUTH, Code.UPSTREAM_BILLING, Code.NO_KEY], ids=lambda code: code.value
)
def test_our_bad_key_is_not_the_callers(code: Code) -> None:
    """A 401, 402 or 403 would send the caller to look for a fault in its own key."""
    assert MEANING[code].status >= 500


@pytest.mark.parametrize("code", [code for code in Code if code.endswith("_timeout")])
def test_timeouts_are_told_as_such(code: Code) -> None:
    assert MEANING[code].status == 504


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (RhetorError("x"), Code.INTERNAL, 500),
        (BadRequest("x"), Code.INVALID_REQUEST, 400),
        (UpstreamError("x"), Code.UPSTREAM_ERROR, 502),
        (BadRequest("x", Code.TOO_LARGE), Code.TOO_LARGE, 413),
        (UpstreamError("x", Code.OVERLOADED, status=529), Code.OVERLOADED, 529),
    ],
)
def test_a_class_has_a_code_and_a_code_has_a_status(error: RhetorError, code: Code, status: int) -> None:
    assert (error.code, error.status) == (code, status)
    assert error.retry is MEANING[code].retry


def test_an_error_shows_its_code_and_words() -> None:
    error = UpstreamError("too many", Code.RATE_LIMITED, retry_after_s=2.0, original={"key": "canary"})
    assert repr(error) == "UpstreamError(rate_limited, 'too many')"
    assert str(error) == "too many"


def test_an_error_says_the_words_it_was_given_later() -> None:
    """Whoever adds to the message is heard in logs and tracebacks too."""
    error = UpstreamError("gone", Code.CONNECTION_LOST)
    error.message = "gone (tried a, b)"
    assert str(error) == "gone (tried a, b)"
