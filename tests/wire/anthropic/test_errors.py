"""What refusals mean, and how ours are told."""

from __future__ import annotations

import orjson
import pytest

from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.core.events import Failed
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.anthropic.decoders import MessageDecoder
from rhetor.wire.anthropic.errors import read_error, read_error_object


@pytest.mark.parametrize(
    ("status", "kind", "message", "code"),
    [
        (400, "invalid_request_error", "messages: at least one message is required", Code.INVALID_REQUEST),
        (400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000", Code.CONTEXT_LENGTH),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
            Code.CONTEXT_LENGTH,
        ),
        (400, "invalid_request_error", "Output blocked by content filtering policy", Code.CONTENT_POLICY),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            Code.UPSTREAM_BILLING,
        ),
        (401, "authentication_error", "invalid x-api-key", Code.UPSTREAM_AUTH),
        (402, "billing_error", "Check your payment details", Code.UPSTREAM_BILLING),
        (403, "permission_error", "no access", Code.UPSTREAM_AUTH),
        (404, "not_found_error", "model: claude-9", Code.MODEL_NOT_FOUND),
        (404, "not_found_error", "File not found: file_1", Code.NOT_FOUND),
        (413, "request_too_large", "Request exceeds the maximum size", Code.TOO_LARGE),
        (429, "rate_limit_error", "Number of request tokens has exceeded", Code.RATE_LIMITED),
        (429, "rate_limit_error", "The workspace has reached its spend limit.", Code.UPSTREAM_BILLING),
        (500, "api_error", "Internal server error", Code.UPSTREAM_ERROR),
        (504, "timeout_error", "Request timed out", Code.UPSTREAM_ERROR),
        (529, "overloaded_error", "Overloaded", Code.OVERLOADED),
        (400, "a_type_of_next_year", "what", Code.INVALID_REQUEST),
    ],
)  # fmt: skip
def test_refusals(status: int, kind: str, message: str, code: Code) -> None:
    error = read_error(status, {}, _body(kind, message))
    assert error.code is code
    assert error.status // 100 != 4 or error.status == status


def test_the_providers_status_is_kept_where_it_is_more_precise() -> None:
    """529 says more than our 503; but our bad key must not look like the caller's."""
    assert read_error(529, {}, _body("overloaded_error", "Overloaded")).status == 529
    assert read_error(401, {}, _body("authentication_error", "invalid x-api-key")).status == 502


def test_how_long_to_wait() -> None:
    error = read_error(429, {"retry-after": "7"}, _body("rate_limit_error", "slow down"))
    assert error.retry_after_s == 7


def test_other_servers_errors_are_understood_by_their_words_and_status() -> None:
    llama = b'{"error":{"code":400,"message":"too large","type":"exceed_context_size_error","n_ctx":512}}'
    assert read_error(400, {}, llama).code is Code.CONTEXT_LENGTH
    assert read_error(400, {}, llama).original is None
    page = read_error(502, {}, b"<html><body>bad gateway</body></html>")
    assert page.code is Code.UNAVAILABLE
    assert "bad gateway" in page.message


@pytest.mark.parametrize(
    ("status", "word", "message", "code"),
    [
        (429, "RESOURCE_EXHAUSTED", "Quota exceeded for online_prediction_requests", Code.RATE_LIMITED),
        (404, "NOT_FOUND", "Publisher Model `claude-9` was not found", Code.MODEL_NOT_FOUND),
        (400, "FAILED_PRECONDITION", "Project is not allowed to use Publisher Model", Code.UPSTREAM_AUTH),
        (400, "INVALID_ARGUMENT", "prompt is too long: 208310 tokens > 200000", Code.CONTEXT_LENGTH),
        (503, "UNAVAILABLE", "The service is currently unavailable.", Code.UNAVAILABLE),
    ],
)
def test_a_cloud_before_the_models_refuses_in_its_own_words(
    status: int, word: str, message: str, code: Code
) -> None:
    said = {"error": {"code": status, "message": message, "status": word}}
    refused = read_error(status, {"retry-after": "7"}, orjson.dumps([said]))
    assert (refused.code, refused.retry_after_s, refused.original) == (code, 7, None)
    inside = MessageDecoder().read(orjson.dumps(said))[-1]
    assert isinstance(inside, Failed)
    assert inside.error.code is code
    assert read_error_object(said).code is code


def test_callers_of_this_language_get_the_error_as_it_was() -> None:
    body = _body("overloaded_error", "Overloaded", request_id="req_1", new={"a": 1})
    rendered = orjson.loads(ANTHROPIC.render_error(read_error(529, {}, body), "ours"))
    assert rendered == orjson.loads(body)


def test_what_the_provider_says_of_our_account_stays_here() -> None:
    """It may quote the key, and a caller would take the blame."""
    error = read_error(401, {}, _body("authentication_error", "key sk-ant-canary is bad"))
    rendered = ANTHROPIC.render_error(error, "req_2")
    assert b"canary" not in rendered
    assert orjson.loads(rendered)["error"]["type"] == "api_error"
    assert orjson.loads(rendered)["request_id"] == "req_2"
    assert read_error(402, {}, _body("billing_error", "Pay.")).original is None


def test_an_error_in_place_of_a_reply() -> None:
    error = read_error_object({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}})
    assert (error.code, error.message) == (Code.RATE_LIMITED, "the provider failed: slow")
    assert read_error_object({}).code is Code.UPSTREAM_ERROR


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BadRequest("max_tokens is missing"), "invalid_request_error"),
        (BadRequest("no audio", Code.UNSUPPORTED), "invalid_request_error"),
        (RhetorError("who are you", Code.UNAUTHENTICATED), "authentication_error"),
        (RhetorError("not yours", Code.FORBIDDEN), "permission_error"),
        (RhetorError("no such model", Code.MODEL_NOT_FOUND), "not_found_error"),
        (RhetorError("too large", Code.TOO_LARGE), "request_too_large"),
        (UpstreamError("slow down", Code.RATE_LIMITED), "rate_limit_error"),
        (UpstreamError("bad key", Code.UPSTREAM_AUTH), "api_error"),
        (UpstreamError("hung up", Code.TRUNCATED), "api_error"),
        (UpstreamError("silent", Code.FIRST_EVENT_TIMEOUT), "timeout_error"),
        (RhetorError("busy", Code.POOL_FULL), "overloaded_error"),
        (RhetorError("bug"), "api_error"),
    ],
)
def test_errors_as_callers_see_them(error: RhetorError, kind: str) -> None:
    assert orjson.loads(ANTHROPIC.render_error(error, "req_3")) == {
        "type": "error",
        "error": {"type": kind, "message": error.message},
        "request_id": "req_3",
    }


def test_an_error_of_another_language_is_told_in_ours() -> None:
    error = UpstreamError("no", Code.OVERLOADED, wire="openai", original={"message": "no", "type": "x"})
    assert orjson.loads(ANTHROPIC.render_error(error, "r"))["error"]["type"] == "overloaded_error"


def _body(kind: str, message: str, **more: object) -> bytes:
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}, **more})
