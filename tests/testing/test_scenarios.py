"""The conversations themselves: all different, all needed, all possible."""

from __future__ import annotations

from rhetor.core.capability import Feature
from rhetor.core.request import Request, features_needed
from rhetor.providers.builtin import load_builtin
from rhetor.testing.conformance import cases
from rhetor.testing.scenarios import SCENARIOS

ROWS = load_builtin().values()


def test_no_two_scenarios_share_a_name() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_every_scenario_is_played_by_somebody() -> None:
    played = {case.scenario.name for case in cases(ROWS) if case.exemption is None}
    assert played == {scenario.name for scenario in SCENARIOS}


def test_every_claim_of_a_row_is_put_to_the_proof() -> None:
    tried = {(case.row.id, feature) for case in cases(ROWS) for feature in case.scenario.features}
    assert tried >= {(row.id, feature) for row in ROWS for feature in row.features if "http" in row.base_url}


def test_a_scenario_needs_what_its_request_contains() -> None:
    for scenario in SCENARIOS:
        request = Request(id="1", capability=scenario.capability, model="m", input=scenario.input)
        assert features_needed(request) <= scenario.features, scenario.name
        assert not scenario.stream or Feature.STREAMING in scenario.features, scenario.name
