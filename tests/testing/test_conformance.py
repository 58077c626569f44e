"""Every built-in provider keeps the contract: what its row claims, it does."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.capability import Capability, Feature
from rhetor.providers.builtin import load_builtin
from rhetor.providers.spec import ProviderRow, QuirkSpec
from rhetor.testing.conformance import Case, cases, check_models
from rhetor.testing.endpoints import Endpoint
from rhetor.testing.voices import DoorVoice
from rhetor.wire.languages import WIRES
from rhetor.wire.openai import OPENAI

pytestmark = pytest.mark.usefixtures("no_leaks")

pytestmark = pytest.mark.usefixtures("no_leaks")

ROWS = load_builtin().values()
VOICED = ("gemini", "vertex", "bedrock")
"""Languages that nobody calls us in, and that the upstream speaks all the same."""
SPOKEN = [row for row in ROWS if WIRES[row.wire].doors or row.wire in VOICED]
CASES = cases(SPOKEN)
LISTING = [row for row in SPOKEN if row.models_listed and row.base_url.startswith("http")]
"""Vendors' own lists are proven beside the languages that only they speak."""


@pytest.mark.promise("P12", "P13")
@pytest.mark.parametrize("case", [case for case in CASES if case.exemption is None], ids=str)
async def test_the_provider_does_what_its_row_claims(case: Case) -> None:
    await case.check()


@pytest.mark.parametrize("row", LISTING, ids=lambda row: row.id)
async def test_the_provider_lists_its_models(row: ProviderRow) -> None:
    await check_models(row, WIRES[row.wire])


def test_only_what_is_not_claimed_is_exempt() -> None:
    groq = [case for case in CASES if case.row.id == "groq"]
    exempt = {case.scenario.name: case.exemption for case in groq if case.exemption}
    assert exempt["embeddings"] == "groq does not claim embeddings"
    assert exempt["a document"] == "groq does not claim documents"
    assert "text" not in exempt


LIES: dict[str, tuple[dict[str, Any], str, str]] = {
    "drops what it claims": ({"quirks": QuirkSpec(drop_fields=frozenset({"tools"}))}, "a tool call", "drops"),
    "speaks a language without it": (
        {"wire": "anthropic", "capabilities": frozenset({Capability.EMBEDDINGS})},
        "embeddings",
        "does not offer",
    ),
    "has nothing of it in its language": (
        {"wire": "ollama", "base_url": "http://x", "features": frozenset({Feature.DOCUMENTS})},
        "a document",
        "not file",
    ),
}


@pytest.mark.parametrize(("lie", "name", "complaint"), LIES.values(), ids=LIES)
async def test_a_row_that_claims_too_much_is_found_out(
    lie: dict[str, Any], name: str, complaint: str
) -> None:
    case = named(name, cases([load_builtin()["openai"].model_copy(update=lie)]))
    assert case.exemption is None
    with pytest.raises(AssertionError, match=complaint):
        await case.check()


async def test_another_language_brings_its_own_endpoints() -> None:
    """They are served, and nothing else is."""
    row = load_builtin()["openai"].model_copy(update={"wire": "mine"})
    talk = Endpoint("POST", "/chat/completions", DoorVoice(OPENAI, Capability.CHAT))
    wires = {"mine": OPENAI}
    await named("text", cases([row], wires=wires, served=[talk])).check()
    with pytest.raises(AssertionError, match="nothing is served"):
        await named("text", cases([row], wires=wires, served=[])).check()


def named(name: str, of: list[Case]) -> Case:
    (case,) = [case for case in of if case.scenario.name == name]
    return case
