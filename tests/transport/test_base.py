"""The contract of `transport.base`, which every implementation keeps, against servers that do not."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from rhetor.core.call import Call
from rhetor.core.errors import Code
from rhetor.tasks import spawn
from rhetor.testing import (
    Gate,
    Step,
    Upstream,
    broken_chunked,
    cuts,
    fails,
    gzip,
    hangs,
    headers,
    nowhere,
    raw_frames,
    resets,
    says,
)
from rhetor.transport.base import Phase, Progress, Transport
from tests.transport.conftest import MakeTransport
from tests.transport.contract import (
    ABORT_WITHIN_S,
    SHORT_S,
    ask,
    chat,
    failure,
)
from tests.transport.raw import RawServer


class TestExchange:
    async def test_what_the_call_says_goes_out(self, transport: Transport, upstream: Upstream) -> None:
        """The call's headers, and beside them only what HTTP itself needs."""
        call = chat(upstream.base_url)
        call.headers = {**call.headers, "authorization": "Bearer x", "user-agent": "rhetor/1"}
        await ask(transport, call)
        seen = await upstream.request()
        assert (seen.method, seen.target, seen.body) == ("POST", "/v1/chat/completions", call.body)
        assert seen.headers == {
            **call.headers,
            "host": upstream.base_url.removeprefix("http://"),
            "content-length": str(len(call.body or b"")),
        }

    async def test_a_call_without_a_body(self, transport: Transport, upstream: Upstream) -> None:
        status, body = await ask(transport, Call("GET", f"{upstream.base_url}/v1/models"))
        assert status == 200
        assert [model["id"] for model in orjson.loads(body)["data"]] == ["small", "large"]

    async def test_a_url_goes_out_as_it_is_written(self, transport: Transport, upstream: Upstream) -> None:
        await ask(transport, Call("GET", f"{upstream.base_url}/v1/a%2Fb?after=x%20y&n=1"))
        assert (await upstream.request()).target == "/v1/a%2Fb?after=x%20y&n=1"

    async def test_a_large_body_arrives_whole(self, transport: Transport, upstream: Upstream) -> None:
        call = chat(upstream.base_url, text="x" * 3_000_000)
        assert (await ask(transport, call))[0] == 200
        assert (await upstream.request()).body == call.body

    async def test_header_names_are_found_in_any_case(self, transport: Transport, upstream: Upstream) -> None:
        upstream.next(headers({"X-Request-Id": "7"}))
        response = await transport.open(chat(upstream.base_url), Progress())
        assert response.headers["x-request-id"] == response.headers["X-REQUEST-ID"] == "7"
        response.close()

    async def test_chunks_come_as_they_are_sent(self, transport: Transport, upstream: Upstream) -> None:
        gate = Gate()
        upstream.next(says("one two").but(hangs(gate, after=1)))
        response = await transport.open(chat(upstream.base_url, stream=True), Progress())
        reader = response.chunks()
        first = b""
        while b"one" not in first:
            first += await anext(reader)
        assert b"two" not in first
        gate.open()
        rest = b"".join([data async for data in reader])
        assert b"two" in rest
        assert rest.endswith(b"[DONE]\n\n")
        response.close()

    async def test_the_body_is_cut_off_at_the_limit(self, transport: Transport, upstream: Upstream) -> None:
        upstream.next(raw_frames([b"x" * 5000, b"y" * 5000]))
        response = await transport.open(chat(upstream.base_url), Progress())
        assert await response.read(6000) == b"x" * 5000 + b"y" * 1000
        response.close()

    @pytest.mark.parametrize("stream", [False, True])
    async def test_compressed_replies_are_read(
        self, transport: Transport, upstream: Upstream, stream: bool
    ) -> None:
        upstream.next(says("one two three").but(gzip()))
        response = await transport.open(chat(upstream.base_url, stream), Progress())
        pieces = [data async for data in response.chunks()]
        response.close()
        assert all(pieces), "an empty chunk would look like the end"
        assert b"three" in b"".join(pieces)

    async def test_a_redirect_is_not_followed(self, transport: Transport, upstream: Upstream) -> None:
        """It would carry the key to a stranger."""
        upstream.next(fails(302, headers={"location": f"{upstream.base_url}/elsewhere"}))
        assert (await ask(transport, chat(upstream.base_url)))[0] == 302
        assert len(upstream.requests) == 1

    async def test_cookies_are_not_kept(self, transport: Transport, upstream: Upstream) -> None:
        upstream.next(headers({"set-cookie": "a=b"}))
        await ask(transport, chat(upstream.base_url))
        await ask(transport, chat(upstream.base_url))
        assert "cookie" not in upstream.requests[1].headers


