"""The catalogue: prices by the source's own arithmetic, limits, and who overrules whom."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from rhetor.core.capability import Capability, Feature
from rhetor.core.usage import Price, Usage
from rhetor.providers.builtin import load_builtin
from rhetor.providers.models import (
    Catalogue,
    ModelFacts,
    capabilities_by_name,
    load_catalogue,
    load_limits,
    merge,
)
from rhetor.providers.offline import OFFLINE_ROW
from rhetor.wire.base import ModelEntry

ROWS = {**load_builtin(), OFFLINE_ROW.id: OFFLINE_ROW}


class Day:
    """A clock that stands still."""

    def __init__(self, day: date) -> None:
        self.now = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return 0.0

    def utc(self) -> datetime:
        return self.now


def on(day: date, *ids: str) -> Catalogue:
    return load_catalogue([ROWS[id] for id in ids], Day(day))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(ROWS.values(), Day(date(2026, 11, 20)))


PRICED = [
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5-20250929"),
    ("anthropic", "claude-opus-4-5"),
    ("gemini", "gemini-2.5-flash"),
    ("groq", "openai/gpt-oss-120b"),
    ("moonshot", "kimi-k3"),
    ("xai", "grok-3"),
]


@pytest.mark.parametrize(("provider", "model"), PRICED)
def test_a_price_costs_what_its_source_says(catalogue: Catalogue, provider: str, model: str) -> None:
    """The same usage, reckoned by us in micro-dollars and by the source in decimal dollars."""
    import genai_prices

    facts = catalogue.facts(ROWS[provider], model)
    assert facts is not None
    assert facts.price is not None

    ours = facts.price.cost_micros(Usage(input_tokens=90_000, output_tokens=30_000, cache_read_tokens=20_000))
    theirs = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=90_000, output_tokens=30_000, cache_read_tokens=20_000),
        model,
        provider_id=ROWS[provider].catalogue_id or provider,
        genai_request_timestamp=datetime(2026, 11, 20, tzinfo=UTC),
    )

    assert Decimal(ours) == (theirs.total_price * 1_000_000).to_integral_value()


def test_tiered_prices_count_with_their_base_and_say_so(catalogue: Catalogue) -> None:
    facts = catalogue.facts(ROWS["anthropic"], "claude-sonnet-4-5")
    assert facts is not None
    assert facts.price == Price(3_000_000, 15_000_000, 300_000, 3_750_000)
    assert "base tier" in facts.source


def test_a_price_holds_from_its_day_on() -> None:
    before, after = date(2025, 6, 9), date(2025, 6, 10)
    for day, input_micros in ((before, 10_000_000), (after, 2_000_000)):
        facts = on(day, "openai").facts(ROWS["openai"], "o3")
        assert facts is not None
        assert facts.price is not None
        assert facts.price.input_micros == input_micros
    assert facts.as_of == after


def test_a_price_that_changes_with_the_hour_counts_at_its_dearest(catalogue: Catalogue) -> None:
    facts = catalogue.facts(ROWS["deepseek"], "deepseek-reasoner")
    assert facts is not None
    assert facts.price == Price(550_000, 2_190_000, 140_000)
    assert "dearest hour" in facts.source


def test_what_has_no_price_is_not_free(catalogue: Catalogue) -> None:
    unpriced = catalogue.facts(ROWS["gemini"], "gemma-4-31b-it")
    free = catalogue.facts(ROWS["openrouter"], "openai/gpt-oss-120b:free")
    assert unpriced is not None
    assert free is not None
    assert unpriced.price is None
    assert free.price == Price(0, 0)


def test_every_price_is_a_whole_number_near_its_source(catalogue: Catalogue) -> None:
    from genai_prices.data_snapshot import get_snapshot

    row = ROWS["openrouter"]
    provider = next(provider for provider in get_snapshot().providers if provider.id == "openrouter")
    for model in provider.models:
        price = model.get_prices(datetime(2026, 11, 20, tzinfo=UTC))
        facts = catalogue.facts(row, model.id)
        if facts is not None and isinstance(price.input_mtok, Decimal):
            assert facts.price is not None
            assert abs(facts.price.input_micros - price.input_mtok * 1_000_000) < 1


def test_nothing_is_known_of_an_unknown_model(catalogue: Catalogue) -> None:
    assert catalogue.facts(ROWS["openai"], "no-such-model") is None
    assert on(date(2026, 11, 20), "groq").facts(ROWS["anthropic"], "nobody-1") is None


def test_dated_and_prefixed_ids_find_their_model(catalogue: Catalogue) -> None:
    for provider, id, name in (
        ("anthropic", "claude-haiku-4-5-20251001", "Claude Haiku 4.5"),
        ("gemini", "models/gemini-2.5-flash", "Gemini 2.5 Flash"),
        ("fireworks", "accounts/fireworks/models/gpt-oss-120b", "OpenAI gpt-oss-120b"),
    ):
        facts = catalogue.facts(ROWS[provider], id)
        assert facts is not None
        assert (facts.id, facts.name) == (id, name)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.default_model], ids=lambda row: row.id)
def test_default_models_do_what_they_are_the_default_for(catalogue: Catalogue, row) -> None:
    usual = catalogue.facts(row, row.default_model)
    own = {Capability.CHAT} if Capability.CHAT in row.capabilities else row.capabilities
    assert usual is None or usual.capabilities & own
    for capability, model in row.default_models.items():
        facts = catalogue.facts(row, model)
        assert facts is None or capability in facts.capabilities, model
        assert capability in row.capabilities
    if row.embedding_model:
        facts = catalogue.facts(row, row.embedding_model)
        capabilities = facts.capabilities if facts else capabilities_by_name(row.embedding_model)
        assert capabilities == {Capability.EMBEDDINGS}


def test_limits_take_the_longest_key_that_ends_at_a_word() -> None:
    openai = load_limits()["openai"]
    assert openai.of("gpt-4o-mini-2024-07-18") is openai.models["gpt-4o"]
    assert openai.of("gpt-5-mini") is openai.models["gpt-5"]
    assert openai.of("gpt-5.4-nano") is openai.models["gpt-5.4"]
    assert openai.of("gpt-50") is None


def test_limits_belong_to_rows_and_take_away_only_what_rows_claim() -> None:
    for provider, limits in load_limits().items():
        row = ROWS[provider]
        assert limits.docs.read
        for id, model in limits.models.items():
            assert model.lacks <= row.features, f"{provider}/{id}"
            assert (model.capabilities or row.capabilities) & row.capabilities, f"{provider}/{id}"


def test_a_model_has_its_rows_features_but_those_it_lacks(catalogue: Catalogue) -> None:
    facts = catalogue.facts(ROWS["openai"], "gpt-4o")
    assert facts is not None
    assert facts.features == ROWS["openai"].features - {Feature.AUDIO, Feature.THINKING}
    assert (facts.context_tokens, facts.max_output_tokens) == (128_000, 16_384)


def test_providers_without_a_list_are_known_to_offer_something(catalogue: Catalogue) -> None:
    for row in ROWS.values():
        known = catalogue.known(row)
        assert all(facts.capabilities & row.capabilities for facts in known)
        if not row.deployments and (not row.models_listed or row.id == "offline"):
            usual = row.default_model or next(iter(row.default_models.values()), None)
            assert usual is None or usual in {facts.id for facts in known}


def test_what_is_known_leaves_out_models_that_are_being_withdrawn(catalogue: Catalogue) -> None:
    ids = {facts.id for facts in catalogue.known(ROWS["moonshot"])}
    assert "kimi-k3" in ids
    assert "kimi-k2-0711-preview" not in ids


def test_the_price_data_is_given_back() -> None:
    on(date(2026, 11, 20), "groq")
    assert "genai_prices.data" not in sys.modules
    assert on(date(2026, 11, 20), "groq").known(ROWS["groq"]), "a second load finds it again"


@pytest.mark.parametrize(
    ("id", "capabilities"),
    [
        ("gpt-4o", {Capability.CHAT}),
        ("text-embedding-3-small", {Capability.EMBEDDINGS}),
        ("nomic-embed-text:latest", {Capability.EMBEDDINGS}),
        ("BAAI/bge-m3", {Capability.EMBEDDINGS}),
        ("intfloat/multilingual-e5-large", {Capability.EMBEDDINGS}),
        ("rerank-v3.5", {Capability.RERANK}),
        ("whisper-1", {Capability.AUDIO_TO_TEXT}),
        ("gpt-4o-mini-transcribe", {Capability.AUDIO_TO_TEXT}),
        ("tts-1-hd", {Capability.TEXT_TO_AUDIO}),
        ("gemini-2.5-pro-preview-tts", {Capability.TEXT_TO_AUDIO}),
        ("gpt-image-2", {Capability.TEXT_TO_IMAGE, Capability.IMAGE_TO_IMAGE}),
        ("imagen-4.0-generate-001", {Capability.TEXT_TO_IMAGE}),
        (
            "google/gemini-2.5-flash-image",
            {Capability.CHAT, Capability.TEXT_TO_IMAGE, Capability.IMAGE_TO_IMAGE},
        ),
        ("grok-imagine-video-1.5", {Capability.TEXT_TO_VIDEO, Capability.IMAGE_TO_VIDEO}),
        ("Systran/faster-whisper-small", {Capability.AUDIO_TO_TEXT}),
        ("scribe_v2", {Capability.AUDIO_TO_TEXT}),
        ("hexgrad/Kokoro-82M", {Capability.TEXT_TO_AUDIO}),
        ("gpt-realtime-2", set()),
        ("omni-moderation-latest", set()),
        ("gemini-3.8-live", set()),
        ("claude-sonnet-5-5", {Capability.CHAT}),
    ],
)
def test_names_tell_what_models_do(id: str, capabilities: set[Capability]) -> None:
    assert capabilities_by_name(id) == capabilities


FACTS = ModelFacts(
    id="m",
    name="M",
    context_tokens=1000,
    max_output_tokens=100,
    price=Price(1, 2),
    features=frozenset({Feature.TOOLS}),
    capabilities=frozenset({Capability.CHAT}),
    as_of=date(2026, 1, 1),
    source="catalogue",
)


def test_the_providers_own_list_knows_better_and_the_configuration_best() -> None:
    listed = ModelEntry("m", context_tokens=2000, features=frozenset({"images", "telepathy"}))
    configured = ModelEntry("m", name="Mine", context_tokens=500)

    facts = merge(configured, merge(listed, FACTS), "configuration")

    assert (facts.name, facts.context_tokens, facts.max_output_tokens) == ("Mine", 500, 100)
    assert facts.features == {Feature.IMAGES}
    assert facts.price == FACTS.price
    assert facts.source == "configuration; the provider's list; catalogue"


def test_a_list_that_tells_of_some_features_leaves_the_others_alone() -> None:
    """Mistral says whether a model sees, and nothing about schemas."""
    features = frozenset({Feature.TOOLS, Feature.IMAGES})
    blind = ModelEntry("m", lacks=frozenset({"images", "audio"}))

    assert merge(blind, replace(FACTS, features=features)).features == {Feature.TOOLS}
    assert merge(blind, None).features is None


def test_an_entry_alone_is_a_model_too() -> None:
    facts = merge(ModelEntry("nomic-embed-text"), None)
    assert facts.capabilities == {Capability.EMBEDDINGS}
    assert (facts.name, facts.price, facts.features, facts.as_of) == ("nomic-embed-text", None, None, None)


def test_an_entry_may_say_that_a_model_can_do_nothing_of_ours() -> None:
    assert merge(ModelEntry("m", capabilities=frozenset()), FACTS).capabilities == frozenset()
