"""The providers page."""

from __future__ import annotations

from pathlib import Path

from rhetor.providers.builtin import load_builtin
from rhetor.providers.document import providers_page

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == providers_page(load_builtin().values()), "run `make docs`"


def test_every_provider_is_on_the_page_with_its_key_and_its_source() -> None:
    page = providers_page(load_builtin().values())
    for row in load_builtin().values():
        assert f"`{row.id}" in page
        assert all(f"`{name}`" in page for name in row.key_env)
        assert row.docs.url in page


def test_quirks_are_told_in_words() -> None:
    mistral = providers_page([load_builtin()["mistral"]])
    assert "`max_tokens_field`: `max_tokens`" in mistral
    assert "`usage_in_stream`: no" in mistral
    assert "`drop_fields`: `audio`, " in mistral
