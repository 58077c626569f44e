"""A row tried without its vendor: the conformance suite, against the upstream that is shipped for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection

from rhetor.core.capability import Capability
from rhetor.core.errors import RhetorError
from rhetor.kit.report import Part, Step, failed, skipped, told
from rhetor.providers.spec import ProviderRow
from rhetor.testing.conformance import Case, cases, check_models
from rhetor.testing.scenarios import Failure
from rhetor.wire.languages import WIRES

VOICED = frozenset({"gemini", "vertex", "bedrock"})
"""Languages that nobody calls us in, and that the upstream speaks all the same."""
REMEDY = "see the row's quirks, features and headers in the manifest: what a row claims must be so"
REAL = "check it with the key, against its own address"


async def offline_steps(row: ProviderRow, only: Collection[Capability] = ()) -> AsyncIterator[Step]:
    """What the row claims, scenario by scenario."""
    if not (WIRES[row.wire].doors or row.wire in VOICED):
        said = f"the test upstream does not speak {row.wire}"
        yield skipped("generation", "conformance", said, REAL)
        return
    if row.models_listed:
        yield await _models(row)
    played = [case for case in cases([row]) if case.exemption is None]
    for capability in sorted(row.capabilities):
        if only and capability not in only:
            continue
        mine = [case for case in played if case.scenario.capability is capability]
        if not mine:
            yield skipped("generation", "conformance", "there is no scenario for it", REAL, capability)
        for case in mine:
            yield await _play(case)


async def _models(row: ProviderRow) -> Step:
    try:
        await check_models(row, WIRES[row.wire])
    except (AssertionError, RhetorError) as error:
        return failed("models", "models", str(error), REMEDY)
    return told("models", "models", "a list of its models is read, and so is its refusal")


async def _play(case: Case) -> Step:
    scenario = case.scenario
    part: Part = "errors" if isinstance(scenario.expected, Failure) else "generation"
    try:
        await case.check()
    except (AssertionError, RhetorError) as error:
        said = str(error) or type(error).__name__
        return failed(part, scenario.name, said, REMEDY, scenario.capability)
    return told(part, scenario.name, "", scenario.capability)
