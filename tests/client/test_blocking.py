"""The client for code without an event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from pydantic import BaseModel

import tekton_llm_client as tekton
from rhetor.testing import Upstream, hangs, says
from tekton_llm_client import TektonLLMClient
from tekton_llm_client.models import StreamingChunk
from tests.client.cable import Cable
from tests.conftest import Gateway

T = TypeVar("T")


async def in_a_thread(work: Callable[[], T]) -> T:
    """As a program without a loop would do it, and nothing of it is left."""
    before = threading.active_count()
    result = await asyncio.to_thread(work)
    assert threading.active_count() <= before + 1  # the one that `to_thread` keeps
    return result


async def test_a_program_without_a_loop(gateway: Gateway, upstream: Upstream) -> None:
    class Answer(BaseModel):
        yes: bool

    def program() -> None:
        with TektonLLMClient.sync("comp", gateway.url, provider_id="oai", model_id="small") as client:
            assert client.initialize()
            assert client.generate_text("q").content == "hello world"
            messages = [{"role": "user", "content": "q"}]
            assert client.generate_chat_response(messages).content == "hello world"
            assert client.generate_chat(messages, "s").content == "hello world"
            *_, last = client.generate_chat(messages, streaming=True)
            assert last.done

            heard: list[StreamingChunk] = []
            chunks = list(client.generate_text("q", streaming=True, callback=heard.append))
            assert "".join(chunk.chunk for chunk in chunks) == "hello world"
            assert heard == chunks

            assert client.embed("a", model="oai/small").vectors
            assert "oai" in client.get_providers().providers
            upstream.next(says('{"yes": true}'))
            assert client.generate_object("q", Answer).yes
            assert client.model_id == "small"

    await in_a_thread(program)


async def test_an_async_callback_is_seen_through(gateway: Gateway) -> None:
    heard: list[str] = []

    async def hear(chunk: StreamingChunk) -> None:
        heard.append(chunk.chunk)

    def program() -> None:
        with TektonLLMClient.sync("comp", gateway.url, "oai", "small") as client:
            for _ in client.generate_text("q", streaming=True, callback=hear):
                pass

    await in_a_thread(program)
    assert heard == ["hello", " world", ""]


@pytest.mark.parametrize("how", ["break", "close", "with"])
async def test_who_leaves_early_ends_the_call_to_the_provider(
    gateway: Gateway, upstream: Upstream, how: str
) -> None:
    upstream.next(says("one two three").but(hangs(after=1)))

    def program() -> None:
        with TektonLLMClient.sync("comp", gateway.url, "oai", "small") as client:
            stream = client.generate_text("q", streaming=True)
            if how == "with":
                with stream:
                    next(stream)
                return
            for _ in stream:
                break
            if how == "close":
                stream.close()

    await in_a_thread(program)
    await upstream.requests[0].aborted(within_s=5)


async def test_errors_are_the_same(gateway: Gateway) -> None:
    def program() -> None:
        with TektonLLMClient.sync("comp", gateway.url, "nobody", "nothing") as client:
            with pytest.raises(tekton.InvalidRequestError, match="unknown model"):
                client.generate_text("q")
            with pytest.raises(tekton.InvalidRequestError, match="unknown model"):
                next(client.generate_text("q", streaming=True))

    await in_a_thread(program)


async def test_threads_may_share_it_and_shutdown_ends_their_calls(
    gateway: Gateway, upstream: Upstream
) -> None:
    upstream.next(hangs())
    client = TektonLLMClient.sync("comp", gateway.url, "oai", "small")
    waiting = asyncio.get_running_loop().create_task(asyncio.to_thread(client.generate_text, "q"))
    await (await upstream.request()).hanging()
    assert (await asyncio.to_thread(client.generate_text, "q")).content == "hello world"

    await asyncio.to_thread(client.shutdown)

    with pytest.raises(RuntimeError, match="shut down"):
        await waiting


async def test_a_client_can_be_used_again_after_shutdown(gateway: Gateway) -> None:
    def program() -> None:
        client = TektonLLMClient.sync("comp", gateway.url, "oai", "small")
        for _ in range(2):
            with client:
                assert client.generate_text("q").content == "hello world"

    await in_a_thread(program)


async def test_it_waits_within_a_running_loop_too(gateway: Gateway) -> None:
    """Whose thread stands still meanwhile: so the gateway runs in another one."""

    def program() -> None:
        async def main() -> str:
            with TektonLLMClient.sync("comp", gateway.url, "oai", "small") as client:
                return client.generate_text("q").content

        assert asyncio.run(main()) == "hello world"

    await asyncio.to_thread(program)


async def test_threads_that_begin_together_share_one_loop(gateway: Gateway) -> None:
    together = threading.Barrier(8)
    client = TektonLLMClient.sync("comp", gateway.url, "oai", "small", max_retries=0)

    def ask() -> str:
        together.wait()
        return client.generate_text("q").content

    def program() -> None:
        threads = [threading.Thread(target=ask) for _ in range(together.parties)]
        pause_s = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(pause_s)
        assert [thread.name for thread in threading.enumerate()].count("comp client") == 1
        client.shutdown()

    await in_a_thread(program)


FORKS = """
import os
from tekton_llm_client import TektonLLMClient

client = TektonLLMClient.sync("comp")
streams = [client.generate_text("q", streaming=True) for _ in range(2)]
print(next(streams[0]).chunk, flush=True)
if (pid := os.fork()) == 0:
    try:
        print("child", client.generate_text("q").content, flush=True)
        client.shutdown()
        next(streams[0])
    except RuntimeError as error:
        print("child", error, flush=True)
    finally:
        os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
print("parent", "".join(chunk.chunk for chunk in streams[0]), client.generate_text("q").content, flush=True)
client.shutdown()
"""


async def test_a_fork_begins_anew_and_leaves_its_parent_alone(gateway: Gateway) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FORKS,
        env={"RHETOR_URL": gateway.url, "RHETOR_DEFAULT_PROVIDER": "oai", "RHETOR_DEFAULT_MODEL": "small",
             "PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            said, _ = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
    assert said.decode().splitlines() == [
        "hello",
        "child hello world",
        "child this stream belongs to the process that began it",
        "parent  world hello world",
    ]


async def test_a_forgotten_client_leaves_nothing_behind(cable: Cable) -> None:
    def program() -> threading.Thread:
        client = TektonLLMClient.sync("comp", cable.url, "oai", "small")
        assert client.generate_text("q").content == "hello world"
        return next(thread for thread in threading.enumerate() if thread.name == "comp client")

    thread = await asyncio.to_thread(program)
    gc.collect()
    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()
    assert cable.connections == 1


async def test_a_stream_keeps_its_client(gateway: Gateway) -> None:
    def program() -> None:
        stream = TektonLLMClient.sync("comp", gateway.url, "oai", "small").generate_text("q", streaming=True)
        gc.collect()
        assert "".join(chunk.chunk for chunk in stream) == "hello world"

    await asyncio.to_thread(program)


def test_attributes_are_those_of_the_client() -> None:
    client: Any = TektonLLMClient.sync("comp", "http://127.0.0.1:1")
    client.model_id = "m"
    assert client.model_id == "m"
    for slip in ("modl_id", "rhetor_url", "initialize"):
        with pytest.raises(AttributeError):
            setattr(client, slip, "x")


def test_what_needs_a_loop_is_not_offered() -> None:
    client: Any = tekton.Client.sync("comp", "http://127.0.0.1:1")
    with pytest.raises(AttributeError, match="only for code with an event loop"):
        _ = client.list_models
