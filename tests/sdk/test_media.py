"""The official `openai` SDK makes pictures, speaks and transcribes, in every way in which it asks."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from rhetor.core.media import Draw, Speak, Transcribe
from rhetor.core.usage import Usage
from rhetor.testing import PNG, SENTENCE, WAV, Seen, Upstream, cuts, draws, fails, raw_frames, speaks
from tests.conftest import Gateway, MakeGateway
from tests.http.media.recordings import media
from tests.sdk.clients import openai_at, with_openai

PICTURE = ("cat.png", PNG, "image/png")
SOUND = ("a.wav", WAV, "audio/wav")


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    return await make_gateway(media(upstream))


@pytest.fixture
async def sdk(gateway: Gateway) -> AsyncIterator[AsyncOpenAI]:
    async with openai_at(gateway) as client:
        yield client


def asked(seen: Seen) -> Any:
    assert seen.heard is not None
    return seen.heard.input


async def test_pictures(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.next(draws(PNG, PNG, usage=Usage(5, 7)))
    reply = await sdk.images.generate(
        model="oai/gpt-image-2",
        prompt="a cat",
        n=2,
        size="1024x1024",
        quality="high",
        background="transparent",
        output_format="png",
        moderation="low",
    )
    assert reply.data is not None
    assert [b64decode(it.b64_json or "") for it in reply.data] == [PNG, PNG]
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (5, 7)
    assert asked(upstream.requests[0]) == Draw(
        prompt="a cat",
        count=2,
        size=(1024, 1024),
        quality="high",
        background="transparent",
        format="image/png",
    )
    assert upstream.requests[0].json["moderation"] == "low"


async def test_addresses(gateway: Gateway, sdk: AsyncOpenAI) -> None:
    reply = await sdk.images.generate(model="oai/gpt-image-2", prompt="a cat", response_format="url")
    assert reply.data is not None
    async with gateway.session.get(reply.data[0].url or "") as fetched:
        assert await fetched.read() == PNG


async def test_pictures_as_they_grow(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    partial = b'data: {"type":"image_generation.partial_image","b64_json":"QQ==","partial_image_index":0}\n\n'
    last = b'data: {"type":"image_generation.completed","b64_json":"QUI=","usage":{"total_tokens":3}}\n\n'
    upstream.next(raw_frames([partial, last]))
    stream = await sdk.images.generate(model="oai/m", prompt="a cat", stream=True, partial_images=1)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert [event.b64_json for event in events] == ["QQ==", "QUI="]


@pytest.mark.parametrize("streamed", [False, True])
async def test_edits(sdk: AsyncOpenAI, upstream: Upstream, streamed: bool) -> None:
    reply: Any = await sdk.images.edit(
        model="oai/gpt-image-2",
        image=[PICTURE, PICTURE],
        mask=PICTURE,
        prompt="a hat",
        n=1,
        stream=streamed,
    )
    if streamed:
        events = [event async for event in reply]
        assert [(event.type, b64decode(event.b64_json)) for event in events] == [
            ("image_edit.completed", PNG)
        ]
    else:
        assert b64decode(reply.data[0].b64_json) == PNG
    heard = asked(upstream.requests[0])
    assert isinstance(heard, Draw)
    assert [it.name for it in heard.images if hasattr(it, "name")] == ["cat.png", "cat.png"]
    assert heard.mask is not None


async def test_speech(sdk: AsyncOpenAI, upstream: Upstream, tmp_path: Path) -> None:
    """Whole, and as it comes, into a file."""
    settings: Any = {
        "model": "oai/tts",
        "voice": "coral",
        "input": "hello",
        "instructions": "whisper",
        "speed": 1.5,
    }
    reply = await sdk.audio.speech.create(response_format="wav", **settings)
    assert (reply.content, reply.response.headers["content-type"]) == (WAV, "audio/wav")
    async with sdk.audio.speech.with_streaming_response.create(**settings) as streamed:
        await streamed.stream_to_file(tmp_path / "hello.mp3")
    assert (tmp_path / "hello.mp3").read_bytes() == WAV
    assert asked(upstream.requests[0]) == Speak(
        text="hello", voice="coral", instructions="whisper", speed=1.5, format="wav"
    )


async def test_speech_in_events(sdk: AsyncOpenAI) -> None:
    create = sdk.audio.speech.with_streaming_response.create
    async with create(model="oai/tts", voice="coral", input="hello", stream_format="sse") as reply:
        lines = [line async for line in reply.iter_lines() if line]
    assert lines[0].startswith('data: {"type":"speech.audio.delta"')
    assert lines[-1].startswith('data: {"type":"speech.audio.done"')


async def test_half_a_speech_is_noticed(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    """It is no success, so the SDK asks again where it may."""
    for retries in (0, 1):
        upstream.next(speaks(b"one", b"two").but(cuts(after=1)))
        asking = sdk.with_options(max_retries=retries).audio.speech.create(
            model="oai/tts", voice="coral", input="hello"
        )
        if retries:
            assert (await asking).content == WAV
        else:
            with pytest.raises(openai.APIConnectionError):
                await asking


async def test_transcripts(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    create = sdk.audio.transcriptions.create
    assert (await create(model="oai/m", file=SOUND)).text == SENTENCE
    assert await create(model="oai/m", file=SOUND, response_format="text") == SENTENCE + "\n"
    assert "00:00:00,000 --> 00:00:02,250" in await create(model="oai/m", file=SOUND, response_format="srt")
    verbose = await create(
        model="oai/m",
        file=SOUND,
        language="en",
        prompt="foxes",
        temperature=0.2,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert (verbose.language, verbose.duration) == ("en", 2.25)
    assert verbose.segments is not None
    assert verbose.words is not None
    assert (verbose.segments[0].text, verbose.words[0].word) == (SENTENCE, "The")
    diarized = await create(
        model="oai/m", file=SOUND, response_format="diarized_json", chunking_strategy="auto"
    )
    assert [(it.speaker, it.text) for it in diarized.segments] == [("A", SENTENCE)]
    heard = asked(upstream.requests[3])
    assert isinstance(heard, Transcribe)
    assert (heard.language, heard.prompt, heard.temperature, heard.words) == ("en", "foxes", 0.2, True)


async def test_transcripts_as_they_come(sdk: AsyncOpenAI) -> None:
    stream = await sdk.audio.transcriptions.create(model="oai/m", file=SOUND, stream=True)
    text, last = "", ""
    async for event in stream:
        if event.type == "transcript.text.delta":
            text += event.delta
        elif event.type == "transcript.text.done":
            last = event.text
    assert (text, last) == (SENTENCE, SENTENCE)


async def test_translations(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    with pytest.deprecated_call():  # as OpenAI has it: its models will be gone
        reply = await sdk.audio.translations.create(model="oai/m", file=SOUND)
    assert reply.text == SENTENCE
    assert upstream.requests[0].path == "/v1/audio/translations"


async def test_refusals(sdk: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.always(fails(429, "take a break", headers={"retry-after": "70"}))
    with pytest.raises(openai.RateLimitError, match="take a break"):
        await sdk.audio.speech.create(model="oai/tts", voice="coral", input="hello")
    with pytest.raises(openai.BadRequestError, match="does not offer text-to-image"):
        await sdk.images.generate(model="ant/m", prompt="p")


async def test_sync(gateway: Gateway) -> None:
    def work(sdk: OpenAI) -> tuple[bytes, str]:
        spoken = sdk.audio.speech.create(model="oai/tts", voice="coral", input="hello").content
        return spoken, sdk.audio.transcriptions.create(model="oai/m", file=SOUND).text

    assert await with_openai(gateway, work) == (WAV, SENTENCE)