class TestPhases:
    async def test_a_refused_connection(self, transport: Transport) -> None:
        progress = Progress()
        with nowhere.refused() as base_url:
            error = await failure(transport, chat(base_url), progress)
        assert error.code is Code.CONNECT_FAILED
        assert error.message == "cannot connect: Connection refused"
        assert progress.phase is Phase.CONNECTING

    async def test_a_connection_that_nobody_answers(self, make_transport: MakeTransport) -> None:
        progress = Progress()
        with nowhere.unreachable() as base_url:
            error = await failure(make_transport(connect_s=SHORT_S), chat(base_url), progress)
        assert error.code is Code.CONNECT_TIMEOUT
        assert progress.phase is Phase.CONNECTING

    async def test_a_server_that_does_not_answer_the_tls_handshake(
        self, make_transport: MakeTransport
    ) -> None:
        """The handshake belongs to connecting, and to its clock."""
        async with RawServer(b"") as server:
            url = server.base_url.replace("http:", "https:")
            error = await failure(make_transport(connect_s=SHORT_S), chat(url))
        assert error.code is Code.CONNECT_TIMEOUT

    @pytest.mark.parametrize(
        ("step", "code"),
        [
            pytest.param(cuts("request"), Code.CONNECTION_LOST, id="hangs up before headers"),
            pytest.param(resets("request"), Code.CONNECTION_LOST, id="resets before headers"),
            pytest.param(cuts("headers"), Code.CONNECTION_LOST, id="hangs up after headers"),
            pytest.param(resets("headers"), Code.CONNECTION_LOST, id="resets after headers"),
            pytest.param(cuts(1), Code.CONNECTION_LOST, id="hangs up in the body"),
            pytest.param(resets(1), Code.CONNECTION_LOST, id="resets in the body"),
            pytest.param(broken_chunked(0), Code.PROTOCOL, id="bad first chunk"),
            pytest.param(broken_chunked(1), Code.PROTOCOL, id="bad chunk in the body"),
        ],
    )
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
    async def test_a_broken_reply(
        self, make_transport: MakeTransport, upstream: Upstream, step: Step, code: Code, stream: bool
    ) -> None:
        """It says what broke, and takes no slot with it."""
        transport = make_transport(limit=1)
        upstream.next(step)
        assert (await failure(transport, chat(upstream.base_url, stream))).code is code
        assert (await ask(transport, chat(upstream.base_url)))[0] == 200

    @pytest.mark.parametrize("holds", [False, True], ids=["and closes", "and holds"])
    @pytest.mark.parametrize(
        ("reply", "code"),
        [
            pytest.param(b"220 mail.example.org ESMTP\r\n\r\n", Code.PROTOCOL, id="another protocol"),
            pytest.param(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", Code.PROTOCOL, id="no header"),
            pytest.param(
                b"HTTP/1.1 200 OK\r\nx: %b\r\n\r\n" % (b"y" * 70_000), Code.PROTOCOL, id="header too large"
            ),
            pytest.param(
                b"HTTP/1.1 200 OK\r\n%b\r\n" % (b"x: y\r\n" * 2000), Code.PROTOCOL, id="too many headers"
            ),
            pytest.param(
                b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", Code.PROTOCOL, id="negative length"
            ),
            pytest.param(
                b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello",
                Code.PROTOCOL,
                id="not compressed as it says",
            ),
        ],
    )
    async def test_what_is_not_http(
        self, make_transport: MakeTransport, reply: bytes, code: Code, holds: bool
    ) -> None:
        transport = make_transport(limit=1)
        async with RawServer(reply, holds) as server:
            assert (await failure(transport, chat(server.base_url))).code is code
            assert (await failure(transport, chat(server.base_url))).code is code, "the slot is free again"

    async def test_long_headers_are_taken(self, transport: Transport) -> None:
        """Some vendors send long content-security-policy headers."""
        head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: %b\r\n\r\n" % (b"y" * 60_000)
        async with RawServer(head + b"ok") as server:
            assert await ask(transport, chat(server.base_url)) == (200, b"ok")

    async def test_a_body_that_ends_with_the_connection(self, transport: Transport) -> None:
        async with RawServer(b"HTTP/1.1 200 OK\r\n\r\nhello", holds=False) as server:
            assert await ask(transport, chat(server.base_url)) == (200, b"hello")

    async def test_an_interim_response_is_passed_over(self, transport: Transport) -> None:
        interim = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        async with RawServer(interim) as server:
            assert await ask(transport, chat(server.base_url)) == (200, b"ok")

    @pytest.mark.parametrize(
        "url",
        ["http://127.0.0.1:99999/", "http://[::1/", "http:///path", "nonsense", "ftp://127.0.0.1/", ""],
    )
    async def test_an_address_that_is_none(self, transport: Transport, url: str) -> None:
        assert (await failure(transport, Call("GET", url))).code is Code.CONNECT_FAILED

    async def test_a_header_that_cannot_be_sent(self, transport: Transport, upstream: Upstream) -> None:
        """A key file that ends in a newline must not become an error of ours, nor be shown."""
        call = Call("GET", f"{upstream.base_url}/v1/models", {"authorization": "Bearer canary\n"})
        error = await failure(transport, call)
        assert error.code is Code.CONNECT_FAILED
        assert "canary" not in error.message

    async def test_the_phase_of_a_call_that_waits_for_headers(
        self, transport: Transport, upstream: Upstream
    ) -> None:
        upstream.next(hangs())
        progress = Progress()
        opening = spawn(transport.open(chat(upstream.base_url), progress), "open")
        seen = await upstream.request()
        await seen.hanging()
        assert progress.phase is Phase.AWAITING_HEADERS
        opening.cancel()
        await seen.aborted(ABORT_WITHIN_S)
        with pytest.raises(asyncio.CancelledError):
            await opening

    @pytest.mark.parametrize("reused", [False, True], ids=["new connection", "reused connection"])
    async def test_the_phase_of_a_call_that_has_headers(
        self, transport: Transport, upstream: Upstream, reused: bool
    ) -> None:
        if reused:
            await ask(transport, chat(upstream.base_url))
        progress = Progress()
        response = await transport.open(chat(upstream.base_url), progress)
        assert progress.phase is Phase.READING
        response.close()
