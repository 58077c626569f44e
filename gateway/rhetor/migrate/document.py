"""A report for programs: JSON, with a version that changes when a field changes its meaning or goes."""

from __future__ import annotations

import orjson

from rhetor import __version__
from rhetor.migrate.finding import Effort, Kind, Report

SCHEMA = 1


def document(report: Report) -> str:
    """Fields may be added to a schema; readers pass over those that they do not know."""
    content = {
        "schema": SCHEMA,
        "rhetor": __version__,
        "root": report.root,
        "files": report.files,
        "seconds": round(report.seconds, 3),
        "count": {
            "effort": {effort.value: sum(f.effort is effort for f in report.findings) for effort in Effort},
            "kind": {kind.value: sum(f.kind is kind for f in report.findings) for kind in Kind},
        },
        "findings": [
            {
                "file": f.file,
                "line": f.line,
                "kind": f.kind.value,
                "vendor": f.vendor,
                "what": f.what,
                "instead": f.instead,
                "effort": f.effort.value,
                "reason": f.reason,
            }
            for f in report.findings
        ],
        "changes": [
            {"file": file, "what": change.what}
            for file, made in sorted(report.changes.items())
            for change in made
        ],
        "problems": [{"file": problem.file, "reason": problem.reason} for problem in report.problems],
    }
    return orjson.dumps(_clean(content), option=orjson.OPT_INDENT_2).decode() + "\n"


def _clean(value: object) -> object:
    """Names of files may hold what is no text; JSON may not."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, list) else value
