"""The providers page, and the page of each provider."""

from __future__ import annotations

from pathlib import Path

from rhetor.core.capability import Capability
from rhetor.providers.builtin import load_builtin
from rhetor.providers.document import provider_page, providers_page
from rhetor.providers.models import load_limits
from rhetor.providers.spec import ProviderRow

DOCS = Path(__file__).parents[2] / "docs"
ROWS = load_builtin()
LIMITS = load_limits()


def page_of(row: ProviderRow) -> str:
    return provider_page(row, LIMITS.get(row.id))


def test_the_pages_are_up_to_date() -> None:
    assert (DOCS / "providers.md").read_text("utf-8") == providers_page(ROWS.values()), "run `make docs`"
    for id, row in ROWS.items():
        assert (DOCS / "providers" / f"{id}.md").read_text("utf-8") == page_of(row), "run `make docs`"


def test_no_page_outlives_its_provider() -> None:
    assert {path.stem for path in (DOCS / "providers").iterdir()} == ROWS.keys(), "remove what is left over"


def test_every_provider_has_a_page_with_its_keys_its_models_and_its_source() -> None:
    index = providers_page(ROWS.values())
    for row in ROWS.values():
        page = page_of(row)
        assert f"(providers/{row.id}.md)" in index
        assert all(f"`{name}`" in page for name in row.key_env)
        assert all(f"`{model}`" in page for model in row.default_models.values())
        assert all(capability in page for capability in row.capabilities)
        assert row.docs is not None
        assert row.docs.url in page


def test_what_is_known_of_models_is_told_with_its_unit() -> None:
    elevenlabs = page_of(ROWS["elevenlabs"])
    assert "| `eleven_multilingual_v2` |" in elevenlabs
    assert "a million characters |" in elevenlabs
    assert f"| {Capability.TEXT_TO_AUDIO} | `eleven_multilingual_v2` |" in elevenlabs
    assert "| `gpt-5.6` |  | 128 000 |" in page_of(ROWS["openai"])


def test_quirks_are_told_in_words() -> None:
    mistral = page_of(ROWS["mistral"])
    assert "`max_tokens_field`: `max_tokens`" in mistral
    assert "`usage_in_stream`: no" in mistral
    assert "`drop_fields`: `audio`, " in mistral
