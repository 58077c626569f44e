"""The engines in `examples/plugins`, each as its users meet it: added by the command, asked over HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import re
import wave
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI

from tests.engines.conftest import Engines

PATIENCE_S = 60.0
SPOKEN = "go forward ten meters"
OCTETS = b"\x89PNG\r\n\x1a\n"


class Asking:
    """A caller of the gateway."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def generate(self, **body: Any) -> dict[str, Any]:
        async with self.session.post(f"{self.url}/v1/generate", json=body) as reply:
            said: dict[str, Any] = await reply.json()
            return said

    async def events(self, **body: Any) -> list[tuple[str, dict[str, Any]]]:
        async with self.session.post(f"{self.url}/v1/generate", json={**body, "stream": True}) as reply:
            return [event async for event in events_of(reply)]

    async def asset(self, generation: dict[str, Any]) -> bytes:
        assert "assets" in generation, generation
        async with self.session.get(self.url + generation["assets"][0]["url"]) as reply:
            return await reply.read()

    async def get(self, path: str) -> dict[str, Any]:
        async with self.session.get(self.url + path) as reply:
            said: dict[str, Any] = await reply.json()
            return said

    async def models(self, provider: str) -> list[str]:
        return [model["id"] for model in (await self.get(f"/v1/models?provider={provider}"))["data"]]

    async def outcome(self, id: str) -> str:
        """How a trip ended, once it is in the books."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                trips = (await self.get("/api/v1/trips"))["trips"]
                if found := [trip for trip in trips if id in (trip.get("id"), trip.get("trip"))]:
                    return str(found[0]["outcome"])
                await asyncio.sleep(0.01)  # nothing tells us what happens in another process


async def events_of(reply: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    kind = ""
    async for line in reply.content:
        if line.startswith(b"event: "):
            kind = line[7:].decode().strip()
        elif line.startswith(b"data: {"):
            yield kind, json.loads(line[6:])


@pytest.fixture
async def asking(engines: Engines) -> AsyncIterator[Asking]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as session:
        yield Asking(session, engines.url)


def about(wav: bytes) -> tuple[int, int, float]:
    """Channels, samples a second, seconds."""
    with wave.open(io.BytesIO(wav)) as read:
        return read.getnchannels(), read.getframerate(), read.getnframes() / read.getframerate()


@pytest.mark.promise("M34")
async def test_a_newcomer_hears_an_answer(engines: Engines, asking: Asking) -> None:
    """Without a key: it is spoken, lies where it can be fetched, and is heard again."""
    greeting = engines.greeting
    assert "✗" not in greeting
    found = re.search(r"spoken by espeak/en-us: (\S+/v1/assets/\S+)", greeting)
    assert found, greeting
    async with asking.session.get(found[1]) as reply:
        assert reply.content_type == "audio/wav"
        channels, rate_hz, seconds = about(await reply.read())
    assert (channels, rate_hz) == (1, 22_050)
    assert seconds > 1
    assert re.search(r"what pocketsphinx/en-us hears: \w+", greeting), greeting


@pytest.mark.promise("M34", "M36")
@pytest.mark.parametrize(
    ("name", "provider", "model"), [("cowsay", "cowsay", "tux"), ("banner", "banner", "hash")]
)
async def test_added_listed_asked_and_removed(
    engines: Engines, asking: Asking, name: str, provider: str, model: str
) -> None:
    """In Python and in JavaScript; nobody else is disturbed."""
    code, said = engines.rhetor("providers", "add", name)
    assert code == 0, said
    assert f"✓ {name}" in engines.rhetor("providers", "list")[1]
    asked = {"capability": "text-to-text", "model": f"{provider}/{model}", "input": "moo"}
    whole = await asking.generate(**asked)
    assert len(whole["text"].splitlines()) > 3, whole
    assert whole["usage"]["output_tokens"] > 3
    told = await asking.events(**asked)
    pieces = [event["text"] for kind, event in told if kind == "text"]
    assert len(pieces) > 3  # line by line
    assert "".join(pieces).rstrip() == whole["text"].rstrip()
    short = await asking.generate(**asked, options={"max_tokens": 2})
    assert (short["finish_reason"], len(short["text"].rstrip("\n").splitlines())) == ("length", 2)
    empty = await asking.generate(**{**asked, "input": " "})
    assert (empty["code"], "the message is empty" in empty["error"]) == ("invalid_request", True), empty
    code, said = engines.rhetor("providers", "remove", name)
    assert code == 0, said
    assert "unknown model" in str(await asking.generate(**asked))
    assert f" {name} " not in engines.rhetor("providers", "list")[1]


async def test_speech_has_voices_and_streams(asking: Asking) -> None:
    """Slower speech is longer; what streams is the same sound."""
    asked = {"capability": "text-to-audio", "model": "espeak/en-us", "input": "Hello there, everybody."}
    wavs = {}
    for speed in (0.8, 1.6):
        spoken = await asking.generate(**asked, options={"speed": speed, "voice": "f3", "pitch": 70})
        wavs[speed] = await asking.asset(spoken)
        seconds = about(wavs[speed])[2]
        assert spoken["usage"] == {
            **spoken["usage"],
            "characters": 23,
            "audio_ms": pytest.approx(seconds * 1000, abs=2),
        }
    assert about(wavs[0.8])[2] > 1.5 * about(wavs[1.6])[2]
    body = {
        "model": "espeak/en-us",
        "input": "Hello there, everybody.",
        "voice": "f3",
        "speed": 1.6,
        "pitch": 70,
    }
    async with asking.session.post(f"{asking.url}/v1/audio/speech", json=body) as reply:
        assert reply.content_type == "audio/wav"
        assert (await reply.read())[44:] == wavs[1.6][44:]
    health = await asking.get("/v1/providers/health?provider=espeak")
    assert health["data"][0]["status"] == "healthy", health
    async with asyncio.timeout(PATIENCE_S):
        while "espeak/de" not in (models := await asking.models("espeak")):
            await asyncio.sleep(0.05)  # nothing tells us when another process has looked around
    assert len(models) > 100


async def test_a_transcript_has_times(asking: Asking, engines: Engines) -> None:
    spoken = await asking.generate(capability="text-to-audio", model="espeak/en-us", input=SPOKEN)
    heard = await asking.generate(
        capability="audio-to-text",
        model="pocketsphinx/en-us",
        input={"generation": spoken["id"]},
        options={"words": True, "segments": True, "phrases": [SPOKEN, "go backward ten meters", "stop"]},
    )
    assert heard["text"] == SPOKEN
    assert [word["text"] for word in heard["words"]] == SPOKEN.split()
    times = [word["start_s"] for word in heard["words"]]
    assert times == sorted(times)
    assert 0 <= times[0] < heard["words"][-1]["end_s"] <= heard["duration_s"] + 0.1
    assert [segment["text"].strip() for segment in heard["segments"]] == [SPOKEN]
    assert heard["language"] == "en"
    assert heard["usage"]["audio_ms"] == spoken["usage"]["audio_ms"]
    freely = await asking.generate(
        capability="audio-to-text", model="pocketsphinx/en-us", input={"generation": spoken["id"]}
    )
    assert "words" not in freely
    assert len(freely["text"].split()) > 1, freely


async def test_a_picture_is_what_is_written(asking: Asking) -> None:
    """The same words are the same bytes, and it does not pretend to be art."""
    asked = {"capability": "text-to-image", "model": "diagram/auto", "options": {"size": "320x200"}}
    texts = ["Kettle -> Cup: tea\nCup -> Guest", "Sales\ntea: 12\nmilk: -3.5", "Just words, on a card."]
    drawn = [await asking.generate(**asked, input=text) for text in (*texts, texts[0])]
    pictures = [await asking.asset(each) for each in drawn]
    assert [picture[:8] for picture in pictures] == [OCTETS] * 4
    assert {(int.from_bytes(it[16:20]), int.from_bytes(it[20:24])) for it in pictures} == {(320, 200)}
    assert len(set(pictures)) == 3
    assert pictures[0] == pictures[3]
    assert drawn[0]["assets"][0]["revised_prompt"].startswith("drawn as written, by no model")
    async with asking.session.post(
        f"{asking.url}/v1/images/generations",
        json={"model": "diagram/card", "prompt": "Moo", "size": "256x256"},
    ) as reply:
        assert (await reply.json())["data"][0]["b64_json"].startswith("iVBOR")


async def test_a_model_in_a_file_streams_and_counts(asking: Asking) -> None:
    asked = {"capability": "text-to-text", "model": "gguf/gibberish", "input": "hi"}
    options = {"max_tokens": 12, "seed": 3}
    whole = await asking.generate(**asked, options=options)
    assert (whole["finish_reason"], whole["usage"]["output_tokens"]) == ("length", 12), whole
    told = await asking.events(**asked, options=options)
    assert len([kind for kind, _ in told if kind == "text"]) > 3
    assert told[-1][1]["usage"]["output_tokens"] == 12


@pytest.mark.parametrize(
    ("capability", "model", "text"),
    [
        ("text-to-text", "gguf/gibberish", "never ends by itself"),
        ("text-to-audio", "espeak/en-us", "on and on " * 30_000),
    ],
)
async def test_who_leaves_ends_it(asking: Asking, capability: str, model: str, text: str) -> None:
    """And the engine goes on answering others."""
    path, body = "/v1/generate", {"capability": capability, "model": model, "input": text, "stream": True}
    if capability == "text-to-audio":  # sound as it is spoken comes from there
        path, body = "/v1/audio/speech", {"model": model, "input": text, "voice": "alloy"}
    reply = await asking.session.post(asking.url + path, json=body)
    id = reply.headers["x-rhetor-generation-id"]
    await reply.content.readexactly(100)
    reply.close()
    assert await asking.outcome(id) in ("cancelled", "left", "abandoned")
    options = {"max_tokens": 3} if capability == "text-to-text" else {}
    again = await asking.generate(capability=capability, model=model, input="hi", options=options)
    assert again.get("text") or again.get("assets"), again


@pytest.mark.parametrize(
    ("asked", "code", "why"),
    [
        ({"model": "espeak/xx", "input": "hi"}, "model_not_found", "no language 'xx'"),
        (
            {"model": "espeak/en-us", "input": "hi", "options": {"voice": "x"}},
            "invalid_request",
            "no voice 'x'; there",
        ),
        (
            {"model": "espeak/en-us", "input": "hi", "options": {"format": "mp3"}},
            "invalid_request",
            "not mp3",
        ),
        (
            {"model": "pocketsphinx/en-us", "input": {"base64": "AAAA", "media_type": "audio/mpeg"}},
            "invalid_request",
            "this is no WAV file",
        ),
        ({"model": "gguf/none", "input": "hi"}, "model_not_found", "there are gibberish"),
        ({"model": "diagram/bars", "input": "no bar"}, "invalid_request", "each line has to be a bar"),
    ],
)
async def test_what_cannot_be_done_is_said(
    asking: Asking, asked: dict[str, Any], code: str, why: str
) -> None:
    capabilities = {"espeak": "text-to-audio", "pocketsphinx": "audio-to-text", "diagram": "text-to-image"}
    capability = capabilities.get(asked["model"].partition("/")[0], "text-to-text")
    said = await asking.generate(capability=capability, **asked)
    assert said.get("code") == code, said
    assert why in said["error"]


@pytest.mark.promise("M07", "M34")
async def test_spoken_heard_and_summarised(asking: Asking) -> None:
    """The first speaker is not there: another one takes over, and the lineage says who it was."""
    spoken = await asking.generate(capability="text-to-audio", model="voice", input=SPOKEN)
    attempts = [(it["target"], it["outcome"]) for it in spoken["meta"]["attempts"]]
    assert (attempts[0], attempts[-1]) == (("mute/tts", "connect_failed"), ("espeak/en-us", "ok"))
    heard = await asking.generate(
        capability="audio-to-text",
        model="ears",
        input={"generation": spoken["id"]},
        options={"phrases": [SPOKEN]},
    )
    summary = await asking.generate(
        capability="text-to-text", model="summary", input={"generation": heard["id"]}
    )
    assert SPOKEN in summary["text"]
    lineage = await asking.get(f"/v1/generations/{summary['id']}/lineage?depth=5")
    assert lineage["complete"] is True
    steps = [(it["id"], it["provider"], it["capability"]) for it in lineage["generations"]]
    assert steps == [
        (spoken["id"], "espeak", "text-to-audio"),
        (heard["id"], "pocketsphinx", "audio-to-text"),
        (summary["id"], "offline", "text-to-text"),
    ]
    assert lineage["generations"][0]["input"] == SPOKEN


@pytest.mark.promise("M34")
async def test_the_same_with_openais_sdk(asking: Asking) -> None:
    async with AsyncOpenAI(base_url=f"{asking.url}/v1", api_key="none", max_retries=0) as client:
        sound = await client.audio.speech.create(model="voice", voice="alloy", input=SPOKEN)
        wav = await sound.aread()
        heard = await client.audio.transcriptions.create(
            model="ears", file=("said.wav", wav, "audio/wav"), extra_body={"phrases": SPOKEN}
        )
        assert heard.text == SPOKEN
        chat = await client.chat.completions.create(
            model="summary", messages=[{"role": "user", "content": f"Summarise: {heard.text}"}]
        )
    assert SPOKEN in str(chat.choices[0].message.content)
