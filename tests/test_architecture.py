"""The house has floors: what may import what, where third-party names live, and how long things get."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gateway" / "rhetor"

FLOORS = (
    {"core"},
    {"wire", "transport", "routing", "store", "telemetry", "tasks"},
    {"providers", "policy", "services"},
    {"pipeline", "sessions", "plugins"},
    {"http", "testing"},
    {
        *("config", "assembly", "rows", "entrance", "conversing", "serving"),
        *("guests", "guestbook", "kit"),
        *("checks", "app", "cli", "migrate", "__main__"),
    },
)
FLOOR_OF = {room: n for n, rooms in enumerate(FLOORS) for room in rooms}

AT_HOME = {
    "aiohttp": {"http", "testing"},
    "httptools": {"transport"},
    "aiohappyeyeballs": {"transport"},
    "prometheus_client": {"telemetry"},
    "opentelemetry": {"telemetry"},
    "sqlalchemy": {"store"},
    "jwt": {"http"},
    "rich": {"cli"},
    "redis": {"store"},
    "pydantic": {"config", "providers", "plugins", "http"},
    "yaml": {"config", "plugins"},
    "genai_prices": {"providers"},
    "libcst": {"migrate"},
    "multipart": {"wire"},
    "botocore": {"wire", "transport"},
    "google": {"transport"},
    "uvloop": {"cli", "app"},
}
APP_ROOM = {"app": {"aiohttp"}}
"""The composition root starts the server, so it alone may name aiohttp beyond its home."""

LONGEST_FILE = 500
LONGEST_FUNCTION = 70
ONE_FILE = {PACKAGE / "plugins" / "sdk" / "rhetor_provider.py"}
"""What authors of plugins take along as a file."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The first name below the package: a folder or a module; the package itself is the lowest floor."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path) -> set[str]:
    names = [name.split(".") for name in imports(path)]
    return {name[1] for name in names if name[0] == "rhetor" and len(name) > 1 and name[1] in FLOOR_OF}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    """A room imports from floors below it, and from itself."""
    room = room_of(path)
    if room in ("__init__", "py.typed"):
        return
    assert room in FLOOR_OF, f"{room} stands on no floor: add it to docs/architecture.md and to FLOORS"
    top = len(FLOORS) - 1
    upward = {
        other
        for other in rooms_imported(path) - {room}
        if FLOOR_OF[other] >= FLOOR_OF[room] and not (FLOOR_OF[room] == FLOOR_OF[other] == top)
    }
    assert not upward, f"{path.name} on floor {FLOOR_OF[room]} imports {sorted(upward)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_third_parties_live_at_home(path: Path) -> None:
    room = room_of(path)
    used = {name.split(".")[0] for name in imports(path)}
    allowed = APP_ROOM.get(room, set())
    strangers = {name for name in used & AT_HOME.keys() if room not in AT_HOME[name]} - allowed
    assert not strangers, f"{path.name}: {sorted(strangers)} belong elsewhere"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_gets_too_long(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= LONGEST_FILE or path in ONE_FILE, (
        f"{path.name} has {lines} lines: does it answer two questions?"
    )
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{path.name}: {node.name} has {length} lines"


FACADES = {"jelmore": {"sessions"}, "chat": {"sessions"}}
"""Doors of older callers that stand on another one."""


def test_doors_do_not_know_each_other() -> None:
    doors = {
        "openai",
        "responses",
        "anthropic",
        "ollama",
        "tekton",
        "rhetor",
        "contexts",
        "socket",
        "sessions",
        "jelmore",
        "chat",
        "models",
        "services",
        "media",
        "ops",
    }
    for door in doors:
        for path in (PACKAGE / "http").glob(f"{door}.py"), (PACKAGE / "http" / door).glob("*.py"):
            for module in path:
                known = {name.split(".")[2] for name in imports(module) if name.startswith("rhetor.http.")}
                others = known & (doors - {door} - FACADES.get(door, set()))
                assert not others, f"{module.name} of {door} imports {others}"


BORROWED = {
    "openai": {"media"},
    "rerank": {"media"},
    "tekton": {"openai"},
    "rhetor": {"tekton"},
    "generate": {"tekton", "openai"},
    "guest": {"media"},
    "gemini": {"media"},
    "bedrock": {"media", "anthropic"},
}
"""Tools, parts of messages and formats of replies are written in OpenAI's shape there; the older dialects are
Tekton's in other words."""


def test_wires_do_not_know_each_other() -> None:
    """A language is described in its own room; only the table of languages names them all."""
    wires = PACKAGE / "wire"
    shared = {p.stem for p in wires.glob("*.py")} - {"languages", "rhetor"}
    for path in wires.rglob("*/*.py"):
        own = path.relative_to(wires).parts[0]
        known = {name.split(".")[2] for name in imports(path) if name.startswith("rhetor.wire.")}
        allowed = shared | {own} | BORROWED.get(own, set())
        assert known <= allowed, f"{path}: {known - allowed}"


def test_no_task_is_made_outside_tasks() -> None:
    for path in MODULES:
        if room_of(path) == "tasks":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("create_task", "ensure_future"):
                owner = ast.unparse(node.value)
                assert owner == "group", f"{path.name}: {owner}.{node.attr}; use rhetor.tasks"


def test_the_client_imports_nothing_of_the_gateway() -> None:
    client = PACKAGE.parent.parent / "client" / "tekton_llm_client"
    for path in client.rglob("*.py"):
        assert not [name for name in imports(path) if name.split(".")[0] == "rhetor"], path
