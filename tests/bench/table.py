"""How the readings are shown: one table of medians, each with its ratio to the bare aiohttp proxy."""

from collections.abc import Sequence
from statistics import median

from tests.bench.load import NOISY_PERCENT, Reading
from tests.bench.scenarios import START, Measure, Scenario
from tests.bench.subjects import Subject

BASELINE = "aiohttp"
NOTHING = "–"


def table(readings: Sequence[Reading], subjects: Sequence[Subject], scenarios: Sequence[Scenario]) -> str:
    """Markdown: a row for each figure, a column for each subject, and what to know about them below."""
    rows = [["", *(_title(subject) for subject in subjects)]]
    for scenario in (START, *scenarios):
        for measure in scenario.measures:
            arrow = "↑" if measure.more_is_better else "↓"
            cells = [_cell(readings, subject, scenario, measure) for subject in subjects]
            if set(cells) != {NOTHING}:
                rows.append([f"{scenario.title}: {measure.title} {arrow}", *cells])
    rows.append(["errors", *(_errors(readings, subject) for subject in subjects)])
    return "\n".join((*_align(rows), "", *_notes(readings)))


def medians(readings: Sequence[Reading]) -> dict[str, dict[str, dict[str, float]]]:
    """subject → scenario → figure → median over the rounds."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for reading in readings:
        of_scenario = found.setdefault(reading.subject, {}).setdefault(reading.scenario, {})
        for key in reading.figures:
            of_scenario[key] = median(_values(readings, reading.subject, reading.scenario, key).values())
    return found


def _title(subject: Subject) -> str:
    return f"{subject.title} ({subject.missing})" if subject.missing else subject.title


def _cell(readings: Sequence[Reading], subject: Subject, scenario: Scenario, measure: Measure) -> str:
    """`8,612 (1.00×)`, with ! if replies were wrong and ~ if others used the processor."""
    ours = [one for one in readings if one.subject == subject.name and one.scenario == scenario.name]
    values = _values(readings, subject.name, scenario.name, measure.key)
    if not values:
        return "failed" if any(one.errors for one in ours) else NOTHING
    marks = "!" * any(one.errors for one in ours) + "~" * any(one.is_noisy for one in ours)
    theirs = _values(readings, BASELINE, scenario.beside or scenario.name, measure.key)
    # Within a round, because the machine's pace drifts between rounds.
    ratios = [value / theirs[number] for number, value in values.items() if theirs.get(number)]
    ratio = f" ({median(ratios):.2f}×)" if ratios else ""
    return f"{_figure(median(values.values()))}{marks}{ratio}"


def _values(readings: Sequence[Reading], subject: str, scenario: str, key: str) -> dict[int, float]:
    """round → figure."""
    return {
        one.round: one.figures[key]
        for one in readings
        if one.subject == subject and one.scenario == scenario and key in one.figures
    }


def _errors(readings: Sequence[Reading], subject: Subject) -> str:
    ours = [one.errors for one in readings if one.subject == subject.name]
    return f"{sum(ours):,}" if ours else NOTHING


def _figure(value: float) -> str:
    """Three digits or so; more would pretend."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *others = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        right = (cell.strip().rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        lines.append(f"| {' | '.join((first, *right))} |")
    ruler = [f"|{'-' * (widths[0] + 2)}|", *(f"{'-' * (width + 1)}:|" for width in widths[1:])]
    return [lines[0], "".join(ruler), *lines[1:]]


def _notes(readings: Sequence[Reading]) -> list[str]:
    notes = [
        f"Medians; (n×) is the median ratio to {BASELINE} in the same round, for translated scenarios to its "
        "untranslated one. ↑ more is better, ↓ less is.",
        "direct is the harness alone: its throughput is the ceiling, its lag the floor of what can be seen.",
    ]
    if noisy := [one for one in readings if one.is_noisy]:
        notes.append(f"~ others used more than {NOISY_PERCENT:.0f} % of a core:")
        notes += [f"  {_where(one)}: {one.foreign_percent:.0f} %" for one in noisy]
    if wrong := [one for one in readings if one.errors]:
        notes.append("! errors, and the first of each:")
        notes += [f"  {_where(one)}: {one.errors}, {one.complaint}" for one in wrong]
    return notes


def _where(reading: Reading) -> str:
    return f"{reading.subject} {reading.scenario} round {reading.round}"
