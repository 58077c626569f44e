"""Vendors themselves, a few words each, with their keys set: `RHETOR_LIVE=1 pytest …/test_live.py`."""

from __future__ import annotations

import os

import pytest

from rhetor.core.capability import Capability
from rhetor.core.events import Event, Medium, fold
from rhetor.core.media import Bytes, Draw, Speak, Transcribe
from rhetor.core.request import Input, Request
from rhetor.providers.provider import Provider
from rhetor.transport.base import Progress
from rhetor.transport.pool import HttpPool
from rhetor.wire.languages import WIRES
from tests.wire.media.calling import ROWS

SILENCE = Bytes(
    "audio/wav",
    b"RIFF\x24\x3e\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80>\x00\x00\x00}\x00\x00\x02\x00\x10\x00"
    b"data\x00>\x00\x00" + bytes(0x3E00),
)
"""Half a second of it, at 16 kHz."""
INPUTS: dict[Capability, Input] = {
    Capability.TEXT_TO_AUDIO: Speak(text="Hello."),
    Capability.AUDIO_TO_TEXT: Transcribe(audio=SILENCE),
    Capability.TEXT_TO_IMAGE: Draw(prompt="a dot"),
}
ADDRESSES = {
    "azure-speech": "https://{}.tts.speech.microsoft.com",
    "azure-transcripts": "https://{}.api.cognitive.microsoft.com",
}
ASKED = [
    ("elevenlabs", "eleven_flash_v2_5", Capability.TEXT_TO_AUDIO),
    ("elevenlabs", "scribe_v2", Capability.AUDIO_TO_TEXT),
    ("deepgram", "aura-2-thalia-en", Capability.TEXT_TO_AUDIO),
    ("deepgram", "nova-3", Capability.AUDIO_TO_TEXT),
    ("azure-speech", "neural", Capability.TEXT_TO_AUDIO),
    ("azure-transcripts", "fast-transcription", Capability.AUDIO_TO_TEXT),
    ("together", "black-forest-labs/FLUX.1-schnell", Capability.TEXT_TO_IMAGE),
    ("together", "hexgrad/Kokoro-82M", Capability.TEXT_TO_AUDIO),
    ("openrouter", "google/gemini-2.5-flash-image", Capability.TEXT_TO_IMAGE),
    ("xai", "grok-imagine-image", Capability.TEXT_TO_IMAGE),
    ("xai", "grok-tts", Capability.TEXT_TO_AUDIO),
    ("xai", "grok-voice-transcribe-2.0", Capability.AUDIO_TO_TEXT),
]

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not os.environ.get("RHETOR_LIVE"), reason="RHETOR_LIVE is not set"),
]


@pytest.mark.parametrize(("row", "model", "capability"), ASKED)
async def test_the_vendor_itself(row: str, model: str, capability: Capability) -> None:
    key = next((key for name in ROWS[row].key_env if (key := os.environ.get(name))), None)
    if key is None:
        pytest.skip(f"set {' or '.join(ROWS[row].key_env)}")
    folded = fold(await _ask(row, model, capability, key))
    assert folded.error is None
    if capability is not Capability.AUDIO_TO_TEXT:
        medium = folded.media[0]
        assert isinstance(medium, Medium)
        assert medium.media_type.startswith(("audio/", "image/"))
        assert len(medium.data) > 100


async def _ask(row: str, model: str, capability: Capability, key: str) -> list[Event]:
    region = os.environ.get("AZURE_SPEECH_REGION", "eastus")
    base_url = ADDRESSES.get(row, ROWS[row].base_url).format(region)
    made = ROWS[row].model_copy(update={"base_url": base_url})
    transport = HttpPool(limit=1, connect_s=10.0)
    provider = Provider(made, WIRES[made.wire], transport, key, also=[WIRES[name] for name in made.also])
    request = Request(id="r", capability=capability, model=model, input=INPUTS[capability])
    prepared = provider.prepare(request, model)
    try:
        response = await transport.open(prepared.call, Progress())
        assert response.status == 200, await response.read(1000)
        decoder = prepared.decoder()
        decoder.begin(response.status, response.headers)
        events = [event async for data in response.chunks() for event in decoder.feed(data).events]
        return [*events, *decoder.close().events]
    finally:
        await transport.close()
