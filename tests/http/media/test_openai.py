"""Pictures, speech and transcripts at the OpenAI door, and what becomes of them when a provider fails."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import Any

import aiohttp
import orjson
import pytest

from rhetor.core.media import Bytes, Draw, Transcribe
from rhetor.testing import (
    PNG,
    SENTENCE,
    WAV,
    Gate,
    Step,
    Upstream,
    cuts,
    draws,
    fails,
    hangs,
    raw_frames,
    resets,
    speaks,
    transcribes,
)
from rhetor.wire.multipart import parse_form
from tests.conftest import KEY, Gateway, MakeGateway
from tests.http.media.recordings import DRAWING, SPEECH, form, media

TRANSCRIPTIONS = "/v1/audio/transcriptions"


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    return await make_gateway(media(upstream))


@pytest.fixture
async def other(no_leaks: None) -> Any:
    async with Upstream() as server:
        yield server


@pytest.fixture
async def both(make_gateway: MakeGateway, upstream: Upstream, other: Upstream) -> Gateway:
    return await make_gateway(media(upstream, other))


async def test_a_picture(gateway: Gateway, upstream: Upstream) -> None:
    """The caller's own fields reach the provider, its own bytes the caller; the books know what was made."""
    frame = orjson.dumps({"created": 1, "data": [{"b64_json": "QUJD"}], "new": {"x": 1}})
    upstream.next(raw_frames([frame]))
    body = {**DRAWING, "n": 2, "whatever": {"x": 1}}
    async with gateway.session.post(f"{gateway.url}/v1/images/generations", json=body) as reply:
        assert (reply.status, await reply.read()) == (200, frame)
        assert reply.headers["x-rhetor-served-by"] == "oai/brush"
    assert upstream.requests[0].json == {**body, "model": "brush"}
    assert upstream.requests[0].headers["authorization"] == f"Bearer {KEY}"
    (trip,) = await gateway.booked()
    assert (trip["door"], trip["capability"], trip["outcome"]) == ("openai", "text-to-image", "ok")


async def test_an_address_instead_of_a_picture(gateway: Gateway) -> None:
    """Whoever wants one gets ours, where the provider has none."""
    body = {**DRAWING, "model": "oai/gpt-image-2", "response_format": "url"}
    for prefix in ("", "/api/llm"):
        status, said = await gateway.post(f"{prefix}/v1/images/generations", body)
        (picture,) = said["data"]
        assert (status, picture["url"].startswith(f"{gateway.url}{prefix}/v1/assets/")) == (200, True)
        async with gateway.session.get(picture["url"]) as reply:
            assert (reply.content_type, await reply.read()) == ("image/png", PNG)


