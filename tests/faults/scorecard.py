"""The scorecard: faults × doors as a table, and its place in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.faults.fault import Column, Fault, Score
from tests.faults.judging import Verdict
from tests.faults.table import Cell

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
REGION = re.compile(r"(<!-- from the faults: scorecard -->\n).*?(<!-- end -->)", re.DOTALL)
UNPLAYED = ""


def scorecard(verdicts: Mapping[Cell, Verdict]) -> str:
    """A Markdown table: a line for each fault, a column for each way to ask, and how many pass."""
    faults = list(dict.fromkeys(cell.fault for cell in verdicts))
    columns = list(dict.fromkeys(cell.column for cell in verdicts))
    sixteen = [fault for fault in faults if fault.number is not None]
    others = [fault for fault in faults if fault.number is None]
    lines = [("", *map(_heading, columns)), ("---", *("---" for _ in columns))]
    lines += [_line(fault, columns, verdicts) for fault in faults]
    lines += [_sum(f"of {len(part)}", part, columns, verdicts) for part in (sixteen, others) if part]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def problems(verdicts: Mapping[Cell, Verdict]) -> Iterator[str]:
    """Every cell that is no pass, and why."""
    for cell, verdict in verdicts.items():
        if verdict.score is not Score.PASS:
            expected = cell.fault.expected(cell.column)
            known = (
                f" (as expected: {expected.reason})" if expected and expected.score is verdict.score else ""
            )
            yield f"{cell}: {verdict.score}{known}: {'; '.join(verdict.why)}"


def as_expected(cell: Cell, verdict: Verdict) -> bool:
    less = cell.fault.expected(cell.column)
    return verdict.score is (less.score if less is not None else Score.PASS)


def write(text: str, page: Path = PAGE) -> None:
    """Put this text into the page's region."""
    page.write_text(
        REGION.sub(lambda match: f"{match[1]}\n{text}\n{match[2]}", page.read_text("utf-8")), "utf-8"
    )


def _heading(column: Column) -> str:
    return str(column)


def _line(fault: Fault, columns: Iterable[Column], verdicts: Mapping[Cell, Verdict]) -> tuple[str, ...]:
    found = (verdicts.get(Cell(fault, column)) for column in columns)
    return (str(fault), *(UNPLAYED if verdict is None else str(verdict.score) for verdict in found))


def _sum(
    name: str, faults: Iterable[Fault], columns: Iterable[Column], verdicts: Mapping[Cell, Verdict]
) -> tuple[str, ...]:
    passed = []
    for column in columns:
        got = [verdicts.get(Cell(fault, column)) for fault in faults]
        passed.append(str(sum(verdict is not None and verdict.score is Score.PASS for verdict in got)))
    return (f"**{name}**", *(f"**{count}**" for count in passed))
