"""What languages have in common that only providers speak."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Original
from rhetor.wire.base import PLAIN, Upstream
from rhetor.wire.media.vendor import VendorUpstream, VendorWire, split_extra


class Mumble(VendorWire):
    name = "mumble"
    upstream: Mapping[Capability, Upstream] = {}
    codes: Mapping[str, Code] = {"out_of_credit": Code.UPSTREAM_BILLING, "sleepy": Code.OVERLOADED}


MUMBLE = Mumble()


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (400, b'{"message": "no such size"}', Code.INVALID_REQUEST, "no such size"),
        (
            422,
            b'{"detail": [{"loc": ["body", "n"], "msg": "too many"}]}',
            Code.INVALID_REQUEST,
            "body.n: too many",
        ),
        (404, b'{"error": {"message": "gone"}}', Code.MODEL_NOT_FOUND, "gone"),
        (429, b"slow down", Code.RATE_LIMITED, "slow down"),
        (500, b"<html><title>Oh</title><p>no</p></html>", Code.UPSTREAM_ERROR, "Oh no"),
        (503, b"", Code.UNAVAILABLE, "503"),
        (401, b'{"detail": {"status": "out_of_credit", "message": "pay"}}', Code.UPSTREAM_BILLING, "pay"),
        (500, b'{"error": {"type": "internal", "innerError": {"code": "sleepy"}}}', Code.OVERLOADED, "500"),
        (500, b'{"code": 7, "status": ["sleepy"], "error": "sleepy"}', Code.UPSTREAM_ERROR, "sleepy"),
        (500, b'{"a": {"b": {"c": {"d": {"code": "sleepy"}}}}}', Code.UPSTREAM_ERROR, "500"),
        (500, b'[{"code": "sleepy"}]', Code.OVERLOADED, "500"),
        (500, b"7", Code.UPSTREAM_ERROR, "7"),
    ],
)
def test_what_a_refusal_means(status: int, body: bytes, code: Code, message: str) -> None:
    error = MUMBLE.read_error(status, {"retry-after": "3"}, body)
    assert error.code is code
    assert message in error.message
    assert error.retry_after_s == 3.0


def test_the_status_is_the_callers_where_the_mistake_is() -> None:
    assert MUMBLE.read_error(422, {}, b"{}").status == 422
    assert MUMBLE.read_error(500, {}, b"{}").status == 502
    assert MUMBLE.error_status(BadRequest("x")) == 400


def test_what_is_said_of_a_key_is_not_repeated() -> None:
    error = MUMBLE.read_error(401, {}, b'{"message": "bad key sk-1234567890"}')
    assert error.code is Code.UPSTREAM_AUTH
    assert "sk-" not in error.message


def test_nobody_calls_in_such_a_language() -> None:
    assert MUMBLE.doors == {}
    assert MUMBLE.models_path is None
    with pytest.raises(NotImplementedError):
        MUMBLE.render_error(BadRequest("x"), "id")
    with pytest.raises(NotImplementedError):
        MUMBLE.read_models(b"[]")
    with pytest.raises(NotImplementedError):
        VendorUpstream().retarget(Original("mumble", b"{}", {}), "m", PLAIN)


def test_options_that_are_known_and_the_names_of_the_others() -> None:
    assert split_extra({"b": 1, "a": None, "seed": 7}, {"seed"}) == ({"seed": 7}, ["a", "b"])
