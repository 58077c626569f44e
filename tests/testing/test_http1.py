"""HTTP as the test upstream reads and writes it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.testing.http1 import MAX_HEAD_BYTES, BadHttp, HttpRequest, RequestParser, chunk, head

COUNTED = b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /chat HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n7;name=value\r\n, world\r\n0\r\n\r\n"
)
BARE = b"GET /v1/models HTTP/1.1\r\nConnection: close\r\n\r\n"


def read(data: bytes) -> list[HttpRequest]:
    return RequestParser().feed(data)


def test_reads_a_body_of_known_length() -> None:
    (request,) = read(COUNTED)
    assert (request.method, request.target, request.path) == (
        "POST",
        "/v1/messages?beta=true",
        "/v1/messages",
    )
    assert request.body == b"hello"
    assert request.keep_alive


def test_reads_a_chunked_body() -> None:
    (request,) = read(CHUNKED)
    assert request.body == b"hello, world"


def test_reads_a_request_without_a_body() -> None:
    (request,) = read(BARE)
    assert request.body == b""
    assert not request.keep_alive


@given(st.lists(st.integers(0, len(COUNTED + CHUNKED + BARE)), max_size=8))
def test_any_split_means_the_same(marks: list[int]) -> None:
    data = COUNTED + CHUNKED + BARE
    parser = RequestParser()
    edges = [0, *sorted(marks), len(data)]
    requests = [request for begin, end in pairwise(edges) for request in parser.feed(data[begin:end])]
    assert requests == read(COUNTED) + read(CHUNKED) + read(BARE)


def test_repeated_headers_are_joined() -> None:
    (request,) = read(b"GET / HTTP/1.1\r\nA: one\r\na: two\r\n\r\n")
    assert request.headers["a"] == "one, two"


def test_an_older_caller_gets_one_reply_for_each_connection() -> None:
    (request,) = read(b"GET / HTTP/1.0\r\n\r\n")
    assert not request.keep_alive


@pytest.mark.parametrize(
    "data",
    [
        b"HELLO\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: header\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
        b"GET / HTTP/1.1\r\n" + b"a" * MAX_HEAD_BYTES,
    ],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(BadHttp):
        read(data)


def test_no_data_is_no_chunk() -> None:
    """An empty chunk would end the body."""
    assert chunk(b"") == b""
    assert chunk(b"hello") == b"5\r\nhello\r\n"


def test_statuses_that_no_table_knows_can_be_answered() -> None:
    assert head(529, {"a": "b"}).startswith(b"HTTP/1.1 529 ")
    assert head(200, {"a": "b"}) == b"HTTP/1.1 200 OK\r\na: b\r\n\r\n"
