"""Streamed replies, against a gateway that follows a script."""

from __future__ import annotations

import asyncio
import gc
import os
import sys

import pytest

import tekton_llm_client as tekton
from tekton_llm_client import TektonLLMClient, stream
from tekton_llm_client.models import StreamingChunk
from tests.client.scripted import REPLY, ScriptedGateway, event, frame, golden

END = {"done": True, "finish_reason": "stop"}
PAUSES_S = (0.0, 0.0)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "RETURN_PAUSES_S", PAUSES_S)


async def read(client: TektonLLMClient, **options: object) -> list[StreamingChunk]:
    return [chunk async for chunk in client.generate_text("q", streaming=True, options=options)]


def text_of(chunks: list[StreamingChunk]) -> str:
    return "".join(chunk.chunk for chunk in chunks)


async def test_a_stream_can_be_iterated_without_await(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(b": ping\n\n", golden("stream.sse"))

    chunks = await read(client)

    assert scripted.requests[0][0].path == "/api/v1/chat/stream"
    assert scripted.body["streaming"] is True
    assert text_of(chunks) == "Hello"
    assert [chunk.done for chunk in chunks] == [False, False, True]
    assert (chunks[-1].finish_reason, chunks[-1].usage) == ("stop", REPLY["usage"])


async def test_a_stream_can_be_awaited_first_and_calls_back(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(golden("stream.sse"))
    heard: list[StreamingChunk] = []
    messages = [{"role": "user", "content": "q"}]

    reply = await client.generate_chat_response(messages, streaming=True, callback=heard.append)
    chunks = [chunk async for chunk in reply]

    assert heard == chunks
    assert text_of(chunks) == "Hello"


async def test_a_callback_may_be_async(scripted: ScriptedGateway, client: TektonLLMClient) -> None:
    scripted.streams(golden("stream.sse"))
    heard: list[str] = []

    async def hear(chunk: StreamingChunk) -> None:
        heard.append(chunk.chunk)

    async for _ in client.generate_chat([{"role": "user", "content": "q"}], streaming=True, callback=hear):
        pass
    assert heard == ["Hel", "lo", ""]


async def test_a_complete_stream_gives_its_connection_back(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(golden("stream.sse"))
    for _ in range(2):
        await read(client)
    assert len({request.transport for request, _ in scripted.requests}) == 1


async def test_a_conversation_is_sent_as_it_was_when_it_was_asked(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(golden("stream.sse"))
    messages = [{"role": "user", "content": "q"}]
    reply = client.generate_chat_response(messages, streaming=True)
    messages.clear()
    async for _ in reply:
        pass
    assert len(scripted.body["messages"]) == 1


async def test_who_is_cancelled_has_left(scripted: ScriptedGateway, client: TektonLLMClient) -> None:
    """Also while the stream is still held: when it is collected, its loop may be closed."""
    scripted.streams(event("tekton:1.1", "Hel"), ending="silence", recorded=True)
    reply = client.generate_text("q", streaming=True)
    assert (await anext(reply)).chunk == "Hel"

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(reply)

    async with asyncio.timeout(5):
        await scripted.ended.wait()
    (last,) = [chunk async for chunk in reply]
    assert (last.done, last.code) == (True, "cancelled")


LEAVES = """
import asyncio, sys
from tekton_llm_client import TektonLLMClient

async def read(client, held):
    async for _ in client.generate_text("q", streaming=True):
        held.set()
        if sys.argv[1] == "break":
            break

async def main():
    held = asyncio.Event()
    task = asyncio.get_running_loop().create_task(read(TektonLLMClient("comp"), held))
    await held.wait()
    if sys.argv[1] == "break":
        await task

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["cancelled", "break"])
async def test_a_program_that_just_ends_lets_the_gateway_hear_of_it(
    scripted: ScriptedGateway, how: str
) -> None:
    """`asyncio.run` cancels what still runs, the farewell too, and waits for it. Nothing is closed there."""
    scripted.streams(event("tekton:1.1", "Hel"), ending="silence", recorded=True)
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LEAVES, how,
        env={"RHETOR_URL": scripted.url, "PATH": os.environ["PATH"]}, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(20):
            assert await program.wait() == 0
    finally:
        if program.returncode is None:
            program.kill()
    assert scripted.ended.is_set()


@pytest.mark.parametrize("leave", ["break", "aclose", "cancel", "shutdown"])
async def test_who_leaves_what_shall_go_on_does_not_end_it(scripted: ScriptedGateway, leave: str) -> None:
    scripted.streams(event("tekton:1.1", "Hel"), ending="silence", recorded=True)
    async with TektonLLMClient("comp", scripted.url) as client:
        reply = client.generate_text("q", streaming=True, options={"detach_s": 60})
        assert (await anext(reply)).chunk == "Hel"
        if leave == "aclose":
            await reply.aclose()
        elif leave == "cancel":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(reply)
        elif leave == "break":
            del reply
            gc.collect()
    async with asyncio.timeout(5):
        await scripted.left.wait()
    assert [request.method for request, _ in scripted.requests] == ["POST"]


@pytest.mark.parametrize("leave", ["break", "aclose", "async with", "cancel"])
async def test_who_leaves_a_stream_stops_it_at_the_gateway(
    scripted: ScriptedGateway, client: TektonLLMClient, leave: str
) -> None:
    scripted.streams(event("tekton:1.1", "Hel"), ending="silence", recorded=True)

    async def read_one() -> None:
        reply = client.generate_text("q", streaming=True)
        if leave == "async with":
            async with reply:
                assert (await anext(reply)).chunk == "Hel"
            return
        async for chunk in reply:
            assert chunk.chunk == "Hel"
            if leave == "cancel":
                continue
            break
        if leave == "aclose":
            await reply.aclose()
            assert scripted.ended.is_set()

    task = asyncio.get_running_loop().create_task(read_one())
    if leave == "cancel":
        while not scripted.requests:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    else:
        await task
    del task
    gc.collect()

    async with asyncio.timeout(5):
        await scripted.left.wait()
        if leave != "cancel":  # which may have come before the first word, when it has no name yet
            await scripted.ended.wait()


async def test_shutdown_waits_until_the_gateway_has_heard(scripted: ScriptedGateway) -> None:
    scripted.streams(event("tekton:1.1", "Hel"), ending="silence", recorded=True)
    async with TektonLLMClient("comp", scripted.url) as client:
        async for _ in client.generate_text("q", streaming=True):
            break
    assert scripted.ended.is_set()


async def test_shutdown_ends_what_is_still_held(scripted: ScriptedGateway) -> None:
    scripted.streams(event("tekton:1.1", "Hel"), ending="silence", recorded=True)
    async with TektonLLMClient("comp", scripted.url) as client:
        reply = client.generate_text("q", streaming=True)
        assert (await anext(reply)).chunk == "Hel"
    assert scripted.ended.is_set()


async def test_whoever_read_to_the_end_ends_nothing(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(event("tekton:1.1", "Hello", **END), recorded=True)
    async with client.generate_text("q", streaming=True) as reply:
        assert [chunk.chunk async for chunk in reply] == ["Hello"]
    assert not scripted.ended.is_set()


async def test_an_error_in_a_stream_is_its_last_chunk(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(golden("stream_failed.sse"))
    assert [(chunk.chunk, chunk.done, chunk.error) for chunk in await read(client)] == [
        ("Hel", False, None),
        ("", True, 'the provider hung up: "bye"\n'),
    ]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [("complete", "in the middle"), ("cut", "in the middle"), ("silence", "nothing for 0.5 s")],
)
async def test_a_stream_that_breaks_off_is_never_mistaken_for_complete(
    scripted: ScriptedGateway, client: TektonLLMClient, ending: str, reason: str
) -> None:
    scripted.streams(frame("Hel"), ending=ending)
    last = (await read(client, timeout=0.5))[-1]
    assert last.done
    assert last.provider == "anthropic"
    assert reason in (last.error or "")


async def test_an_unrecorded_stream_is_never_asked_for_again(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(frame("Hel"), ending="cut", recorded=True)
    await read(client)
    assert [request.method for request, _ in scripted.requests] == ["POST"]
    assert not scripted.ended.is_set()


@pytest.mark.parametrize("ending", ["cut", "complete"])
async def test_a_dropped_connection_is_not_noticed(
    scripted: ScriptedGateway, client: TektonLLMClient, ending: str
) -> None:
    """The rest comes over another connection: nothing is missing, nothing comes twice."""
    half = b'id: tekton:2.1\ndata: {"chunk":"l'
    scripted.streams(event("tekton:1.1", "Hel"), half, ending=ending, recorded=True)
    scripted.says(502, "a proxy without its gateway")
    scripted.streams(event("tekton:2.1", "lo"), ending=ending, recorded=True)
    scripted.streams(event("tekton:3.1", "!", **END), b"id: tekton:3.2\ndata: [DONE]\n\n", recorded=True)

    chunks = await read(client)

    assert [chunk.chunk for chunk in chunks] == ["Hel", "lo", "!"]
    assert (chunks[-1].done, chunks[-1].error) == (True, None)
    _, *returns = scripted.requests
    assert [(request.path, request.headers["last-event-id"]) for request, _ in returns] == [
        ("/v1/generations/gen_1/events", "tekton:1.1"),
        ("/v1/generations/gen_1/events", "tekton:1.1"),
        ("/v1/generations/gen_1/events", "tekton:2.1"),
    ]


async def test_a_generation_that_is_gone_ends_in_an_error(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(event("tekton:1.1", "Hel"), ending="cut", recorded=True)
    scripted.says(404, {"error": "no such generation", "code": "not_found"})

    first, last = await read(client)

    assert first.chunk == "Hel"
    assert (last.done, last.code) == (True, "not_found")
    assert "knows nothing of this reply any more" in (last.error or "")


async def test_a_generation_that_is_gone_before_its_first_word_is_begun_anew(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.streams(b": ping\n\n", ending="cut", recorded=True)
    scripted.says(404, {"error": "no such generation", "code": "not_found"})
    scripted.streams(event("tekton:1.1", "Hello", **END), recorded=True)

    (chunk,) = await read(client)

    assert (chunk.chunk, chunk.error) == ("Hello", None)
    assert [request.method for request, _ in scripted.requests] == ["POST", "GET", "POST"]


async def test_coming_back_has_an_end(scripted: ScriptedGateway, client: TektonLLMClient) -> None:
    scripted.streams(event("tekton:1.1", "Hel"), ending="cut", recorded=True)
    scripted.says(503, {"error": "starting"})
    _, last = await read(client)
    assert "could not be had again: starting" in (last.error or "")
    gets = [request for request, _ in scripted.requests if request.method == "GET"]
    assert len(gets) == len(PAUSES_S)


async def test_a_refusal_before_the_first_chunk_is_raised(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    scripted.says(401, {"error": "wrong token", "code": "unauthenticated"})
    with pytest.raises(tekton.AuthenticationError, match="wrong token"):
        await read(client)


async def test_a_stream_that_nobody_reads_asks_for_nothing(
    scripted: ScriptedGateway, client: TektonLLMClient
) -> None:
    client.generate_text("q", streaming=True)
    assert scripted.requests == []