async def test_a_providers_own_address_stays(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(raw_frames([b'{"created":1,"data":[{"url":"https://x.test/a.png","revised_prompt":"c"}]}']))
    _, said = await gateway.post("/v1/images/generations", {**DRAWING, "response_format": "url"})
    assert said["data"] == [{"url": "https://x.test/a.png", "revised_prompt": "c"}]


async def test_a_picture_as_it_grows(gateway: Gateway, upstream: Upstream) -> None:
    """What shows how far it is reaches the caller while the provider still draws."""
    gate = Gate()
    partial = b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image"}\n\n'
    last = b'data: {"type":"image_generation.completed","b64_json":"QUJD"}\n\n'
    upstream.next(raw_frames([partial, last]).but(hangs(gate, after=1)))
    async with gateway.session.post(
        f"{gateway.url}/v1/images/generations", json={**DRAWING, "stream": True, "partial_images": 1}
    ) as reply:
        assert await reply.content.readexactly(len(partial)) == partial
        gate.open()
        assert await reply.read() == last


async def test_a_picture_is_changed(gateway: Gateway, upstream: Upstream) -> None:
    given = form(("prompt", "a hat"), ("x", "1"), model="oai/brush", file="image", data=PNG)
    async with gateway.session.post(f"{gateway.url}/v1/images/edits", data=given) as reply:
        assert reply.status == 200
        assert b64decode((await reply.json())["data"][0]["b64_json"]) == PNG
    seen = upstream.requests[0]
    assert seen.heard is not None
    assert isinstance(seen.heard.input, Draw)
    assert seen.heard.input.images == (Bytes("image/png", PNG, "a.png"),)
    assert ("x", "1") in parse_form(seen.body, seen.headers["content-type"])


async def test_speech_is_heard_as_it_is_made(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(speaks(b"one", b"two", media_type="audio/ogg").but(hangs(gate, after=1)))
    async with gateway.session.post(f"{gateway.url}/v1/audio/speech", json=SPEECH) as reply:
        assert (reply.status, reply.content_type) == (200, "audio/ogg")
        assert await reply.content.readexactly(3) == b"one"
        gate.open()
        assert await reply.read() == b"two"
    (trip,) = await gateway.booked()
    assert (trip["capability"], trip["outcome"]) == ("text-to-audio", "ok")


async def test_speech_in_events(gateway: Gateway, upstream: Upstream) -> None:
    body = {**SPEECH, "stream_format": "sse"}
    async with gateway.session.post(f"{gateway.url}/v1/audio/speech", json=body) as reply:
        assert reply.content_type == "text/event-stream"
        frames = [orjson.loads(it.removeprefix(b"data: ")) for it in (await reply.read()).split(b"\n\n")[:-1]]
    assert b"".join(b64decode(it["audio"]) for it in frames[:-1]) == WAV
    assert frames[-1]["type"] == "speech.audio.done"
    assert upstream.requests[0].json["stream_format"] == "sse"


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
@pytest.mark.parametrize("break_off", [cuts(after=2), resets(after=2)], ids=["cut", "reset"])
async def test_half_a_speech_is_no_success(
    both: Gateway, upstream: Upstream, other: Upstream, stream_format: str, break_off: Step
) -> None:
    """Sound has no words for a failure: the connection breaks. Nobody goes on with another one's voice."""
    upstream.next(speaks(b"one", b"two", b"three").but(break_off))
    body = {**SPEECH, "model": "both", "stream_format": stream_format}
    heard = b""
    try:
        async with both.session.post(f"{both.url}/v1/audio/speech", json=body) as reply:
            assert reply.status == 200
            async for data in reply.content.iter_any():
                heard += data
    except aiohttp.ClientPayloadError:
        assert stream_format == "audio"
        assert heard in (b"", b"one", b"onetwo")  # a reset may overtake what was sent before it
    else:
        assert stream_format == "sse"
        assert b"event: error" in heard
        assert b"speech.audio.done" not in heard
    assert other.requests == []
    (trip,) = await both.booked()
    assert trip["outcome"] == "connection_lost"


async def test_half_a_speech_is_no_success_over_http_1_0(gateway: Gateway, upstream: Upstream) -> None:
    """Proxies still ask so; the end of the connection is the end of such a reply, so it has to be a reset."""
    upstream.next(speaks(b"one", b"two").but(cuts(after=1)))
    body = orjson.dumps(SPEECH)
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/audio/speech HTTP/1.0\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionResetError):
            await reader.read()
    writer.close()


@pytest.mark.parametrize("play", [cuts(after=0), fails(503), raw_frames([b"<p>"], content_type="text/html")])
async def test_a_speech_that_never_began_is_spoken_by_another(
    both: Gateway, upstream: Upstream, other: Upstream, play: Step
) -> None:
    upstream.always(play)
    async with both.session.post(f"{both.url}/v1/audio/speech", json={**SPEECH, "model": "both"}) as reply:
        assert (reply.status, await reply.read()) == (200, WAV)
        assert reply.headers["x-rhetor-fallback"] == "true"


@pytest.mark.parametrize(
    ("format", "content_type", "begun"),
    [
        ("json", "application/json", b'{"text":"The quick'),
        ("text", "text/plain", b"The quick"),
        ("srt", "text/plain", b"1\n00:00:00,000 --> "),
        ("vtt", "text/vtt", b"WEBVTT\n\n00:00:00.000 --> "),
        ("verbose_json", "application/json", b'{"task":"transcribe","language":"en"'),
        ("diarized_json", "application/json", b'{"text":'),
    ],
)
async def test_a_transcript(
    gateway: Gateway, upstream: Upstream, format: str, content_type: str, begun: bytes
) -> None:
    given = form(response_format=format)
    async with gateway.session.post(gateway.url + TRANSCRIPTIONS, data=given) as reply:
        assert (reply.status, reply.content_type) == (200, content_type)
        assert (await reply.read()).startswith(begun)
    seen = upstream.requests[0]
    assert seen.heard is not None
    assert isinstance(seen.heard.input, Transcribe)
    assert (seen.heard.model, seen.heard.input.audio) == ("ears", Bytes("audio/wav", WAV, "a.wav"))


async def test_a_translation(gateway: Gateway, upstream: Upstream) -> None:
    async with gateway.session.post(f"{gateway.url}/v1/audio/translations", data=form()) as reply:
        assert (await reply.json())["text"] == SENTENCE
    assert upstream.requests[0].path == "/v1/audio/translations"


async def test_a_transcript_as_it_comes(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(transcribes("one two").but(hangs(gate, after=1)))
    first = b'data: {"type":"transcript.text.delta","delta":"one"}\n\n'
    async with gateway.session.post(gateway.url + TRANSCRIPTIONS, data=form(stream="true")) as reply:
        assert await reply.content.readexactly(len(first)) == first
        gate.open()
        assert b'"type":"transcript.text.done","text":"one two"' in await reply.read()


async def test_half_a_transcript_ends_in_an_error(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(transcribes("one two three").but(cuts(after=2)))
    async with gateway.session.post(gateway.url + TRANSCRIPTIONS, data=form(stream="true")) as reply:
        said = await reply.read()
    assert b"event: error" in said
    assert b"transcript.text.done" not in said


async def test_times_that_one_provider_lacks_another_may_have(
    both: Gateway, upstream: Upstream, other: Upstream
) -> None:
    upstream.next(raw_frames([b'{"text":"hello"}'], content_type="application/json"))
    given = form(model="both", response_format="verbose_json")
    async with both.session.post(both.url + TRANSCRIPTIONS, data=given) as reply:
        assert (await reply.json())["segments"][0]["text"] == SENTENCE
        assert "oai/m;unsupported" in reply.headers["x-rhetor-attempts"]


async def test_times_that_nobody_has(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(raw_frames([b'{"text":"hello"}'], content_type="application/json"))
    given = form(response_format="verbose_json")
    async with gateway.session.post(gateway.url + TRANSCRIPTIONS, data=given) as reply:
        assert reply.status == 400
        error = (await reply.json())["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "unsupported")
    assert "tells no times of segments" in error["message"]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/images/generations", {"model": "oai/m"}, "prompt is missing"),
        ("/v1/images/edits", {"model": "oai/m", "prompt": "p"}, "images is missing"),
        ("/v1/audio/speech", {"model": "oai/m"}, "input is missing"),
        (TRANSCRIPTIONS, {"model": "oai/m"}, "in a form"),
        ("/v1/audio/speech", {"input": "hi"}, "no default for text-to-audio"),
        ("/v1/images/generations", {"model": "ant/m", "prompt": "p"}, "does not offer text-to-image"),
    ],
)
async def test_what_is_refused(gateway: Gateway, path: str, body: Any, words: str) -> None:
    status, said = await gateway.post(path, body)
    assert 400 <= status < 500
    assert words in said["error"]["message"]
    assert said["error"]["type"] == "invalid_request_error"


async def test_a_caller_who_leaves_stops_the_provider(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(speaks(b"one", b"two").but(hangs(after=1)))
    reply = await gateway.session.post(f"{gateway.url}/v1/audio/speech", json=SPEECH)
    assert await reply.content.readexactly(3) == b"one"
    seen = await upstream.request()
    await seen.hanging()
    reply.close()
    await seen.aborted()


async def test_the_same_request_twice_is_one_speech(gateway: Gateway, upstream: Upstream) -> None:
    """With a key, also for sounds: the second caller hears what the first one heard."""
    headers = {"Idempotency-Key": "one"}
    for _ in range(2):
        async with gateway.session.post(
            f"{gateway.url}/v1/audio/speech", json=SPEECH, headers=headers
        ) as reply:
            assert (reply.content_type, await reply.read()) == ("audio/wav", WAV)
    assert len(upstream.requests) == 1


async def test_the_same_form_twice_is_one_transcript(gateway: Gateway, upstream: Upstream) -> None:
    """Whoever sends it again divides its parts by something else."""
    headers = {"Idempotency-Key": "one"}
    upstream.next(transcribes())
    ids = set()
    for _ in range(2):
        async with gateway.session.post(gateway.url + TRANSCRIPTIONS, data=form(), headers=headers) as reply:
            assert (reply.status, (await reply.json())["text"]) == (200, SENTENCE)
            ids.add(reply.headers["x-rhetor-generation-id"])
    assert (len(ids), len(upstream.requests)) == (1, 1)
    other = form(language="de")
    async with gateway.session.post(gateway.url + TRANSCRIPTIONS, data=other, headers=headers) as reply:
        assert reply.status == 409


async def test_what_was_spoken_is_told_again_in_events(gateway: Gateway, upstream: Upstream) -> None:
    """A sound is no text: in events it comes as base64."""
    headers = {"x-rhetor-detach": "60"}
    async with gateway.session.post(f"{gateway.url}/v1/audio/speech", json=SPEECH, headers=headers) as reply:
        assert await reply.read() == WAV
        id = reply.headers["x-rhetor-generation-id"]
    async with gateway.session.get(f"{gateway.url}/v1/generations/{id}/events") as reply:
        frames = [line for line in (await reply.read()).split(b"\n") if line.startswith(b"data: ")]
    told = [orjson.loads(line.removeprefix(b"data: ")) for line in frames]
    assert b"".join(b64decode(it["audio"]) for it in told if "audio" in it) == WAV
    assert told[-1]["type"] == "speech.audio.done"


async def test_pictures_are_drawn_by_whoever_can(both: Gateway, upstream: Upstream, other: Upstream) -> None:
    upstream.always(fails(500))
    other.next(draws(b"ABC"))
    _, said = await both.post("/v1/images/generations", {**DRAWING, "model": "both"})
    assert said["data"][0]["b64_json"] == "QUJD"
