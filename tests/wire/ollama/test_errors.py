"""What Ollama's refusals mean."""

from __future__ import annotations

import orjson
import pytest

from rhetor.core.errors import BadRequest, Code, Retry
from rhetor.wire.ollama import OLLAMA

CASES = [
    (400, '"llama3.1:8b" does not support thinking', Code.UNSUPPORTED),
    (400, "registry.ollama.ai/library/llama3:8b does not support tools", Code.UNSUPPORTED),
    (400, "the input length exceeds the context length", Code.CONTEXT_LENGTH),
    (400, "invalid options: temperature", Code.INVALID_REQUEST),
    (404, "model 'nope' not found", Code.MODEL_NOT_FOUND),
    (429, "too many requests", Code.RATE_LIMITED),
    (500, "model requires more system memory (8.0 GiB) than is available (4.0 GiB)", Code.UNAVAILABLE),
    (500, "llama runner process has terminated", Code.UPSTREAM_ERROR),
    (502, "the cloud model cannot be reached", Code.UNAVAILABLE),
    (503, "server busy, please try again.  maximum pending requests exceeded", Code.OVERLOADED),
    (503, "Server overloaded, please retry shortly (ref: 1)", Code.OVERLOADED),
]


@pytest.mark.parametrize(("status", "text", "code"), CASES)
def test_the_sentence_says_more_than_the_status(status: int, text: str, code: Code) -> None:
    error = OLLAMA.read_error(status, {}, orjson.dumps({"error": text}))

    assert error.code is code
    assert error.message == f"the provider answered {status}: {text}"
    assert (error.wire, error.original) == ("ollama", {"error": text})


def test_a_busy_server_is_left_for_the_next_target() -> None:
    error = OLLAMA.read_error(503, {"retry-after": "2"}, b'{"error":"server busy, please try again."}')

    assert (error.retry, error.retry_after_s) == (Retry.NEXT, 2.0)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_quoted(status: int) -> None:
    error = OLLAMA.read_error(status, {}, b'{"error":"bad key sk-123","signin_url":"https://x/?key=sk-123"}')

    assert error.code is Code.UPSTREAM_AUTH
    assert "sk-123" not in error.message


def test_a_page_is_no_error_object() -> None:
    error = OLLAMA.read_error(502, {}, b"<html><h1>Bad Gateway</h1></html>")

    assert (error.message, error.original) == ("the provider answered 502: Bad Gateway", None)


def test_errors_are_written_as_ollama_writes_them() -> None:
    assert OLLAMA.render_error(BadRequest("no such model"), "req_1") == b'{"error":"no such model"}'
