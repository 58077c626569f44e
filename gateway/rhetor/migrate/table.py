"""A report for a terminal of eighty columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from rhetor.migrate.finding import Effort, Finding, Report

WIDTH = 80
MARKS = {Effort.MECHANICAL: "✓", Effort.ASSISTED: "→", Effort.BY_HAND: "✗"}
MEANINGS = {
    Effort.MECHANICAL: "mechanical: `--diff` shows them, `--write` changes them",
    Effort.ASSISTED: "assisted: it is known what to write instead",
    Effort.BY_HAND: "by hand: somebody has to think",
}
_LINE = 6
_KIND = 10  # the longest kind
_NOTE = 5


def table(report: Report) -> str:
    """Findings by file, each with the number of a note that says what to do, and what all of it comes to."""
    return "\n".join(_rows(report)) + "\n"


def _rows(report: Report) -> Iterator[str]:
    notes = _notes(report.findings)
    for file, findings in groupby(report.findings, key=lambda finding: finding.file):
        yield cut(file, WIDTH)
        for finding in findings:
            yield _row(finding, notes)
        yield ""
    for (instead, reason), number in notes.items():
        yield from _wrapped(f"{f'[{number}]':>{_NOTE}} {instead}: {reason}", " " * (_NOTE + 1))
    if notes:
        yield ""
    for problem in report.problems:
        yield from _wrapped(f"! {problem.file}: {problem.reason}", "  ")
    if report.problems:
        yield ""
    yield from _summary(report)


def _notes(findings: Iterable[Finding]) -> dict[tuple[str, str], int]:
    """What to do about each, said once: many are alike. What `--write` does needs no words."""
    said = {(f.instead, f.reason): 0 for f in findings if f.effort is not Effort.MECHANICAL}
    return {each: number for number, each in enumerate(said, 1)}


def _row(finding: Finding, notes: dict[tuple[str, str], int]) -> str:
    head = f"{MARKS[finding.effort]}{finding.line:>{_LINE}}  {finding.kind.value:<{_KIND}} "
    number = notes.get((finding.instead, finding.reason))
    if finding.effort is Effort.MECHANICAL or number is None:
        return head + cut(finding.what, WIDTH - len(head))
    room = WIDTH - len(head) - _NOTE - 1
    return f"{head}{cut(finding.what, room):<{room}} {f'[{number}]':>{_NOTE}}"


def _summary(report: Report) -> Iterator[str]:
    counts = efforts(report.findings)
    if not report.findings:
        yield f"Nothing reaches a model past the gateway. {report.files} files were looked at."
        return
    with_some = len({finding.file for finding in report.findings})
    places = len(report.findings)
    yield f"{places} {'place' if places == 1 else 'places'} in {with_some} of {report.files} files:"
    for effort in Effort:
        yield f"  {MARKS[effort]} {counts[effort]:>4} {MEANINGS[effort]}"


def efforts(findings: Iterable[Finding]) -> Counter[Effort]:
    return Counter(finding.effort for finding in findings)


def cut(text: str, width: int) -> str:
    """At most so many characters, on one line, and none that a terminal would obey."""
    plain = _printable(text)
    return plain if len(plain) <= width else f"{plain[: width - 1]}…"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(_printable(text), WIDTH, subsequent_indent=indent, break_on_hyphens=False)
