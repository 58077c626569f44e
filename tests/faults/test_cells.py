"""Every fault at every door gets the score that the table expects.

Time passes faster here than in `make faults`, for everybody alike (`tests.faults.pace`). The cells that
were selected are played together before the first of them is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.faults.fault import Score
from tests.faults.judging import Verdict
from tests.faults.pace import run
from tests.faults.rounds import play_all
from tests.faults.table import CELLS, Cell

PACE = 5.0  # more of them at once than one core plays faster


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest) -> Mapping[Cell, Verdict]:
    """What every selected cell got."""
    wanted = {_cell_of(item) for item in request.session.items}
    chosen = [cell for cell in CELLS if cell in wanted]
    # Where hundreds of streams stall, nobody else may keep the processor from those that do not.
    crowds = [[cell] for cell in chosen if cell.fault.stalled]
    found: dict[Cell, Verdict] = {}
    for group in ([cell for cell in chosen if not cell.fault.stalled], *crowds):
        found |= run(play_all(group), PACE)
    return found


def _cell_of(item: pytest.Item) -> Cell | None:
    callspec = getattr(item, "callspec", None)
    cell = callspec.params.get("cell") if callspec is not None else None
    return cell if isinstance(cell, Cell) else None


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_fault(cell: Cell, verdicts: Mapping[Cell, Verdict]) -> None:
    verdict, less = verdicts[cell], cell.fault.expected(cell.column)
    expected = Score.PASS if less is None else less.score
    assert verdict.score is expected, f"{verdict.score}, not {expected}: {'; '.join(verdict.why)}"


def test_every_lower_score_has_its_reason() -> None:
    for cell in CELLS:
        if (less := cell.fault.expected(cell.column)) is not None:
            assert less.reason
            assert less.score < Score.PASS
