"""Media for scripts: real ones, and what an upstream says by default where no conversation is asked for."""

from __future__ import annotations

import io
import wave
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from rhetor.core.capability import Capability
from rhetor.testing import PNG, SENTENCE, WAV, Upstream, cuts, draws, fails, ranks, speaks, tone, transcribes
from rhetor.testing.media import usual

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
async def sdk(upstream: Upstream) -> AsyncIterator[AsyncOpenAI]:
    http = openai.DefaultAsyncHttpxClient(verify=False)
    async with AsyncOpenAI(
        base_url=f"{upstream.base_url}/v1", api_key="k", max_retries=0, http_client=http
    ) as client:
        yield client


def test_they_are_real() -> None:
    assert PNG.startswith(b"\x89PNG\r\n\x1a\n")
    with wave.open(io.BytesIO(WAV)) as read:
        assert (read.getnchannels(), read.getframerate(), read.getnframes()) == (1, 8000, 800)
    assert len(tone(0.2)) > len(WAV)


@pytest.mark.parametrize("streamed", [False, True])
async def test_pictures(upstream: Upstream, sdk: AsyncOpenAI, streamed: bool) -> None:
    """As many as are asked for, unless the script says which."""
    reply: Any = await sdk.images.generate(model="m", prompt="p", n=2, stream=streamed)
    pictures = [event.b64_json async for event in reply] if streamed else [it.b64_json for it in reply.data]
    assert [b64decode(it) for it in pictures] == [PNG, PNG]
    upstream.next(draws(b"other", media_type="image/webp"))
    reply = await sdk.images.generate(model="m", prompt="p")
    assert (reply.data[0].b64_json, reply.output_format) == ("b3RoZXI=", "webp")


async def test_edits(upstream: Upstream, sdk: AsyncOpenAI) -> None:
    for step, expected in ((draws(b"other", edit=True), "b3RoZXI="), (None, None)):
        upstream.next(*([step] if step is not None else []))
        reply = await sdk.images.edit(model="small", image=("a.png", PNG, "image/png"), prompt="p")
        assert reply.data is not None
        assert reply.data[0].b64_json == (expected or reply.data[0].b64_json)
    assert upstream.requests[0].model == "small"


async def test_speech(upstream: Upstream, sdk: AsyncOpenAI) -> None:
    assert (await sdk.audio.speech.create(model="m", voice="v", input="hi")).content == WAV
    upstream.next(speaks(b"one", b"two", media_type="audio/ogg"))
    reply = await sdk.audio.speech.create(model="m", voice="v", input="hi")
    assert (reply.content, reply.response.headers["content-type"]) == (b"onetwo", "audio/ogg")


async def test_speech_breaks_off_after_so_many_pieces(upstream: Upstream) -> None:
    upstream.next(speaks(b"one", b"two", b"three").but(cuts(after=2)))
    body = {"model": "m", "input": "hi"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{upstream.base_url}/v1/audio/speech", json=body) as reply,
    ):
        assert await reply.content.readexactly(6) == b"onetwo"
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()
    assert upstream.requests[0].sent_events == 2


async def test_transcripts(upstream: Upstream, sdk: AsyncOpenAI) -> None:
    file = ("a.wav", WAV, "audio/wav")
    verbose = await sdk.audio.transcriptions.create(model="m", file=file, response_format="verbose_json")
    assert (verbose.text, verbose.language, verbose.duration) == (SENTENCE, "en", 2.25)
    assert [it.text for it in verbose.segments or ()] == [SENTENCE]
    upstream.next(transcribes("one two", timed=[]))
    with pytest.deprecated_call():  # as OpenAI has it: its models will be gone
        translated = await sdk.audio.translations.create(model="m", file=file)
    assert translated.text == "one two"
    heard = upstream.requests[1].heard
    assert heard is not None
    assert getattr(heard.input, "translate", None) is True


async def test_orders(upstream: Upstream) -> None:
    body = {"model": "m", "query": "q", "documents": ["a", "b"]}
    async with aiohttp.ClientSession() as session:
        for expected in ([0, 1], [1]):
            async with session.post(f"{upstream.base_url}/v2/rerank", json=body) as reply:
                assert [it["index"] for it in (await reply.json())["results"]] == expected
            upstream.next(ranks((1, 0.5)))


async def test_refusals(upstream: Upstream, sdk: AsyncOpenAI) -> None:
    upstream.next(fails(429))
    with pytest.raises(openai.RateLimitError):
        await sdk.audio.speech.create(model="m", voice="v", input="hi")


def test_vectors_are_usual_too() -> None:
    assert usual(Capability.EMBEDDINGS, None, 2).content is not None
