"""A row tried without its vendor: the conformance suite, against the upstream that is shipped for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection

from rhetor.core.capability import Capability
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import GrammarError
from rhetor.core.request import Request
from rhetor.kit.probes import PROBES, Probe, Wrong
from rhetor.kit.report import Part, Step, failed, skipped, told
from rhetor.providers.spec import ProviderRow
from rhetor.testing.conformance import Case, ask, cases, check_models, provider_at
from rhetor.testing.scenarios import SLOW_DOWN, Aborted, Failure, Scenario
from rhetor.testing.script import Step as Play
from rhetor.testing.steps import cuts, fails, hangs
from rhetor.testing.upstream import Upstream
from rhetor.wire.base import Wire
from rhetor.wire.languages import WIRES

VOICED = frozenset({"gemini", "vertex", "bedrock"})
"""Languages that nobody calls us in, and that the upstream speaks all the same."""
REMEDY = "see the row's quirks, features and headers in the manifest: what a row claims must be so"
REAL = "check it with the key, against its own address"
MODEL = "some-model"
WRONGS: tuple[tuple[str, Play, Failure | Aborted], ...] = (
    ("a bad request", fails(400), Failure(Code.INVALID_REQUEST)),
    ("a key that is refused", fails(401), Failure(Code.UPSTREAM_AUTH)),
    ("too many requests", SLOW_DOWN, Failure(Code.RATE_LIMITED, retry_after_s=2)),
    ("an error of the provider", fails(500), Failure(Code.UPSTREAM_ERROR)),
    ("half a reply", cuts(after="half"), Failure(Code.CONNECTION_LOST)),
    ("the caller leaves while nothing was answered", hangs(after="request"), Aborted()),
)
"""Scenarios of conversations that mean the same whatever is asked for."""


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
        wire, probe = WIRES[row.wires.get(capability, row.wire)], PROBES.get(capability)
        if not mine and probe is not None and wire.name == row.wire and capability in wire.doors:
            yield await _answered(row, wire, capability, probe)
            mine = _further(row, wire, capability, probe)
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


async def _answered(row: ProviderRow, wire: Wire, capability: Capability, probe: Probe) -> Step:
    """What a provider is asked that is there, answered as one of this language does."""
    name = "generation"
    model = row.default_models.get(capability) or row.default_model or MODEL
    request = Request(id="check", capability=capability, model=model, input=probe.good)
    async with Upstream() as upstream, provider_at(upstream, row, wire) as provider:
        try:
            heard = await ask(provider, request, model)
            if heard.error is not None:
                return failed("generation", name, str(heard.error), REMEDY, capability)
            said = probe.judge(heard.folder.result())
        except (AssertionError, RhetorError, GrammarError, Wrong) as error:
            return failed("generation", name, str(error) or type(error).__name__, REMEDY, capability)
    lost = f"; not passed on: {', '.join(heard.dropped)}" if heard.dropped else ""
    return told("generation", name, f"{said}{lost}", capability)


def _further(row: ProviderRow, wire: Wire, capability: Capability, probe: Probe) -> list[Case]:
    """What goes wrong with everybody, and somebody who leaves, where there are no scenarios."""
    scenarios = [
        Scenario(name=name, input=probe.good, step=step, expected=expected, capability=capability)
        for name, step, expected in WRONGS
    ]
    return [Case(row, scenario, wire) for scenario in scenarios]


async def _play(case: Case) -> Step:
    scenario = case.scenario
    part: Part = "errors" if isinstance(scenario.expected, Failure) else "generation"
    try:
        await case.check()
    except (AssertionError, RhetorError) as error:
        said = str(error) or type(error).__name__
        return failed(part, scenario.name, said, REMEDY, scenario.capability)
    return told(part, scenario.name, "", scenario.capability)
