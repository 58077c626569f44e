"""The Python client against the real gateway, in a process of its own."""

from __future__ import annotations

import asyncio

import pytest

import tekton_llm_client as tekton
from rhetor.testing import Upstream, fails, hangs, says
from tekton_llm_client import TektonLLMClient
from tests.conftest import MakeProcess, settings


async def test_the_client_and_the_gateway_understand_each_other(
    gateway_process: MakeProcess, upstream: Upstream
) -> None:
    gateway = await gateway_process(settings(upstream))
    upstream.says("Hello from the upstream.")
    async with TektonLLMClient("comp", gateway.url, provider_id="ant", model_id="small") as client:
        assert await client.initialize()

        reply = await client.generate_text("Hello", "Be brief.")
        assert reply.content == "Hello from the upstream."
        assert (reply.provider, reply.finish_reason) == ("ant", "stop")
        assert reply.usage == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}

        chunks = [chunk async for chunk in client.generate_text("Hello", streaming=True)]
        assert "".join(chunk.chunk for chunk in chunks) == "Hello from the upstream."
        assert (chunks[-1].done, chunks[-1].usage) == (True, reply.usage)

        upstream.next(fails(400, "the prompt is no good"))
        with pytest.raises(tekton.InvalidRequestError, match="the prompt is no good"):
            await client.generate_text("Hello")

        upstream.next(says("one two three").but(hangs(after=1)))
        async for chunk in client.generate_text("Hello", streaming=True):
            assert chunk.chunk == "one"
            break
        await upstream.requests[-1].aborted(within_s=5)

        gateway.process.terminate()
        await asyncio.wait_for(gateway.process.wait(), 20)
        assert not await client.initialize()


async def test_a_wrong_token_is_told(gateway_process: MakeProcess, upstream: Upstream) -> None:
    guarded = settings(upstream, server={"tokens": {"comp": "env:COMP_TOKEN"}})
    gateway = await gateway_process(guarded, {"COMP_TOKEN": "s3cret"})
    for token, lets_in in ((None, False), ("wrong", False), ("s3cret", True)):
        async with TektonLLMClient("comp", gateway.url, auth_token=token) as client:
            assert await client.initialize() is lets_in
