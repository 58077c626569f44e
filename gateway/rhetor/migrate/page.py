"""A report for people: one page that needs nothing but itself, not even a script."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from string import Template

from rhetor.migrate.finding import Effort, Finding, Report
from rhetor.migrate.table import efforts

WORDS = {
    Effort.MECHANICAL: ("mechanical", "--write changes them"),
    Effort.ASSISTED: ("assisted", "it is known what to write"),
    Effort.BY_HAND: ("by hand", "somebody has to think"),
}


def page(report: Report) -> str:
    template = Template(files(__package__).joinpath("page.html").read_text("utf-8"))
    name = Path(report.root).resolve().name or report.root
    return template.substitute(
        title=_safe(f"{name}: the way to the gateway"),
        heading=_safe(f"{name}: the way to the gateway"),
        summary=_safe(_summary(report)),
        bar=_bar(report),
        choice=_choice(report),
        body="\n".join([*_problems(report), *_files(report)]),
    )


def _safe(text: str) -> str:
    """Fit for a page, whatever somebody has called their files."""
    return escape(text.encode("utf-8", "replace").decode())


def _summary(report: Report) -> str:
    if not report.findings:
        return f"Nothing reaches a model past the gateway. {report.files} files were looked at."
    n = len(report.findings)
    places = f"{n} {'place' if n == 1 else 'places'}"
    with_some = len({finding.file for finding in report.findings})
    what = "reach models directly, or change with what does"
    return f"{places} in {with_some} of {report.files} files {what}."


def _bar(report: Report) -> str:
    if not report.findings:
        return ""
    counts = efforts(report.findings)
    parts = (
        f'<i class="{effort}" style="--share: {counts[effort]}"></i>' for effort in Effort if counts[effort]
    )
    return f'<div class="bar" aria-hidden="true">{"".join(parts)}</div>'


def _choice(report: Report) -> str:
    if not report.findings:
        return ""
    counts = efforts(report.findings)
    labels = [_label("all", "", len(report.findings), "all places", "", checked=True)]
    labels += [_label(effort, effort, counts[effort], *WORDS[effort]) for effort in Effort]
    return f'<fieldset class="choice">{"".join(labels)}</fieldset>'


def _label(id: str, tone: str, count: int, word: str, meaning: str, checked: bool = False) -> str:
    state = " checked" if checked else ""
    return (
        f'<label class="{tone}"><input type="radio" name="only" id="only-{id}"{state}>'
        f'<b>{count}</b>{word} <span class="quiet">{meaning}</span></label>'
    )


def _files(report: Report) -> Iterator[str]:
    for file, findings in groupby(report.findings, key=lambda finding: finding.file):
        rows = "\n".join(map(_row, findings))
        yield f"<section>\n<h2>{_safe(file)}</h2>\n<ol>\n{rows}\n</ol>\n</section>"


def _row(finding: Finding) -> str:
    return (
        f'<li class="{finding.effort}"><span class="number">{finding.line}</span>'
        f'<span class="kind">{finding.kind}</span><code>{_safe(finding.what)}</code>'
        f'<p class="said quiet">→ {_safe(finding.instead)} · {_safe(finding.reason)}</p></li>'
    )


def _problems(report: Report) -> Iterator[str]:
    if report.problems:
        rows = "\n".join(
            f'<li><code>{_safe(problem.file)}</code> <span class="quiet">{_safe(problem.reason)}</span></li>'
            for problem in report.problems
        )
        yield f"<section>\n<h2>Could not be looked at</h2>\n<ul>\n{rows}\n</ul>\n</section>"
