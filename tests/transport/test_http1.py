"""Responses out of bytes: what is one, where it ends, and whether another may follow."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.transport.http1 import MAX_FIELDS, MAX_HEAD_BYTES, Fields, Framing

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def fed(*pieces: bytes, is_head: bool = False) -> tuple[Framing, bytes]:
    """The framing after these bytes, and the body that was in them."""
    framing = Framing()
    framing.expect(is_head)
    return framing, b"".join(framing.feed(piece) for piece in pieces)


# A response, its status, its body, and whether another may follow on the connection.
WHOLE = {
    "with a length": (OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello", True),
    "empty": (OK + b"content-length: 0\r\n\r\n", 200, b"", True),
    "chunked": (CHUNKED + b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n", 200, b"hello", True),
    "chunked, with trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n", 200, b"hello", True),
    "chunked, with blanks after sizes": (CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", 200, b"hello", True),
    "lines that end in LF": (b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello", 200, b"hello", True),
    "without a reason": (b"HTTP/1.1 529\r\ncontent-length: 0\r\n\r\n", 529, b"", True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", 304, b"", True),
    "after a 100": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 2\r\n\r\nok", 200, b"ok", True),
    "after two 103": (
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 2 + OK + b"content-length: 2\r\n\r\nok",
        200, b"ok", True,
    ),
    "that offers another protocol": (
        OK + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", True,
    ),
    "that closes": (OK + b"connection: close\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
    "of HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
    "of HTTP/1.0 that stays": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", True,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "status", "body", "reusable"), WHOLE.values(), ids=WHOLE)
@given(cuts=st.sets(st.integers(0, 150)))
def test_any_split_means_the_same(
    data: bytes, status: int, body: bytes, reusable: bool, cuts: set[int]
) -> None:
    marks = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    framing, said = fed(*(data[begin:end] for begin, end in pairwise(marks)))
    assert (framing.status, said, framing.reusable) == (status, body, reusable)
    assert framing.ended
    assert framing.broken is None
    assert "link" not in framing.fields, "what an interim response says is not about the final one"
    assert "x-sum" not in framing.fields


@pytest.mark.parametrize("data", [value[0] for value in WHOLE.values()], ids=WHOLE)
def test_it_has_not_ended_before_its_last_byte(data: bytes) -> None:
    framing, _ = fed(data[:-1])
    assert not framing.ended
    framing.feed_eof()
    assert not framing.ended
    framing.feed(data[-1:])
    assert framing.ended


def test_one_after_the_other() -> None:
    framing = Framing()
    for data, status, body, reusable in WHOLE.values():
        if reusable:
            framing.expect()
            assert (framing.feed(data), framing.status, framing.ended) == (body, status, True)


@pytest.mark.parametrize(
    "encoding",
    [b"", b"content-encoding: identity\r\n", b"content-encoding: \r\n", b"content-encoding: gzip \r\n"],
)
def test_a_body_until_the_end_of_the_connection(encoding: bytes) -> None:
    framing, body = fed(OK + encoding + b"\r\n", b"hel", b"lo")
    assert (body, framing.ended) == (b"hello", False)
    framing.feed_eof()
    assert framing.ended
    assert not framing.reusable


@pytest.mark.parametrize("length", [b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b""])
def test_a_reply_to_head_has_no_body(length: bytes) -> None:
    framing, body = fed(OK + length + b"\r\n", is_head=True)
    assert (framing.status, body, framing.ended) == (200, b"", True)
    assert not framing.reusable, "the parser would take the next head for the body"


BROKEN = {
    "another protocol": b"220 mail.example.org ESMTP\r\n",
    "no header": OK + b"no header\r\n\r\n",
    "two lengths": OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\n",
    "a length and chunks": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
    "a length that is none": OK + b"content-length: five\r\n\r\n",
    "a length beyond numbers": OK + b"content-length: 99999999999999999999999\r\n\r\n",
    "a chunk that is none": CHUNKED + b"xyz\r\n",
    "a chunk longer than it says": CHUNKED + b"2\r\nhello\r\n",
    "a line break in a header": OK + b"x: a\rb\r\ncontent-length: 0\r\n\r\n",
    "NUL in a header": OK + b"x: a\0b\r\ncontent-length: 0\r\n\r\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_not_http(data: bytes) -> None:
    framing, _ = fed(data)
    assert framing.broken == "it is not valid HTTP"
    assert not framing.ended


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "another protocol"),
        (OK + b"content-encoding: br\r\ncontent-length: 5\r\n\r\n", "compressed as 'br'"),
        (OK + b"content-encoding: zstd\r\ncontent-length: 5\r\n\r\n", "compressed as 'zstd'"),
        (OK + b"content-encoding: gzip, br\r\ncontent-length: 5\r\n\r\n", "compressed as 'gzip, br'"),
        (OK + b"transfer-encoding: gzip, chunked\r\n\r\n", "transfer encoding is 'gzip, chunked'"),
        (OK + b"x: y\r\n" * (MAX_FIELDS + 1) + b"\r\n", f"more than {MAX_FIELDS} headers"),
        (CHUNKED + b"0\r\n" + b"x: y\r\n" * MAX_FIELDS + b"\r\n", f"more than {MAX_FIELDS} headers"),
        (OK + b"x: %b\r\n\r\n" % (b"y" * MAX_HEAD_BYTES), "too long"),
    ],
    ids=["101", "brotli", "zstd", "two codings", "transfer", "many headers", "many trailers", "long headers"],
)  # fmt: skip
def test_what_we_do_not_take(data: bytes, why: str) -> None:
    framing, _ = fed(data)
    assert framing.broken is not None
    assert why in framing.broken


def test_headers_that_never_end() -> None:
    framing, _ = fed(OK, *[b"x: %b\r\n" % (b"y" * 1000)] * 70)
    assert framing.broken == "its headers are too long"


def test_a_long_body_in_one_read_is_not_a_long_head() -> None:
    body = b"x" * (2 * MAX_HEAD_BYTES)
    framing, said = fed(OK + b"content-length: %d\r\n\r\n" % len(body) + body)
    assert (said, framing.ended) == (body, True)


def test_what_comes_before_a_fault_is_not_lost() -> None:
    framing, body = fed(CHUNKED + b"5\r\nhello\r\nnonsense\r\n")
    assert body == b"hello"
    assert framing.broken is not None


@pytest.mark.parametrize("surplus", [OK + b"content-length: 5\r\n\r\nother", b"nonsense"])
def test_what_follows_unasked_is_not_read(surplus: bytes) -> None:
    """The reply is good; its connection is not to be trusted with another call."""
    framing, body = fed(OK + b"content-length: 2\r\n\r\nok" + surplus)
    assert (framing.status, body, framing.ended) == (200, b"ok", True)
    assert framing.broken is None
    assert not framing.reusable


@pytest.mark.parametrize(
    ("header", "timeout_s"),
    [(b"timeout=5, max=100", 5.0), (b"max=9, Timeout = 7", 7.0), (b"max=9", None), (b"timeout=soon", None)],
)
def test_how_long_the_server_keeps_the_connection(header: bytes, timeout_s: float | None) -> None:
    framing, _ = fed(OK + b"Keep-Alive: %b\r\ncontent-length: 0\r\n\r\n" % header)
    assert framing.timeout_s == timeout_s


def test_a_server_need_not_say_how_long() -> None:
    framing, _ = fed(OK + b"content-length: 0\r\n\r\n")
    assert framing.timeout_s is None


class TestFields:
    def test_names_have_no_case(self) -> None:
        framing, _ = fed(OK + b"X-Request-Id: 7\r\ncontent-length: 0\r\n\r\n")
        assert framing.fields["x-request-id"] == framing.fields["X-REQUEST-ID"] == "7"
        assert list(framing.fields) == ["x-request-id", "content-length"]
        assert len(framing.fields) == 2

    def test_repeated_ones_are_joined(self) -> None:
        framing, _ = fed(OK + b"vary: a\r\nVary: b\r\ncontent-length: 0\r\n\r\n")
        assert framing.fields["vary"] == "a, b"

    @pytest.mark.parametrize("name", ["missing", "’"])
    def test_what_is_not_there(self, name: str) -> None:
        fields = Fields({"x": "1"})
        assert fields.get(name) is None
        assert name not in fields

    def test_blanks_around_a_value_are_none_of_it(self) -> None:
        framing, _ = fed(OK + b"x:  a b \t \r\ncontent-length: 0\r\n\r\n")
        assert framing.fields["x"] == "a b"

    def test_any_byte_is_text(self) -> None:
        framing, _ = fed(OK + b"x: caf\xe9\r\ncontent-length: 0\r\n\r\n")
        assert framing.fields["x"] == "café"
