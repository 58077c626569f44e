"""Providers of media as rows: which language says what, what it costs, and what costs nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from rhetor.core.capability import Capability
from rhetor.core.media import Bytes, Draw, Speak, Transcribe
from rhetor.core.request import Input, Request
from rhetor.core.usage import Price, Usage
from rhetor.providers.builtin import load_builtin
from rhetor.providers.models import Catalogue, Dollars, load_catalogue, merge
from rhetor.providers.offline import OfflineTransport
from rhetor.providers.provider import Provider
from rhetor.providers.spec import ProviderRow
from rhetor.wire.base import ModelEntry
from rhetor.wire.languages import WIRES

ROWS = load_builtin()
INPUTS: dict[Capability, Input] = {
    Capability.TEXT_TO_IMAGE: Draw(prompt="a cat"),
    Capability.TEXT_TO_AUDIO: Speak(text="Hello"),
    Capability.AUDIO_TO_TEXT: Transcribe(audio=Bytes("audio/wav", b"RIFF")),
}


class Noon:
    def monotonic_s(self) -> float:
        return 0.0

    def utc(self) -> datetime:
        return datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(ROWS.values(), Noon())


def provider(row: ProviderRow) -> Provider:
    also = [WIRES[name] for name in row.also]
    return Provider(row, WIRES[row.wire], OfflineTransport(), "key", also=also)


@pytest.mark.promise("M09")
@pytest.mark.parametrize(
    ("row", "capability", "wire", "path"),
    [
        ("together", Capability.TEXT_TO_IMAGE, "together", "/v1/images/generations"),
        ("together", Capability.TEXT_TO_AUDIO, "together", "/v1/audio/speech"),
        ("openrouter", Capability.TEXT_TO_IMAGE, "openrouter", "/api/v1/images"),
        ("xai", Capability.TEXT_TO_IMAGE, "xai", "/v1/images/generations"),
        ("xai", Capability.TEXT_TO_AUDIO, "xai", "/v1/tts"),
        ("xai", Capability.AUDIO_TO_TEXT, "xai", "/v1/stt"),
        ("elevenlabs", Capability.AUDIO_TO_TEXT, "elevenlabs", "/v1/speech-to-text"),
    ],
)
def test_what_a_provider_says_otherwise_is_said_in_its_own_language(
    row: str, capability: Capability, wire: str, path: str
) -> None:
    """Also when a caller speaks the language that the provider speaks otherwise."""
    request = Request(id="r", capability=capability, model="m", input=INPUTS[capability])
    prepared = provider(ROWS[row]).prepare(request, "m")
    assert prepared.wire.name == wire
    assert prepared.call.url.partition("?")[0].endswith(path)


def test_a_list_is_asked_for_whole() -> None:
    call = provider(ROWS["openrouter"]).models_call()
    assert call is not None
    assert call.url == "https://openrouter.ai/api/v1/models?output_modalities=all"


COSTS: list[tuple[str, str, Usage, Decimal]] = [
    ("openai", "tts-1", Usage(characters=1_000), Decimal("0.015")),
    ("openai", "tts-1-hd", Usage(characters=1_000), Decimal("0.03")),
    ("openai", "whisper-1", Usage(audio_ms=60_000), Decimal("0.006")),
    ("elevenlabs", "eleven_multilingual_v2", Usage(characters=1_000), Decimal("0.08")),
    ("elevenlabs", "eleven_flash_v2_5", Usage(characters=1_000), Decimal("0.04")),
    ("elevenlabs", "21m00Tcm4TlvDq8ikWAM", Usage(characters=1_000), Decimal("0.08")),
    ("elevenlabs", "scribe_v2", Usage(audio_ms=3_600_000), Decimal("0.21996")),
    ("deepgram", "nova-3", Usage(audio_ms=17_566), Decimal("0.001259")),
    ("deepgram", "nova-3-general", Usage(audio_ms=60_000), Decimal("0.0043")),
    ("groq", "whisper-large-v3", Usage(audio_ms=3_600_000), Decimal("0.111")),
    ("xai", "grok-imagine-image", Usage(images=3), Decimal("0.06")),
    ("xai", "grok-imagine-image-quality-latest", Usage(images=1), Decimal("0.05")),
    ("xai", "grok-imagine-image-2.0", Usage(images=1), Decimal("0.06")),
    ("azure-speech", "en-US-JennyNeural", Usage(characters=1_000), Decimal("0.015")),
    ("kokoro", "kokoro", Usage(characters=1_000), Decimal(0)),
]


@pytest.mark.parametrize(("row", "model", "usage", "dollars"), COSTS)
def test_what_media_cost(catalogue: Catalogue, row: str, model: str, usage: Usage, dollars: Decimal) -> None:
    facts = catalogue.facts(ROWS[row], model)
    assert facts is not None
    assert facts.price is not None
    # Micro-dollars for a million milliseconds are whole numbers, so a minute's price has four digits.
    assert facts.price.cost_micros(usage) == pytest.approx(float(dollars) * 1e6, rel=1e-4)


def test_a_model_of_sounds_has_no_features_of_conversations(catalogue: Catalogue) -> None:
    for row, model in (("openai", "tts-1"), ("groq", "whisper-large-v3"), ("elevenlabs", "scribe_v2")):
        facts = catalogue.facts(ROWS[row], model)
        assert facts is not None
        assert facts.features is None


@pytest.mark.parametrize(
    ("dollars", "price"),
    [
        ({"characters": "15"}, Price(0, 0, character_micros=15_000_000)),
        ({"minute": "0.006"}, Price(0, 0, audio_micros=100_000)),
        ({"image": "0.0336"}, Price(0, 0, image_micros=33_600)),
        ({"second_of_video": "0.4"}, Price(0, 0, video_micros=400_000_000)),
    ],
)
def test_dollars_as_people_write_them(dollars: dict[str, Any], price: Price) -> None:
    assert Dollars(**dollars).added_to(None) == price
    assert Dollars(**dollars).added_to(Price(1, 2)).input_micros == 1


@pytest.mark.promise("M25")
@pytest.mark.parametrize(
    ("said", "known", "price"),
    [
        (True, Price(1, 2), Price(0, 0)),
        (True, None, Price(0, 0)),
        (False, Price(1, 2), Price(1, 2)),
        (False, Price(0, 0), None),
        (None, Price(0, 0), Price(0, 0)),
        (None, None, None),
    ],
)
def test_the_list_knows_best_what_costs_nothing(
    catalogue: Catalogue, said: bool | None, known: Price | None, price: Price | None
) -> None:
    facts = catalogue.facts(ROWS["openai"], "gpt-4o")
    assert facts is not None
    assert merge(ModelEntry("m", free=said), replace(facts, price=known)).price == price
