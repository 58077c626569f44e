"""A provider that speaks nothing but Responses keeps the contract of providers."""

from __future__ import annotations

import pytest

from rhetor.core.capability import Capability, Feature
from rhetor.providers.builtin import load_builtin
from rhetor.testing.conformance import Case, cases
from rhetor.wire.openai.responses.vocabulary import NAME

pytestmark = pytest.mark.usefixtures("no_leaks")

OPENAI = load_builtin()["openai"]
ROW = OPENAI.model_copy(
    update={
        "id": "speaker",
        "wire": NAME,
        "also": (),
        "capabilities": frozenset({Capability.CHAT}),
        "features": OPENAI.features - {Feature.AUDIO},  # the language has no word for it
    }
)


@pytest.mark.parametrize("case", [case for case in cases([ROW]) if case.exemption is None], ids=str)
async def test_the_provider_does_what_its_row_claims(case: Case) -> None:
    await case.check()
