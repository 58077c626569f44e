"""Each step does what it says, seen from a bare socket."""

from __future__ import annotations

import gzip as gzip_format
import zlib
from typing import Any

import orjson
import pytest

from rhetor.core.errors import Code
from rhetor.core.usage import Usage
from rhetor.testing import (
    Gate,
    Outcome,
    Point,
    Step,
    Upstream,
    broken_chunked,
    cuts,
    error_in_200,
    fails,
    garbage,
    gzip,
    hangs,
    headers,
    no_done,
    no_finish_reason,
    raw_frames,
    resets,
    says,
    slow,
    usage_in_last_chunk,
)
from rhetor.testing.edits import GARBAGE
from rhetor.testing.http1 import LAST_CHUNK, NOT_A_CHUNK
from tests.testing.caller import CHAT, Caller, body_of

pytestmark = pytest.mark.usefixtures("no_leaks")

STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
THREE = says("one two three")


async def stream(upstream: Upstream, *steps: Step) -> bytes:
    """The body of the one reply, decoded from its chunks."""
    head, body = await exchange(upstream, STREAM, *steps)
    assert b"transfer-encoding: chunked" in head
    return body_of(body)


async def exchange(upstream: Upstream, body: object, *steps: Step) -> tuple[bytes, bytes]:
    upstream.next(THREE.but(*steps))
    async with Caller(upstream.base_url) as caller:
        caller.ask(body, headers="connection: close\r\n")
        return await caller.head(), await caller.rest()


async def whole(upstream: Upstream, *steps: Step) -> Any:
    """The one reply, parsed."""
    return orjson.loads((await exchange(upstream, CHAT, *steps))[1])


async def test_says_streams_word_by_word(upstream: Upstream) -> None:
    body = await stream(upstream)
    assert [word in body for word in (b'"one"', b'" two"', b'" three"')] == [True] * 3
    assert body.endswith(b"data: [DONE]\n\n")


async def test_says_answers_in_one_piece(upstream: Upstream) -> None:
    reply = await whole(upstream)
    assert reply["choices"][0]["message"]["content"] == "one two three"
    assert reply["model"] == "small"


async def test_says_may_name_another_model(upstream: Upstream) -> None:
    assert (await whole(upstream, says("hi", model="small-2")))["model"] == "small-2"


async def test_says_reports_the_usage_it_is_given(upstream: Upstream) -> None:
    reply = await whole(upstream, says("hi", usage=Usage(100, 20)))
    assert (reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]) == (100, 20)


@pytest.mark.parametrize("stream", [True, False])
async def test_fails_refuses_in_the_language_it_was_asked_in(upstream: Upstream, stream: bool) -> None:
    step = fails(429, "slow down", headers={"retry-after": "2"})
    head, body = await exchange(upstream, {**CHAT, "stream": stream}, step)
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nretry-after: 2\r\n" in head
    assert orjson.loads(body)["error"]["message"] == "slow down"


async def test_fails_says_more_than_the_status(upstream: Upstream) -> None:
    _, body = await exchange(upstream, CHAT, fails(400, code=Code.CONTEXT_LENGTH))
    assert orjson.loads(body)["error"]["code"] == "context_length_exceeded"


async def test_fails_with_a_body_of_its_own(upstream: Upstream) -> None:
    head, body = await exchange(upstream, CHAT, fails(502, body=b"<html>Bad Gateway"))
    assert head.startswith(b"HTTP/1.1 502 ")
    assert body == b"<html>Bad Gateway"


@pytest.mark.parametrize("stream", [True, False])
async def test_resets_before_it_answers(upstream: Upstream, stream: bool) -> None:
    upstream.next(resets())
    async with Caller(upstream.base_url) as caller:
        caller.ask({**CHAT, "stream": stream})
        with pytest.raises(ConnectionResetError):
            await caller.rest()
    assert upstream.requests[0].outcome is Outcome.BROKEN


async def test_cuts_before_it_answers(upstream: Upstream) -> None:
    upstream.next(cuts(after="request"))
    async with Caller(upstream.base_url) as caller:
        caller.ask(CHAT)
        assert await caller.rest() == b""


async def test_cuts_between_headers_and_body(upstream: Upstream) -> None:
    for body in (STREAM, CHAT):
        head, rest = await exchange(upstream, body, cuts(after="headers"))
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert rest == b""


async def test_cuts_a_stream_after_a_word(upstream: Upstream) -> None:
    _, body = await exchange(upstream, STREAM, cuts(after=2))
    assert b"two" in body
    assert b"three" not in body
    assert not body.endswith(LAST_CHUNK)
    assert upstream.requests[0].sent_events == 2


async def test_cuts_a_whole_reply_in_the_middle_of_its_body(upstream: Upstream) -> None:
    head, body = await exchange(upstream, CHAT, cuts(after="half"))
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert 0 < len(body) < length


async def test_cuts_clean_as_http_goes(upstream: Upstream) -> None:
    body = await stream(upstream, cuts(after=2, clean=True))
    assert b"two" in body
    assert b"three" not in body
    head, half = await exchange(upstream, CHAT, cuts(clean=True))
    assert b"content-length: %d\r\n" % len(half) in head
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(half)


