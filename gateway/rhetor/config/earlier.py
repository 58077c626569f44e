"""Settings under the names of earlier systems: they count, and a warning says what they are called now.

A setting of the file wins over them, and so does its own variable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rhetor.config.problems import Problem
from rhetor.config.variables import Setting, has, parsed, put, set_by, variable_of, variables


@dataclass(frozen=True, slots=True)
class Found:
    """What somebody set under an earlier name."""

    where: str
    """The variable, or the place in a file."""
    value: Any
    setting: str | None
    """`sessions.claude_code.command`; None: there is no such setting any more."""
    remark: str = ""
    """What to know of it, or to do instead."""
    means: str = ""
    """Where it is no setting by its own, and yet stands for one: what follows from it. It may stay."""


def adopt(
    given: dict[str, Any], found: Iterable[Found], environ: Mapping[str, str]
) -> tuple[list[Problem], list[Problem]]:
    """Put what was found into the raw configuration; problems, and warnings.

    Args:
        found: of several for one setting the first one counts.
    """
    problems: list[Problem] = []
    warnings: list[Problem] = []
    taken: dict[Setting, str] = {}
    for each in found:
        if each.setting is None:
            warnings.append(Problem(each.where, f"has no effect: {each.remark}"))
            continue
        setting = tuple(each.setting.split("."))
        if (stronger := taken.get(setting) or _stronger(given, setting, environ)) is not None:
            if not each.means:
                warnings.append(Problem(each.where, f"has no effect beside {stronger}; remove it"))
            continue
        value = parsed(setting, each.value, each.where)
        if isinstance(value, Problem):
            problems.append(Problem(value.path, f"{value.message}; it is now {each.setting}", value.value))
            continue
        put(given, setting, value)
        taken[setting] = each.where
        warnings.append(Problem(each.where, _told(each, setting)))
    return problems, warnings


def _stronger(given: Mapping[str, Any], setting: Setting, environ: Mapping[str, str]) -> str | None:
    """What else says it, and counts more."""
    return set_by(setting, environ) or (
        f"{'.'.join(setting)} in rhetor.yaml" if has(given, setting) else None
    )


def _told(found: Found, setting: Setting) -> str:
    if found.means:
        value = str(found.value).lower() if isinstance(found.value, bool) else found.value
        return f"{found.means}; better say {found.setting}: {value} in rhetor.yaml"
    variable = variable_of(setting)
    or_variable = f", or {variable}" if variable in variables() else ""
    remark = f"; {found.remark}" if found.remark else ""
    return f"is called {found.setting} now: set that in rhetor.yaml{or_variable}, and remove this{remark}"
