"""What exceptions of AWS mean."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from rhetor.core.errors import Code
from rhetor.wire.bedrock.errors import error_inside, error_named, read_error


@pytest.mark.parametrize(
    ("status", "name", "text", "code"),
    [
        (400, "ValidationException", "The format of the request is wrong.", Code.INVALID_REQUEST),
        (400, "ValidationException", "Input is too long for requested model.", Code.CONTEXT_LENGTH),
        (400, "ValidationException", "The provided model identifier is invalid.", Code.MODEL_NOT_FOUND),
        (
            400,
            "ValidationException",
            "Invocation of model ID amazon.nova-2-lite-v1:0 with on-demand throughput isn’t supported.",
            Code.MODEL_NOT_FOUND,
        ),
        (
            400,
            "ValidationException",
            "This model doesn't support the temperature field. Remove temperature and try again.",
            Code.INVALID_REQUEST,
        ),
        (400, "ServiceQuotaExceededException", "Too much.", Code.RATE_LIMITED),
        (403, "AccessDeniedException", "You don't have access to the model.", Code.UPSTREAM_AUTH),
        (403, "UnrecognizedClientException", "The security token is invalid.", Code.UPSTREAM_AUTH),
        (403, "InvalidSignatureException", "The Canonical String should have been …", Code.UPSTREAM_AUTH),
        (404, "ResourceNotFoundException", "Could not resolve the model.", Code.MODEL_NOT_FOUND),
        (408, "ModelTimeoutException", "It took too long.", Code.UPSTREAM_ERROR),
        (424, "ModelErrorException", "The model failed.", Code.UPSTREAM_ERROR),
        (429, "ThrottlingException", "Too many tokens, please wait before trying again.", Code.RATE_LIMITED),
        (429, "ModelNotReadyException", "Warming up.", Code.UNAVAILABLE),
        (500, "InternalServerException", "Oh.", Code.UPSTREAM_ERROR),
        (503, "ServiceUnavailableException", "Later.", Code.UNAVAILABLE),
        (418, "TeapotException", "Tea.", Code.INVALID_REQUEST),
    ],
)
def test_names_and_sentences(status: int, name: str, text: str, code: Code) -> None:
    body = orjson.dumps({"message": text})
    headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/"}
    assert read_error(status, headers, body).code is code
    inside = orjson.dumps({"__type": f"com.amazon.coral.service#{name}", "Message": text})
    assert read_error(status, {}, inside).code is code


def test_the_callers_mistake_is_told_with_its_status() -> None:
    error = read_error(400, {"x-amzn-errortype": "ValidationException"}, b'{"message":"No."}')
    assert (error.status, error.message) == (400, "the provider answered 400: No.")


def test_what_should_have_been_signed_is_not_repeated() -> None:
    """It has the token of the session in it."""
    headers = {"x-amzn-errortype": "InvalidSignatureException"}
    error = read_error(403, headers, b'{"message":"x-amz-security-token:IQoJb3JpZ2lu"}')
    assert "IQoJ" not in error.message


def test_when_to_come_back() -> None:
    assert read_error(429, {"retry-after": "3"}, b"{}").retry_after_s == 3.0


def test_a_page_is_read_as_one() -> None:
    error = read_error(503, {}, b"<html><title>Busy</title></html>")
    assert error.code is Code.UNAVAILABLE
    assert "Busy" in error.message


@pytest.mark.parametrize(
    ("name", "said", "code"),
    [
        ("modelStreamErrorException", {"message": "Model Stream Error"}, Code.UPSTREAM_ERROR),
        ("throttlingException", {"message": "Slow down."}, Code.RATE_LIMITED),
        ("validationException", {"message": "Input is too long"}, Code.CONTEXT_LENGTH),
        ("expiredTokenException", {"message": "IQoJb3JpZ2lu"}, Code.UPSTREAM_AUTH),
        ("SomethingNew", None, Code.UPSTREAM_ERROR),
    ],
)
def test_a_failure_in_the_middle(name: str, said: Any, code: Code) -> None:
    error = error_named(name, said)
    assert error.code is code
    assert "IQoJ" not in error.message


def test_an_error_inside_a_reply() -> None:
    error = error_inside({"__type": "ThrottlingException", "message": "Slow down."})
    assert error is not None
    assert error.code is Code.RATE_LIMITED
    assert error_inside({"output": {}}) is None
