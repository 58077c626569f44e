"""Vendors' voices and ears behind OpenAI's doors: the same trip, fallbacks and books as for conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from rhetor.testing import Upstream, fails, raw_frames
from tests.conftest import Gateway, MakeGateway, settings
from tests.wire.media.test_azure_speech import TRANSCRIPT as AZURE
from tests.wire.media.test_deepgram import TRANSCRIPT as DEEPGRAM
from tests.wire.media.test_elevenlabs import TRANSCRIPT as SCRIBE
from tests.wire.media.test_elevenlabs import VOICES
from tests.wire.media.test_xai import TRANSCRIPT as XAI
from tests.wire.openai.speech import GOLDEN

ALL = (GOLDEN / "models_openrouter_all.json").read_bytes()
SOUND = [b"ID3\x04", b"\xff\xfb\x90", b"\x00\x01"]


@pytest.fixture
async def first(no_leaks: None) -> AsyncIterator[Upstream]:
    async with Upstream(anything=True, served=()) as server:
        yield server


@pytest.fixture
async def second(no_leaks: None) -> AsyncIterator[Upstream]:
    async with Upstream(anything=True, served=()) as server:
        yield server


def vendor(at: Upstream, **said: Any) -> dict[str, Any]:
    return {"base_url": at.base_url, "key": "env:TEST_KEY", **said}


SPEAKING = [
    ("elevenlabs", "elevenlabs/eleven_flash_v2_5", 200),
    ("deepgram", "deepgram/aura-2-thalia-en", 0),
    ("azure-speech", "azure-speech/neural", 75),
    ("xai", "xai/grok-tts", 75),
]
"""Provider, model, and what five characters cost in micro-dollars."""


@pytest.mark.promise("M34")
@pytest.mark.parametrize(("provider", "model", "micros"), SPEAKING)
async def test_a_voice_speaks_when_another_one_does_not(
    make_gateway: MakeGateway, first: Upstream, second: Upstream, provider: str, model: str, micros: int
) -> None:
    first.always(fails(503, body=b"{}"))
    second.always(raw_frames(SOUND, content_type="audio/mpeg"))
    other = "deepgram" if provider != "deepgram" else "elevenlabs"
    gateway = await make_gateway(
        settings(
            providers={other: vendor(first), provider: vendor(second)},
            routes={"voice": {"targets": [_usual(other), model]}},
        )
    )
    body = {"model": "voice", "input": "Hello", "voice": "alloy", "response_format": "mp3"}
    async with gateway.session.post(f"{gateway.url}/v1/audio/speech", json=body) as reply:
        assert reply.status == 200, await reply.text()
        assert reply.content_type == "audio/mpeg"
        assert await reply.read() == b"".join(SOUND)
    assert len(first.requests) == 1
    (trip,) = await gateway.booked()
    assert [(it["target"], it["outcome"]) for it in trip["attempts"]] == [
        (_usual(other), "unavailable"),
        (model, "ok"),
    ]
    if micros:
        assert trip["cost_micros"] == micros


HEARING = [
    ("elevenlabs", "elevenlabs/scribe_v2", SCRIBE, "The first move."),
    ("deepgram", "deepgram/nova-3", DEEPGRAM, "Yep. Life moves pretty fast."),
    ("azure-transcripts", "azure-transcripts/fast-transcription", AZURE, "Good afternoon. Hi there."),
    ("xai", "xai/grok-voice-transcribe-2.0", XAI, "Hi there."),
]


@pytest.mark.promise("M34")
@pytest.mark.parametrize(("provider", "model", "transcript", "text"), HEARING)
async def test_somebody_listens_when_another_one_does_not(
    make_gateway: MakeGateway,
    first: Upstream,
    second: Upstream,
    provider: str,
    model: str,
    transcript: bytes,
    text: str,
) -> None:
    first.always(fails(429, body=b"{}"))
    second.always(raw_frames([transcript], content_type="application/json"))
    other = "deepgram" if provider != "deepgram" else "elevenlabs"
    ears = {"deepgram": "deepgram/nova-3", "elevenlabs": "elevenlabs/scribe_v2"}[other]
    gateway = await make_gateway(
        settings(
            providers={other: vendor(first), provider: vendor(second)},
            routes={"ears": {"targets": [ears, model]}},
        )
    )
    form = aiohttp.FormData()
    form.add_field("model", "ears")
    form.add_field("response_format", "verbose_json")
    form.add_field("timestamp_granularities[]", "word")
    form.add_field("file", b"RIFF....", filename="a.wav", content_type="audio/wav")
    async with gateway.session.post(f"{gateway.url}/v1/audio/transcriptions", data=form) as reply:
        said = await reply.json()
        assert reply.status == 200, said
    assert said["text"] == text
    assert [it["word"] for it in said["words"]] == text.split()
    (trip,) = await gateway.booked()
    assert [(it["target"], it["outcome"]) for it in trip["attempts"]] == [
        (ears, "rate_limited"),
        (model, "ok"),
    ]


@pytest.mark.promise("M25")
async def test_voices_are_listed_with_what_tells_them_apart(
    make_gateway: MakeGateway, first: Upstream
) -> None:
    first.always(raw_frames([VOICES]))
    gateway = await make_gateway(
        settings(providers={"elevenlabs": vendor(first)}, discovery={"enabled": True, "local": False})
    )
    listed = await _listed(gateway)
    cloned = listed["elevenlabs/AAAAAAAAAAAAAAAAAAAA"]
    assert cloned["name"] == "Me"
    assert cloned["capabilities"] == ["text-to-audio"]
    assert cloned["tags"] == ["cloned", "voice"]
    assert "professional" in listed["elevenlabs/BBBBBBBBBBBBBBBBBBBB"]["tags"]
    assert cloned["pricing"]["micros_per_million_characters"] == 80_000_000
    assert not cloned["free"]
    assert "elevenlabs/scribe_v2" in listed


@pytest.mark.promise("M24", "M25")
async def test_one_provider_of_everything_answers_when_nobody_else_does(
    make_gateway: MakeGateway, upstream: Upstream, first: Upstream
) -> None:
    """A picture of the last target's own language, and a list that says what costs nothing."""
    first.always(
        lambda seen: (
            raw_frames([ALL])
            if seen.path == "/models"
            else raw_frames(
                [b'{"created": 1, "data": [{"b64_json": "iVBORw0KGgo=", "media_type": "image/png"}]}']
            )
        )
    )
    upstream.always(fails(503))
    drawing = ["text-to-text", "text-to-image"]
    gateway = await make_gateway(
        settings(
            upstream,
            providers={
                "oai": {**settings(upstream)["providers"]["oai"], "capabilities": drawing},
                "openrouter": vendor(first),
            },
            routes={"draw": {"targets": ["oai/small", "openrouter/bytedance-seed/seedream-4.5"]}},
            discovery={"enabled": True, "local": False},
        )
    )
    status, said = await gateway.post("/v1/images/generations", {"model": "draw", "prompt": "a cat"})
    assert status == 200, said
    assert said["data"][0]["b64_json"] == "iVBORw0KGgo="
    listed = await _listed(gateway)
    assert listed["openrouter/openai/gpt-oss-20b:free"]["free"] is True
    assert listed["openrouter/openai/gpt-4o-mini-tts-2025-12-15"]["capabilities"] == ["text-to-audio"]


async def _listed(gateway: Gateway) -> dict[str, Any]:
    """The models on offer, once everybody has said what there is."""
    await gateway.app.discovered.wait()
    return {model["id"]: model for model in (await gateway.get("/v1/models"))[1]["data"]}


def _usual(provider: str) -> str:
    return next(model for id, model, _ in SPEAKING if id == provider)