async def test_resets_after_a_word(upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(THREE.but(hangs(gate, after=1), resets(after=1)))
    async with Caller(upstream.base_url) as caller:
        caller.ask(STREAM)
        await caller.read(b"one")
        gate.open()
        with pytest.raises(ConnectionResetError):
            await caller.rest()


POINTS: list[tuple[Point, bytes]] = [
    ("headers", b"\r\n\r\n"),
    (0, b"\r\n\r\n"),
    (1, b'"one"'),
    (3, b'" three"'),
]


@pytest.mark.parametrize(("point", "last"), POINTS)
async def test_hangs_until_the_gate_opens(upstream: Upstream, point: Point, last: bytes) -> None:
    gate = Gate()
    upstream.next(THREE.but(hangs(gate, after=point)))
    async with Caller(upstream.base_url) as caller:
        caller.ask(STREAM)
        await caller.read(last)
        await gate.reached()
        seen = await upstream.request()
        assert seen.outcome is None
        gate.open()
        await caller.read(b"[DONE]")
        assert await seen.ended() is Outcome.COMPLETED


async def test_hangs_before_anything_was_said(upstream: Upstream) -> None:
    upstream.next(hangs())
    async with Caller(upstream.base_url) as caller:
        caller.ask(CHAT)
        await (await upstream.request()).hanging()
        caller.reader.feed_eof()
        assert await caller.rest() == b""


async def test_one_gate_holds_many_replies(upstream: Upstream) -> None:
    gate = Gate()
    upstream.always(hangs(gate, after=1))
    async with Caller(upstream.base_url) as one, Caller(upstream.base_url) as other:
        one.ask(STREAM)
        other.ask(STREAM)
        await gate.reached(2)
        gate.open()
        await one.read(b"[DONE]")
        await other.read(b"[DONE]")


async def test_slow_takes_real_time(upstream: Upstream) -> None:
    upstream.next(THREE.but(slow(first_event_s=0.02, gap_s=0.01)))
    async with Caller(upstream.base_url) as caller:
        caller.ask(STREAM)
        await caller.head()
        await (await upstream.request()).hanging()
        await caller.read(b"[DONE]")


async def test_broken_chunked_is_no_chunk(upstream: Upstream) -> None:
    for body in (STREAM, CHAT):
        head, rest = await exchange(upstream, body, broken_chunked(after=2))
        assert b"transfer-encoding: chunked" in head
        assert rest.endswith(b"\r\n" + NOT_A_CHUNK)


async def test_error_in_200_sends_the_error_inside_the_stream(upstream: Upstream) -> None:
    body = await stream(upstream, error_in_200(Code.OVERLOADED, "too busy", after=2))
    assert body.index(b"two") < body.index(b"too busy")
    assert b"three" not in body


async def test_error_in_200_is_the_whole_reply(upstream: Upstream) -> None:
    reply = await whole(upstream, error_in_200(message="too busy"))
    assert reply["error"]["message"] == "too busy"


async def test_garbage_is_one_more_event(upstream: Upstream) -> None:
    body = await stream(upstream, garbage(at=2))
    assert body.index(b'"one"') < body.index(GARBAGE + b"\n\n") < body.index(b'" two"')
    assert body.endswith(b"[DONE]\n\n")


async def test_garbage_is_the_whole_reply(upstream: Upstream) -> None:
    assert (await exchange(upstream, CHAT, garbage()))[1] == GARBAGE


async def test_no_done_ends_without_the_last_frame(upstream: Upstream) -> None:
    body = await stream(upstream, no_done())
    assert b"[DONE]" not in body
    assert b'"finish_reason":"stop"' in body


async def test_no_finish_reason_never_says_why(upstream: Upstream) -> None:
    assert b'"stop"' not in await stream(upstream, no_finish_reason())
    assert (await whole(upstream, no_finish_reason()))["choices"][0]["finish_reason"] is None


async def test_usage_in_last_chunk_needs_no_chunk_of_its_own(upstream: Upstream) -> None:
    assert b'"choices":[]' in await stream(upstream)
    body = await stream(upstream, usage_in_last_chunk())
    assert b'"choices":[]' not in body
    last = orjson.loads(body.split(b"\n\n")[-3].removeprefix(b"data: "))
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["prompt_tokens"] == 11


async def test_gzip_compresses_a_whole_reply(upstream: Upstream) -> None:
    head, body = await exchange(upstream, CHAT, gzip())
    assert b"content-encoding: gzip" in head
    assert b"one two three" in gzip_format.decompress(body)


async def test_gzip_keeps_a_stream_a_stream(upstream: Upstream) -> None:
    """Each word can be decompressed when it is there, not only at the end."""
    gate = Gate()
    upstream.next(THREE.but(gzip(), hangs(gate, after=1)))
    async with Caller(upstream.base_url) as caller:
        caller.ask(STREAM, headers="connection: close\r\n")
        await caller.head()
        squeezed = zlib.decompressobj(wbits=31)
        said = b""
        while b"one" not in said:
            size = int(await caller.read(b"\r\n"), 16)
            said += squeezed.decompress(await caller.reader.readexactly(size))
            await caller.read(b"\r\n")
        gate.open()
        said += squeezed.decompress(body_of(await caller.rest()))
    assert said.endswith(b"[DONE]\n\n")


async def test_headers_are_added(upstream: Upstream) -> None:
    head, _ = await exchange(upstream, CHAT, headers({"x-request-id": "abc"}))
    assert b"\r\nx-request-id: abc\r\n" in head


async def test_raw_frames_are_sent_as_they_are(upstream: Upstream) -> None:
    frames = [b'data: {"recorded": 1}\n\n', b"data: [DONE]\n\n"]
    assert await stream(upstream, raw_frames(frames)) == b"".join(frames)
    assert (await exchange(upstream, CHAT, raw_frames([b'{"a":', b"1}"])))[1] == b'{"a":1}'


async def test_raw_frames_can_be_cut_like_all_others(upstream: Upstream) -> None:
    _, body = await exchange(upstream, STREAM, raw_frames([b"one\n\n", b"two\n\n"]), cuts(after=1))
    assert body == b"5\r\none\n\n\r\n"
