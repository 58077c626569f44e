"""A report in a terminal, line by line while it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rhetor.kit.report import Checked, Outcome, Report, Step

MARKS: Mapping[Outcome, str] = {Outcome.OK: "✓", Outcome.FAILED: "✗", Outcome.SKIPPED: "·"}
WIDTH = 14  # of names; longer ones stand out


class Table:
    """Gives the lines of each step, with a heading wherever something else begins."""

    def __init__(self) -> None:
        self._provider: Checked | None = None
        self._capability = ""

    def lines(self, provider: Checked | None, step: Step) -> Iterator[str]:
        if provider is not self._provider and provider is not None:
            self._provider, self._capability = provider, ""
            yield f"{provider.id}: {provider.kind}"
        if step.capability != self._capability:
            self._capability = step.capability
            yield f"  {step.capability}"
        indent = "    " if step.capability else "  "
        yield f"{indent}{MARKS[step.outcome]} {step.name:<{WIDTH}} {step.said}{speed(step)}".rstrip()
        if step.remedy and step.outcome is not Outcome.OK:
            yield f"{indent}  {'':<{WIDTH}} → {step.remedy}"


def ending(report: Report) -> list[str]:
    """What it comes to."""
    mark = {"ok": "✓", "failed": "✗", "unproven": "·"}[report.verdict]
    name = f"{report.plugin} {report.version}".strip() or report.source
    return [*(f"  ! {warning}" for warning in report.warnings), f"{mark} {name}: {report.summary}"]


def speed(step: Step) -> str:
    """How long it took, which nobody judges."""
    if step.total_ms is None:
        return ""
    first = f"first after {step.first_event_ms} ms, " if step.first_event_ms is not None else ""
    return f" ({first}{step.total_ms} ms)"
