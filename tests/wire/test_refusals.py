"""What HTTP alone says of a refusal."""

from __future__ import annotations

import pytest

from rhetor.core.errors import Code
from rhetor.wire import refusals


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Code.INVALID_REQUEST),
        (401, Code.UPSTREAM_AUTH),
        (402, Code.UPSTREAM_BILLING),
        (403, Code.UPSTREAM_AUTH),
        (404, Code.MODEL_NOT_FOUND),
        (408, Code.UPSTREAM_ERROR),
        (409, Code.UPSTREAM_ERROR),
        (413, Code.TOO_LARGE),
        (422, Code.INVALID_REQUEST),
        (429, Code.RATE_LIMITED),
        (500, Code.UPSTREAM_ERROR),
        (501, Code.UPSTREAM_ERROR),
        (502, Code.UNAVAILABLE),
        (503, Code.UNAVAILABLE),
        (504, Code.UNAVAILABLE),
        (522, Code.UNAVAILABLE),
        (529, Code.OVERLOADED),
        (302, Code.PROTOCOL),
    ],
)
def test_a_status_says_what_went_wrong(status: int, code: Code) -> None:
    assert refusals.code_of_status(status) is code


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"x-ms-retry-after-ms": "4000"}, 4),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        (
            {"date": "Fri, 20 Nov 2026 10:00:00 GMT", "retry-after": "Fri, 20 Nov 2026 10:01:30 GMT"},
            90,
        ),
        ({"date": "Fri, 20 Nov 2026 10:00:00 GMT", "retry-after": "Fri, 20 Nov 2026 09:00:00 GMT"}, 0),
        ({"date": "Fri, 20 Nov 2026 10:00:00 GMT", "retry-after": "Fri, 20 Nov 2026 10:01:30 -0000"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 10:01:30 GMT"}, None),
    ],
)
def test_patience_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert refusals.retry_after_s(headers) == seconds


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":{"message":"no"}}', "no"),
        (b'{"error":"no"}', "no"),
        (b'{"message":"no","code":3}', "no"),
        (b'{"detail":"no"}', "no"),
        (b'{"detail":[{"loc":["body","n"],"msg":"too big"},{"msg":"b"}]}', "body.n: too big; b"),
        (b'{"detail":["a","b"]}', "a; b"),
        (b'[{"error":{"message":"no"}}]', "no"),
        (b'{"error":{"code":1}}', None),
        (b"{}", None),
    ],
)
def test_the_sentence_is_found_under_every_name(body: bytes, text: str | None) -> None:
    fields = refusals.error_object(body)
    assert fields is not None
    assert refusals.message_of(fields) == text


def test_what_is_no_object_is_not_taken_for_one() -> None:
    for body in (b"", b"[]", b"3", b"<html>", b'["a"]'):
        assert refusals.error_object(body) is None


def test_an_error_page_is_reduced_to_its_words() -> None:
    page = b"<html><head><style>p{color:red}</style><title>502</title></head>\n<!-- x --><p>Bad\n gateway</p>"
    assert refusals.page_text(page) == "502 Bad gateway"


def test_a_long_page_is_cut() -> None:
    assert len(refusals.page_text(b"x" * 10_000)) == refusals.MESSAGE_LIMIT


def test_a_hostile_page_takes_no_time() -> None:
    """Many openings without an end: the patterns stay linear."""
    assert len(refusals.page_text(b"<script><!--" * 20_000)) <= refusals.MESSAGE_LIMIT
