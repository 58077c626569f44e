"""The WebSocket client and the gateway understand each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import tekton_llm_client as tekton
from rhetor.testing import Gate, Upstream, calls, fails, hangs, says
from tekton_llm_client import TektonLLMWebSocketClient, frames
from tekton_llm_client.models import StreamingChunk
from tests.client.cable import Cable
from tests.client.conftest import Restart
from tests.conftest import Gateway, MakeGateway, free_port, settings

WORDS = "one two three four five six seven eight"
SMALL: dict[str, Any] = {"provider_id": "oai", "model_id": "small"}


class Heard:
    """A callback that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.chunks: list[StreamingChunk] = []
        self._news = asyncio.Condition()

    async def __call__(self, chunk: StreamingChunk) -> None:
        async with self._news:
            self.chunks.append(chunk)
            self._news.notify_all()

    async def some(self, count: int) -> None:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.chunks) >= count)

    async def all(self) -> list[StreamingChunk]:
        """Every chunk, once the last one is there."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: bool(self.chunks) and self.chunks[-1].done)
        return self.chunks

    @property
    def text(self) -> str:
        return "".join(chunk.chunk for chunk in self.chunks)


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[TektonLLMWebSocketClient]:
    client = TektonLLMWebSocketClient("comp", url, reconnect_interval=50, **more)
    try:
        assert await client.connect()
        yield client
    finally:
        await client.disconnect()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[TektonLLMWebSocketClient]:
    async with connected(gateway.url) as client:
        yield client


async def test_an_answer_is_the_gateways_frame(client: TektonLLMWebSocketClient) -> None:
    reply = await client.generate("q", "ctx", "s", **SMALL)
    assert (reply["type"], reply["content"], reply["context_id"]) == ("RESPONSE", "hello world", "ctx")
    assert (reply["provider"], reply["usage"]["total_tokens"]) == ("oai", 18)

    reply = await client.chat([{"role": "user", "content": "q"}], **SMALL)
    assert reply["content"] == "hello world"


@pytest.mark.parametrize("how", ["generate", "stream", "chat_stream"])
async def test_a_callback_hears_every_chunk(client: TektonLLMWebSocketClient, how: str) -> None:
    heard = Heard()
    if how == "generate":
        request_id = await client.generate("q", callback=heard, **SMALL)
    elif how == "stream":
        request_id = await client.stream("q", heard, **SMALL)
    else:
        request_id = await client.chat_stream([{"role": "user", "content": "q"}], heard, **SMALL)

    *chunks, last = await heard.all()
    assert request_id.startswith("comp_")
    assert [chunk.chunk for chunk in chunks] == ["hello", " world"]
    assert (last.done, last.error, last.provider) == (True, None, "oai")
    assert last.attempts[0].outcome == "ok"
    assert last.generation_id


async def test_many_requests_share_the_connection(client: TektonLLMWebSocketClient) -> None:
    heard = [Heard() for _ in range(20)]
    ids = {await client.stream(str(n), each, **SMALL) for n, each in enumerate(heard)}
    replies = await asyncio.gather(*(client.generate(str(n), **SMALL) for n in range(20)))
    for each in heard:
        await each.all()
    assert len(ids) == 20
    assert {each.text for each in heard} == {"hello world"}
    assert {reply["content"] for reply in replies} == {"hello world"}


async def test_tools_are_passed_on_and_called(client: TektonLLMWebSocketClient, upstream: Upstream) -> None:
    upstream.next(calls(("weather", {"city": "Paris"})))
    heard = Heard()

    def weather(city: str) -> str:
        """The weather in a city."""
        return city

    await client.stream("q", heard, tools=[weather], **SMALL)
    *_, last = await heard.all()
    assert [(call.name, call.parse()) for call in last.tool_calls or ()] == [("weather", {"city": "Paris"})]


async def test_images_make_a_conversation_of_a_prompt(
    client: TektonLLMWebSocketClient, upstream: Upstream
) -> None:
    await client.generate("q", images=["https://example.org/i.png"], **SMALL)
    parts = upstream.requests[0].json["messages"][0]["content"]
    assert parts[1]["image_url"]["url"] == "https://example.org/i.png"


async def test_an_error_is_the_right_exception_and_told(gateway: Gateway, upstream: Upstream) -> None:
    told: list[Exception] = []
    async with connected(gateway.url, on_error=told.append) as client:
        upstream.next(fails(400, "the prompt is no good"))
        with pytest.raises(tekton.InvalidRequestError, match="the prompt is no good") as refused:
            await client.generate("q", **SMALL)
        assert [attempt.outcome for attempt in refused.value.attempts] == ["invalid_request"]
        heard = Heard()
        await client.stream("q", heard, provider_id="nobody")
        (last,) = await heard.all()
    assert (last.done, last.code) == (True, "model_not_found")
    assert "nobody" in (last.error or "")
    assert [type(error) for error in told] == [tekton.InvalidRequestError] * 2


async def test_callbacks_hear_frames_and_the_end(gateway: Gateway) -> None:
    frames: list[str] = []
    closed: list[bool] = []

    async def on_message(frame: dict[str, Any]) -> None:
        frames.append(frame["type"])

    async with connected(gateway.url, on_message=on_message, on_close=lambda: closed.append(True)) as client:
        await client.generate("q", **SMALL)
    assert frames == ["REGISTER_ACK", "RESPONSE"]
    assert closed == [True]


async def test_an_answer_may_be_asked_for_within_a_callback(gateway: Gateway) -> None:
    answers: list[str] = []

    async def on_message(frame: dict[str, Any]) -> None:
        if frame["type"] == "REGISTER_ACK":
            answers.append((await client.generate("q", **SMALL))["content"])
            done.set()

    done = asyncio.Event()
    client = TektonLLMWebSocketClient("comp", gateway.url, on_message=on_message)
    async with client, asyncio.timeout(10):
        await done.wait()
    assert answers == ["hello world"]


async def test_cancel_reaches_the_provider(client: TektonLLMWebSocketClient, upstream: Upstream) -> None:
    upstream.next(says(WORDS).but(hangs(after=1)))
    heard = Heard()
    request_id = await client.stream("q", heard, **SMALL)
    await heard.some(1)

    assert await client.cancel(request_id) is True

    await upstream.requests[-1].aborted(within_s=5)
    assert not await client.cancel(request_id)
    assert not heard.chunks[-1].done


@pytest.mark.parametrize("how", ["timeout", "task"])
async def test_who_stops_waiting_ends_the_call_to_the_provider(
    client: TektonLLMWebSocketClient, upstream: Upstream, how: str
) -> None:
    upstream.next(hangs())
    options = {"timeout": 0.5 if how == "timeout" else 30}
    task = asyncio.get_running_loop().create_task(client.generate("q", options=options, **SMALL))
    await (await upstream.request()).hanging()

    if how == "task":
        task.cancel()
    await asyncio.wait([task])

    assert task.cancelled() or isinstance(task.exception(), tekton.TimeoutError)
    await upstream.requests[-1].aborted(within_s=5)
    assert (await client.generate("q", **SMALL))["content"] == "hello world"


async def test_a_callback_that_fails_ends_its_request_alone(gateway: Gateway, upstream: Upstream) -> None:
    told: list[Exception] = []
    upstream.next(says(WORDS).but(hangs(after=1)))

    def fail(_chunk: StreamingChunk) -> None:
        raise ZeroDivisionError

    async with connected(gateway.url, on_error=told.append) as client:
        await client.stream("q", fail, **SMALL)
        await (await upstream.request()).aborted(within_s=5)
        assert (await client.generate("q", **SMALL))["content"] == "hello world"
    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_a_stream_goes_on_after_a_cut(cable: Cable, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(says(WORDS).but(hangs(gate, after=2)))
    closed = asyncio.Event()
    heard = Heard()
    async with connected(cable.url, on_close=closed.set) as client:
        await client.stream("q", heard, **SMALL)
        await heard.some(2)

        cable.cut()
        await closed.wait()
        gate.open()
        chunks = await heard.all()

    assert heard.text == WORDS
    assert (chunks[-1].done, chunks[-1].error) == (True, None)
    assert len(upstream.requests) == 1
    assert cable.connections == 2


async def test_an_answer_that_the_connection_took_along_is_asked_for_again(
    cable: Cable, upstream: Upstream
) -> None:
    upstream.next(hangs())
    async with connected(cable.url) as client:
        options = {"retry_count": 1, "retry_delay": 10}
        task = asyncio.get_running_loop().create_task(client.generate("q", options=options, **SMALL))
        await (await upstream.request()).hanging()
        cable.cut()
        assert (await task)["content"] == "hello world"
    assert cable.connections == 2


async def test_without_retries_an_answer_that_the_connection_took_along_is_an_error(
    cable: Cable, upstream: Upstream
) -> None:
    upstream.next(hangs())
    async with connected(cable.url) as client:
        options = {"retry_count": 0}
        task = asyncio.get_running_loop().create_task(client.generate("q", options=options, **SMALL))
        await (await upstream.request()).hanging()
        cable.cut()
        with pytest.raises(tekton.ConnectionError, match="lost before the answer"):
            await task
        assert (await client.generate("q", **SMALL))["content"] == "hello world"  # over the next connection


async def test_a_stream_that_is_silent_for_too_long_ends(
    client: TektonLLMWebSocketClient, upstream: Upstream
) -> None:
    upstream.next(says(WORDS).but(hangs(after=2)))
    heard = Heard()
    await client.stream("q", heard, options={"timeout": 0.3}, **SMALL)
    *chunks, last = await heard.all()
    assert len(chunks) == 2
    assert (last.code, last.error) == ("idle_timeout", "nothing was said for 0.3 s")
    await upstream.requests[-1].aborted(within_s=5)


async def test_a_request_that_is_too_large_hurts_nobody_else(cable: Cable, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(says(WORDS).but(hangs(gate, after=2)))
    heard = Heard()
    async with connected(cable.url) as client:
        await client.stream("q", heard, **SMALL)
        await heard.some(2)
        for ask in (client.generate("x" * 1_000_000), client.stream("x" * 1_000_000, Heard())):
            with pytest.raises(tekton.InvalidRequestError, match="over HTTP"):
                await ask
        gate.open()
        await heard.all()
    assert heard.text == WORDS
    assert cable.connections == 1


@pytest.mark.parametrize("how", ["generate", "stream"])
async def test_what_the_gateway_finds_too_large_is_not_sent_again(
    make_gateway: MakeGateway, upstream: Upstream, how: str
) -> None:
    gateway = await make_gateway(settings(upstream, server={"max_frame_kb": 16}))
    closed: list[bool] = []
    async with connected(gateway.url, on_close=lambda: closed.append(True)) as client:
        if how == "generate":
            with pytest.raises(tekton.InvalidRequestError) as refused:
                await client.generate("x" * 20_000, **SMALL)
            assert refused.value.code == "request_too_large"
        else:
            heard = Heard()
            await client.stream("x" * 20_000, heard, **SMALL)
            (last,) = await heard.all()
            assert last.code == "request_too_large"
        assert (await client.generate("q", **SMALL))["content"] == "hello world"
    assert len(closed) == 2


async def test_a_generation_that_is_gone_ends_in_an_error(
    cable: Cable, gateway: Gateway, upstream: Upstream
) -> None:
    upstream.next(says(WORDS).but(hangs(after=2)))
    heard = Heard()
    async with connected(cable.url) as client:
        await client.stream("q", heard, **SMALL)
        await heard.some(2)
        ((id, _),) = gateway.app.house.recordings.listed.items()
        for _ in range(2):  # ended, and forgotten
            async with gateway.session.delete(f"{gateway.url}/v1/generations/{id}") as reply:
                assert reply.status == 200
        cable.cut()
        *_, last = await heard.all()
    assert last.done
    assert last.error


async def test_disconnect_ends_everything(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(says(WORDS).but(hangs(after=1)))
    heard = Heard()
    async with connected(gateway.url) as client:
        await client.stream("q", heard, **SMALL)
        await heard.some(1)
        task = asyncio.get_running_loop().create_task(client.generate("q", **SMALL))
        await (await upstream.request(2)).hanging()
    with pytest.raises(tekton.ConnectionError, match="disconnected"):
        await task
    assert "disconnected" in (heard.chunks[-1].error or "")
    for request in upstream.requests:
        await request.aborted(within_s=5)


async def test_disconnect_may_be_called_by_a_callback(gateway: Gateway) -> None:
    closed = asyncio.Event()

    async def on_message(frame: dict[str, Any]) -> None:
        if frame["type"] == "RESPONSE":
            await client.disconnect()

    client = TektonLLMWebSocketClient("comp", gateway.url, on_message=on_message, on_close=closed.set)
    assert await client.connect()
    await client.generate("q", **SMALL)
    async with asyncio.timeout(10):
        await closed.wait()
    assert not client.connected


async def test_a_client_can_connect_again(gateway: Gateway) -> None:
    client = TektonLLMWebSocketClient("comp", gateway.url)
    for _ in range(2):
        async with client:
            assert client.connected
            assert (await client.generate("q", **SMALL))["content"] == "hello world"
        assert not client.connected


async def test_without_a_connection_a_request_says_so() -> None:
    client = TektonLLMWebSocketClient("comp", "http://127.0.0.1:1")
    with pytest.raises(tekton.ConnectionError, match=r"await connect\(\) first"):
        await client.generate("q")


async def test_a_gateway_that_is_away_is_told_and_waited_for() -> None:
    told: list[Exception] = []
    client = TektonLLMWebSocketClient("comp", f"http://127.0.0.1:{free_port()}", on_error=told.append)
    assert await client.connect() is False
    await client.disconnect()
    assert isinstance(told[0], tekton.ConnectionError)


async def test_a_wrong_token_is_told_and_not_tried_again(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    guarded = settings(upstream, server={"tokens": {"comp": "env:COMP_TOKEN"}})
    gateway = await make_gateway(guarded, {"COMP_TOKEN": "s3cret"})
    told: list[Exception] = []
    client = TektonLLMWebSocketClient("comp", gateway.url, auth_token="wrong", on_error=told.append)
    assert await client.connect() is False
    for ask in (client.generate("q"), client.stream("q", Heard()), client.generate("q")):
        async with asyncio.timeout(2):
            with pytest.raises(tekton.AuthenticationError):
                await ask
    assert [type(error) for error in told] == [tekton.AuthenticationError]
    assert await client.connect() is False  # anew
    await client.disconnect()
    assert [type(error) for error in told] == [tekton.AuthenticationError] * 2

    async with connected(gateway.url, auth_token="s3cret") as client:
        assert (await client.generate("q", **SMALL))["content"] == "hello world"


async def test_who_was_let_in_before_waits_for_its_token_to_be_known_again(
    restartable: Restart, upstream: Upstream, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    gateway = await restartable(settings(upstream, server={"tokens": {"comp": f"file:{token}"}}))
    refused = asyncio.Event()
    back = asyncio.Event()

    def on_error(error: Exception) -> None:
        if isinstance(error, tekton.AuthenticationError):
            refused.set()

    def on_message(frame: dict[str, Any]) -> None:
        if frame["type"] == "REGISTER_ACK" and refused.is_set():
            back.set()

    async with (
        connected(gateway.url, auth_token="s3cret", on_error=on_error, on_message=on_message) as client,
        asyncio.timeout(30),
    ):
        await gateway.kill()
        token.write_text("another")
        await gateway.start()
        await refused.wait()
        with pytest.raises(tekton.AuthenticationError):
            await client.generate("q", **SMALL)

        await gateway.kill()
        token.write_text("s3cret")
        await gateway.start()
        await back.wait()
        assert (await client.generate("q", **SMALL))["content"] == "hello world"


async def test_nobody_waits_for_a_connection_that_was_given_up_before_it_began(gateway: Gateway) -> None:
    client = TektonLLMWebSocketClient("comp", gateway.url)
    task = asyncio.get_running_loop().create_task(client.connect())
    await asyncio.sleep(0)
    await client.disconnect()
    async with asyncio.timeout(5):
        assert await task is False


async def test_a_password_in_the_address_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://name:s3cret@127.0.0.1:{free_port()}"
    told: list[Exception] = []
    socket = TektonLLMWebSocketClient("comp", url, on_error=told.append)
    assert await socket.connect() is False
    with pytest.raises(tekton.ConnectionError) as refused:
        await socket.generate("q", options={"retry_count": 0})
    await socket.disconnect()
    async with tekton.TektonLLMClient("comp", url, auth_token="t", max_retries=0) as client:
        assert await client.initialize() is False
    assert "s3cret" not in f"{told} {refused.value}" + "".join(str(vars(said)) for said in caplog.records)


async def test_a_frame_that_nobody_foresaw_does_not_end_the_keeper(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Exception] = []
    bugs = [ZeroDivisionError()]
    read = frames.read_frame

    def read_frame(data: str | bytes) -> dict[str, Any]:
        frame = read(data)
        if frame["type"] == "RESPONSE" and bugs:
            raise bugs.pop()
        return frame

    monkeypatch.setattr(frames, "read_frame", read_frame)
    async with connected(gateway.url, on_error=told.append) as client:
        options = {"retry_delay": 10}
        assert (await client.generate("q", options=options, **SMALL))["content"] == "hello world"
    assert [type(error) for error in told] == [tekton.AdapterError]
    assert "connection failed" in caplog.text


async def test_its_own_variable_wins_over_every_address(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RHETOR_WS_URL", gateway.url.replace("http", "ws") + "/api/llm/ws")
    async with connected("http://127.0.0.1:1") as client:
        assert (await client.generate("q", **SMALL))["content"] == "hello world"
