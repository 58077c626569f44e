"""A report as a page: it needs nothing but itself, not even a script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from itertools import groupby
from string import Template

from rhetor.kit.report import Outcome, Report, Step


def page(report: Report) -> str:
    template = Template(files("rhetor.kit").joinpath("page.html").read_text("utf-8"))
    name = f"{report.plugin} {report.version}".strip() or report.source
    about = [report.source, report.checked_at[:16].replace("T", " ")]
    return template.substitute(
        title=_safe(f"{name}: {report.verdict}"),
        heading=_safe(name),
        about=_safe(" · ".join(part for part in about if part)),
        verdict=report.verdict,
        summary=_safe(report.summary),
        bar="".join(_share(report, each) for each in Outcome),
        body="\n".join(_sections(report)),
    )


def _safe(text: str) -> str:
    """Fit for a page, whatever a plugin calls itself or says."""
    return escape(text.encode("utf-8", "replace").decode())


def _share(report: Report, outcome: Outcome) -> str:
    count = report.count(outcome)
    return f'<i class="{outcome}" style="--share: {count}"></i>' if count else ""


def _sections(report: Report) -> Iterator[str]:
    if report.loading:
        yield _section("Loading", "", _groups(report.loading))
    if report.warnings:
        rows = "".join(f"<li>{_safe(warning)}</li>" for warning in report.warnings)
        yield _section("Warnings", "", f"<ul>{rows}</ul>")
    for each in report.providers:
        models = f" · {len(each.models)} model{'s' if len(each.models) > 1 else ''}" if each.models else ""
        yield _section(each.name, f"{each.id} · {each.kind}{models}", _groups(each.steps))


def _section(heading: str, about: str, body: str) -> str:
    quiet = f'<p class="quiet">{_safe(about)}</p>' if about else ""
    return f"<section>\n<header><h2>{_safe(heading)}</h2>{quiet}</header>\n{body}\n</section>"


def _groups(steps: Iterable[Step]) -> str:
    """The steps, those of each capability below its name."""
    parts = []
    for capability, group in groupby(steps, key=lambda step: step.capability):
        heading = f"<h3>{_safe(capability)}</h3>\n" if capability else ""
        parts.append(f"{heading}<ol>\n{''.join(map(_row, group))}</ol>")
    return "\n".join(parts)


def _row(step: Step) -> str:
    first = f"{step.first_event_ms} / " if step.first_event_ms is not None else ""
    speed = f"<i>{first}{step.total_ms} ms</i>" if step.total_ms is not None else ""
    remedy = (
        f'<p class="quiet">→ {_safe(step.remedy)}</p>'
        if step.remedy and step.outcome is not Outcome.OK
        else ""
    )
    return (
        f'<li class="{step.outcome}"><b>{step.outcome}</b><span>{_safe(step.name)}</span>'
        f"<span>{_safe(step.said)}</span>{speed}{remedy}</li>\n"
    )
