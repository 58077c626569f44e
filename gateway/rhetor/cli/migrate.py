"""`rhetor migrate PATH`: what a code base has to change to reach its models through the gateway."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rhetor.migrate.finding import Report

FOUND, FAILED = 1, 2


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "migrate",
        help="find what reaches models past the gateway in a code base, and change what is beyond doubt",
        epilog="Exit codes: 0 nothing found, or it was written; 1 something found; 2 errors.",
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="a folder or a file")
    parser.add_argument(
        "--format", choices=("table", "json", "html"), default="table", help="default: %(default)s"
    )
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--diff", action="store_true", help="show what --write would change; nothing is written")
    act.add_argument("--write", action="store_true", help="make the mechanical changes")
    parser.add_argument(
        "--component", metavar="NAME", help="use TektonLLMClient under this name where it fits beyond doubt"
    )
    parser.add_argument(
        "--exclude",
        metavar="GLOB",
        action="append",
        default=[],
        help="leave these out, as .gitignore would",
    )
    parser.add_argument("--force", action="store_true", help="do not ask git what is committed")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    try:
        from rhetor.migrate import scan  # here, since most who use the command never need its parser
    except ModuleNotFoundError as error:
        if error.name != "libcst":
            raise
        return _fail("a parser is missing: pip install 'rhetor[migrate]'")
    root: Path = arguments.path
    if not root.exists():
        return _fail(f"there is no {root}")
    if arguments.component is not None and not arguments.component.strip():
        return _fail("--component needs a name")
    report = scan.scan(root, component=arguments.component, exclude=arguments.exclude)
    if arguments.write:
        return _write(report, arguments)
    if arguments.diff:
        return _diff(report)
    print(_told(report, arguments.format), end="")
    return FOUND if report.findings or report.problems else 0


def _told(report: Report, format: str) -> str:
    from rhetor.migrate.document import document
    from rhetor.migrate.page import page
    from rhetor.migrate.table import table

    return {"table": table, "json": document, "html": page}[format](report)


def _diff(report: Report) -> int:
    from rhetor.migrate.patch import diffs
    from rhetor.migrate.source import Unreadable

    try:
        found = list(diffs(report))
    except (Unreadable, OSError) as error:
        return _fail(f"there is no diff: {error}")
    for diff in found:
        print(diff)
    return FOUND if report.findings or report.problems else 0


def _write(report: Report, arguments: argparse.Namespace) -> int:
    from rhetor.migrate.patch import path_of
    from rhetor.migrate.write import uncommitted, write

    paths = [path_of(report, file) for file in sorted(report.changes)]
    if not arguments.force and (why := uncommitted(paths)) is not None:
        return _fail(f"{why}: commit first, or use --force")
    written, problems = write(report)
    for file in written:
        made = "; ".join(dict.fromkeys(change.what for change in report.changes[file]))
        print(f"✓ {file}: {made}")
    for problem in problems:
        print(f"✗ {problem.file}: {problem.reason}", file=sys.stderr)
    if not written and not problems:
        print("Nothing can be changed beyond doubt.")
    if any(change.leaves for file in written for change in report.changes[file]):
        print("They need tekton-llm-client now: add it to what the project requires.")
    left = sum(finding.effort != "mechanical" for finding in report.findings)
    if left:
        print(f"To be looked at: {left} more, see `rhetor migrate {arguments.path}`")
    return FAILED if problems else 0


def _fail(reason: str) -> int:
    print(f"✗ {reason}", file=sys.stderr)
    return FAILED
