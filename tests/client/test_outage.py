"""The gateway is killed in the middle of everything, and started again."""

from __future__ import annotations

import asyncio

import pytest

import tekton_llm_client as tekton
from rhetor.testing import Upstream, hangs, says
from tekton_llm_client import TektonLLMClient, TektonLLMWebSocketClient, stream
from tekton_llm_client.models import StreamingChunk
from tests.client.conftest import Restart
from tests.client.test_websocket import SMALL, WORDS, Heard
from tests.conftest import settings


async def test_a_stream_ends_in_an_error_and_the_client_goes_on(
    restartable: Restart, upstream: Upstream
) -> None:
    gateway = await restartable(settings(upstream))
    upstream.next(says(WORDS).but(hangs(after=2)))
    async with TektonLLMClient("comp", gateway.url, "oai", "small") as client:
        chunks: list[StreamingChunk] = []
        async for chunk in client.generate_text("q", streaming=True):
            chunks.append(chunk)
            if len(chunks) == 2:
                await gateway.kill()
                await gateway.start()

        *said, last = chunks
        assert [chunk.chunk for chunk in said] == ["one", " two"]
        assert (last.done, last.code, last.provider) == (True, "not_found", "oai")
        assert "started again" in (last.error or "")

        assert (await client.generate_text("q")).content == "hello world"
        again = [chunk async for chunk in client.generate_text("q", streaming=True)]
        assert "".join(chunk.chunk for chunk in again) == "hello world"


async def test_a_gateway_that_stays_away_is_told_soon(
    restartable: Restart, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "RETURN_PAUSES_S", (0.0, 0.01))
    gateway = await restartable(settings(upstream))
    upstream.next(says(WORDS).but(hangs(after=1)))
    async with TektonLLMClient("comp", gateway.url, "oai", "small", max_retries=0) as client:
        chunks = []
        async for chunk in client.generate_text("q", streaming=True):
            chunks.append(chunk)
            await gateway.kill()
        assert (chunks[0].chunk, chunks[-1].done) == ("one", True)
        assert "could not be had again: no gateway at" in (chunks[-1].error or "")
        assert not await client.initialize()
        with pytest.raises(tekton.ConnectionError):
            await client.generate_text("q")


async def test_a_request_waits_for_the_gateway_to_be_back(restartable: Restart, upstream: Upstream) -> None:
    gateway = await restartable(settings(upstream))
    options = {"retry_count": 40, "retry_delay": 1}
    async with TektonLLMClient("comp", gateway.url, "oai", "small") as client:
        await gateway.kill()
        asking = asyncio.get_running_loop().create_task(client.initialize())
        assert not await asking
        (reply, _) = await asyncio.gather(client.generate_text("q", options=options), gateway.start())
    assert reply.content == "hello world"


async def test_the_websocket_is_opened_again(restartable: Restart, upstream: Upstream) -> None:
    gateway = await restartable(settings(upstream))
    upstream.next(says(WORDS).but(hangs(after=2)))
    heard, closed = Heard(), asyncio.Event()
    client = TektonLLMWebSocketClient("comp", gateway.url, on_close=closed.set, reconnect_interval=50)
    async with client:
        await client.stream("q", heard, **SMALL)
        await heard.some(2)
        await gateway.kill()
        await closed.wait()
        await gateway.start()

        *said, last = await heard.all()
        assert [chunk.chunk for chunk in said] == ["one", " two"]
        assert (last.done, last.code) == (True, "not_found")
        assert (await client.generate("q", **SMALL))["content"] == "hello world"
