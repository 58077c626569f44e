"""Error objects: what a provider means, and what callers are told."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.errors import BadRequest, Code, RhetorError, UpstreamError
from rhetor.wire.openai import OPENAI
from rhetor.wire.openai.errors import error_inside


def read(status: int, body: Any = b"", **headers: str) -> UpstreamError:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return OPENAI.read_error(status, names, body if isinstance(body, bytes) else orjson.dumps(body))


def rendered(error: RhetorError) -> Any:
    return orjson.loads(OPENAI.render_error(error, "req_1"))["error"]


def error(message: str = "x", **said: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": None, "param": None, "code": None, **said}}


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, error(), Code.INVALID_REQUEST),
        (401, error(code="invalid_api_key"), Code.UPSTREAM_AUTH),
        (402, error(), Code.UPSTREAM_BILLING),
        (403, error(), Code.UPSTREAM_AUTH),
        (403, error(code="model_not_found"), Code.MODEL_NOT_FOUND),
        (403, error(code=403, metadata={"reasons": ["violence"]}), Code.CONTENT_POLICY),
        (404, error(code="model_not_found"), Code.MODEL_NOT_FOUND),
        (408, error(), Code.UPSTREAM_ERROR),
        (409, error(), Code.UPSTREAM_ERROR),
        (413, error(), Code.TOO_LARGE),
        (429, error(type="tokens", code="rate_limit_exceeded"), Code.RATE_LIMITED),
        (429, error(type="insufficient_quota", code="insufficient_quota"), Code.UPSTREAM_BILLING),
        (429, error(type="insufficient_quota"), Code.UPSTREAM_BILLING),
        (500, error(type="server_error"), Code.UPSTREAM_ERROR),
        (503, error(), Code.UNAVAILABLE),
        (529, error(), Code.OVERLOADED),
        (400, error(code="context_length_exceeded"), Code.CONTEXT_LENGTH),
        (400, error("This model's maximum context length is 8192 tokens."), Code.CONTEXT_LENGTH),
        (400, error("the request exceeds the available context size", type="exceed_context_size_error"),
         Code.CONTEXT_LENGTH),
        (413, error("Prompt is too long"), Code.CONTEXT_LENGTH),
        (500, error("context length?"), Code.UPSTREAM_ERROR),
        (400, error(code="content_filter"), Code.CONTENT_POLICY),
        (400, error(code="content_policy_violation"), Code.CONTENT_POLICY),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "too big"}]}, Code.INVALID_REQUEST),
        (400, {"object": "error", "message": "x", "type": "BadRequest", "code": 400}, Code.INVALID_REQUEST),
        (404, {"error": "model 'x' not found"}, Code.MODEL_NOT_FOUND),
        (429, [{"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}], Code.RATE_LIMITED),
        (502, b"<html>Bad gateway</html>", Code.UNAVAILABLE),
        (500, b"", Code.UPSTREAM_ERROR),
    ],
)  # fmt: skip
def test_what_a_refusal_means(status: int, body: Any, code: Code) -> None:
    assert read(status, body).code is code


def test_everything_the_provider_said_is_kept() -> None:
    refused = read(400, error("too hot", type="invalid_request_error", param="temperature", extra=[1]))
    assert (refused.message, refused.param, refused.wire) == ("too hot", "temperature", "openai")
    assert rendered(refused) == {
        "message": "too hot",
        "type": "invalid_request_error",
        "param": "temperature",
        "code": None,
        "extra": [1],
    }


def test_a_status_that_is_more_precise_than_ours_is_kept() -> None:
    assert read(422, error()).status == 422
    assert read(401, error()).status == 502


def test_patience_is_read_from_the_headers() -> None:
    assert read(429, error(), retry_after="7").retry_after_s == 7
    assert read(503, b"", retry_after_ms="1500").retry_after_s == 1.5


def test_a_page_is_reduced_to_its_words() -> None:
    refused = read(502, b"<html><title>502</title><p>" + b"x" * 5000)
    assert refused.message.startswith("the provider answered 502: 502 xxx")
    assert len(refused.message) < 600
    assert refused.original is None


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [error("Incorrect API key provided: sk-canary"), b"bad key sk-canary"])
def test_what_may_repeat_the_key_is_not_quoted(status: int, body: Any) -> None:
    refused = read(status, body)
    assert "canary" not in refused.message
    assert b"canary" not in OPENAI.render_error(refused, "req_1")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (error(), Code.UPSTREAM_ERROR),
        (error(code=429), Code.RATE_LIMITED),
        (error(code=200), Code.UPSTREAM_ERROR),
        ({"error": "busy"}, Code.UPSTREAM_ERROR),
        ({"object": "error", "message": "x", "code": 503}, Code.UNAVAILABLE),
    ],
)
def test_an_error_inside_a_reply(fields: dict[str, Any], code: Code) -> None:
    inside = error_inside(fields)
    assert inside is not None
    assert inside.code is code


def test_no_error_inside_a_reply() -> None:
    assert error_inside({"error": None, "choices": []}) is None


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (Code.INVALID_REQUEST, "invalid_request_error", None),
        (Code.UNAUTHENTICATED, "authentication_error", "invalid_api_key"),
        (Code.FORBIDDEN, "permission_error", None),
        (Code.NOT_FOUND, "not_found_error", None),
        (Code.MODEL_NOT_FOUND, "invalid_request_error", "model_not_found"),
        (Code.CONTEXT_LENGTH, "invalid_request_error", "context_length_exceeded"),
        (Code.CONTENT_POLICY, "invalid_request_error", "content_policy_violation"),
        (Code.TOO_LARGE, "invalid_request_error", "request_too_large"),
        (Code.RATE_LIMITED, "rate_limit_error", "rate_limit_exceeded"),
        (Code.UPSTREAM_BILLING, "insufficient_quota", "insufficient_quota"),
        (Code.UPSTREAM_AUTH, "server_error", "upstream_authentication"),
        (Code.OVERLOADED, "server_error", "overloaded"),
        (Code.INTERNAL, "server_error", "internal_error"),
    ],
)
def test_how_our_errors_are_said(code: Code, kind: str, said: str | None) -> None:
    assert rendered(RhetorError("m", code)) == {"message": "m", "type": kind, "param": None, "code": said}


def test_the_field_at_fault_is_named() -> None:
    assert rendered(BadRequest("m", param="messages[0].content"))["param"] == "messages[0].content"


def test_a_status_in_place_of_a_code_is_not_passed_on() -> None:
    """Typed clients expect a word there; what the error means is told by ours."""
    said = {"code": 400, "message": "too long", "type": "exceed_context_size_error", "n_ctx": 9}
    error = UpstreamError("m", Code.CONTEXT_LENGTH, wire="openai", original=said)
    assert rendered(error) == {**said, "param": None, "code": "context_length_exceeded"}


def test_another_languages_error_object_is_not_shown() -> None:
    foreign = UpstreamError("m", wire="anthropic", original={"type": "overloaded_error"})
    assert rendered(foreign)["type"] == "server_error"
