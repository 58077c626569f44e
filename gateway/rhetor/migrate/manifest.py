"""What do the files beside the code say: requirements, projects, packages, environments?"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator

from rhetor.migrate import phrases
from rhetor.migrate.finding import Finding, Reading
from rhetor.migrate.packages import JAVASCRIPT, PYTHON, Package
from rhetor.migrate.source import LINE_END, Source, Unreadable
from rhetor.migrate.vendors import has_secret, is_model, vendor_of_variable

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?:[<>=!~;@,#(]|$)")
_VARIABLE = re.compile(r"""\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*["']?([^"'\s#]*)""")
_NPM_TABLES = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")


def read(source: Source) -> Reading:
    """Packages that are asked for, in requirements.txt, pyproject.toml or package.json."""
    base = source.file.rpartition("/")[2].lower()
    if base == "package.json":
        return Reading(tuple(_npm(source)))
    if base == "pyproject.toml":
        return Reading(tuple(_project(source)))
    return Reading(tuple(_requirements(source)))


def read_environment(source: Source) -> Reading:
    """Variables of a .env file: names of keys and of models, never a value that could be a secret."""
    found: list[Finding] = []
    for number, line in enumerate(LINE_END.split(source.text), 1):
        if (match := _VARIABLE.match(line)) is None:
            continue
        if (vendor := vendor_of_variable(match[1])) is not None:
            found.append(phrases.key(source.file, number, match[1], vendor))
        elif has_secret(line):
            found.append(phrases.secret(source.file, number))
        elif is_model(match[2]) and "RHETOR" not in match[1]:
            found.append(phrases.model(source.file, number, match[2]))
    return Reading(tuple(found))


def _requirements(source: Source) -> Iterator[Finding]:
    for number, line in enumerate(LINE_END.split(source.text), 1):
        if match := _REQUIREMENT.match(line):
            yield from _dependency(source, number, match[1], PYTHON)


def _project(source: Source) -> Iterator[Finding]:
    """Requirements of a project, its extras and groups, and Poetry's tables."""
    try:
        table = tomllib.loads(source.text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unreadable("it is no TOML") from error
    asked = {name for text in _texts(table) if (name := _name(text)) is not None}
    for number, line in enumerate(LINE_END.split(source.text), 1):
        bare = line.split("#", 1)[0]
        quoted = [text for pair in re.findall(r'"([^"]*)"|' + r"'([^']*)'", bare) for text in pair if text]
        key = re.match(r"""\s*["']?([\w.-]+)["']?\s*=""", bare)  # Poetry's `openai = "^1.0"`
        for name in dict.fromkeys([*(key.groups() if key else ()), *filter(None, map(_name, quoted))]):
            if name in asked:
                yield from _dependency(source, number, name, PYTHON)


def _texts(table: object, inside: tuple[str, ...] = ()) -> Iterator[str]:
    """What a project asks for, wherever the tools of the trade look for it."""
    if isinstance(table, dict):
        for key, value in table.items():
            if inside and inside[-1] in ("dependencies", "dev-dependencies") and "poetry" in inside:
                yield str(key)
            yield from _texts(value, (*inside, str(key)))
    elif isinstance(table, list):
        words = {"dependencies", "optional-dependencies", "dependency-groups", "requires", "dev-dependencies"}
        if words & set(inside):
            yield from (text for text in table if isinstance(text, str))


def _name(requirement: str) -> str | None:
    match = _REQUIREMENT.match(requirement)
    return match[1] if match else None


def _npm(source: Source) -> Iterator[Finding]:
    try:
        table = json.loads(source.text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("it is no JSON") from error
    tables = [table.get(name) for name in _NPM_TABLES] if isinstance(table, dict) else []
    asked = {name for each in tables if isinstance(each, dict) for name in each}
    for number, line in enumerate(LINE_END.split(source.text), 1):
        for name in re.findall(r'"([^"\s]+)"\s*:\s*"', line):
            if name in asked:
                yield from _dependency(source, number, name, JAVASCRIPT)


def _dependency(source: Source, line: int, name: str, packages: tuple[Package, ...]) -> Iterator[Finding]:
    normal = re.sub(r"[-_.]+", "-", name.lower()) if packages is PYTHON else name
    for package in packages:
        if normal in package.distributions:
            yield phrases.dependency(source.file, line, package, name)
            return
