"""Jelmore's language: its names, and errors that FastAPI's clients can read."""

from __future__ import annotations

import orjson
import pytest

from rhetor.core.errors import BadRequest, Code, UpstreamError
from rhetor.wire.jelmore import JELMORE, UNPROCESSABLE, backend_of, provider_of


def test_its_names_for_backends() -> None:
    assert (backend_of("claude"), backend_of("opencode")) == ("claude_code", "opencode")
    assert (provider_of("claude_code"), provider_of("chat")) == ("claude", "chat")
    assert (backend_of("claude_code"), provider_of("claude")) == ("claude_code", "claude")


@pytest.mark.promise("J30")
def test_an_error_says_which_provider_it_was() -> None:
    error = UpstreamError("it does not start", Code.UNAVAILABLE, origin="claude_code", retry_after_s=2.0)
    assert orjson.loads(JELMORE.render_error(error, "req_1")) == {
        "detail": "it does not start",
        "error": {
            "code": "unavailable",
            "message": "it does not start",
            "provider": "claude",
            "retry_after_s": 2.0,
            "request_id": "req_1",
        },
    }
    assert JELMORE.error_status(error) == 503


@pytest.mark.parametrize(
    ("param", "message", "detail"),
    [
        (
            "config.max_turns",
            "config.max_turns: expected 1 to 10",
            {"loc": ["body", "config", "max_turns"], "type": "value_error"},
        ),
        ("query", "query is missing: expected some text", {"loc": ["body", "query"], "type": "missing"}),
        ("capabilities[1]", "wrong", {"loc": ["body", "capabilities", 1], "type": "value_error"}),
        (None, "the body is not valid JSON", {"loc": ["body"], "type": "value_error"}),
    ],
)
def test_a_body_that_is_wrong_has_its_details(param: str, message: str, detail: dict[str, object]) -> None:
    error = BadRequest(message, status=UNPROCESSABLE, param=param)
    told = orjson.loads(JELMORE.render_error(error, ""))
    assert told["detail"] == [{**detail, "msg": message}]
    assert told["error"]["message"] == message
    assert JELMORE.error_status(error) == 422


@pytest.mark.promise("J29")
def test_a_model_that_is_not_offered_is_not_a_session_that_is_not_found() -> None:
    assert JELMORE.error_status(BadRequest("no", Code.MODEL_NOT_FOUND)) == 400
    assert JELMORE.error_status(BadRequest("no", Code.NOT_FOUND)) == 404
