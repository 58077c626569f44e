"""What was promised, and which test holds it: the tables of docs/promises.md."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).parent / "promises.toml"
IN_JAVASCRIPT = re.compile(r"test\(\s*(['\"`])(?P<name>.+?)\1[^\n]*// promise: (?P<rows>[\w, ]+)")


def regions() -> Mapping[str, Callable[[], str]]:
    return {
        "session_promises": lambda: promises("sessions"),
        "chat_promises": lambda: promises("chat"),
        "media_promises": lambda: promises("media"),
    }


def promises(section: str) -> str:
    """Each row with the tests that hold it, or with what there is instead.

    Raises:
        ValueError: a row has neither, or a test claims a row that there is not.
    """
    table = tomllib.loads(TABLE.read_text("utf-8"))
    held = _held()
    if unknown := held.keys() - {name for rows in table.values() for name in rows}:
        raise ValueError(f"tests hold promises that nobody made: {sorted(unknown)}")
    lines = ["| | Promised | Held by |", "|---|---|---|"]
    instead = table[section].get("instead", {})
    for name, promised in table[section].items():
        if name == "instead":
            continue
        tests = [f"`{test}`" for test in sorted(held.get(name, ()))]
        if not tests and name not in instead:
            raise ValueError(f"{name} has neither a test nor a reason: {promised}")
        told = [f"Differs: {instead[name]}"] if name in instead else []
        lines.append(f"| {name} | {promised} | {' '.join([*told, ', '.join(tests)]).strip()} |")
    return "\n".join(lines)


def _held() -> Mapping[str, set[str]]:
    held: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if "node_modules" not in path.parts and "promise(" in (source := path.read_text("utf-8")):
            for name, row in _marked(ast.parse(source)):
                held[row].add(f"{path.relative_to(ROOT / 'tests')}: {name}")
    for path in sorted((ROOT / "js-client" / "test").glob("*.js")):
        for found in IN_JAVASCRIPT.finditer(path.read_text("utf-8")):
            for row in found["rows"].split(","):
                held[row.strip()].add(f"{path.relative_to(ROOT)}: {found['name']}")
    return held


def _marked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Tests with the rows that they hold, also where a whole module is marked."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                yield from ((node.name, row) for row in _rows(decorator))


def _rows(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "promise":
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value
