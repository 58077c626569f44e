"""The tests mirror the rooms: whoever looks for a module's tests finds them where the module is.

`gateway/rhetor/a/b.py` is tested by `tests/a/test_b.py` or by the modules in `tests/a/b/`; a package whose
modules are one thing for whoever uses it may be tested as one, by `tests/a/test_<package>.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "gateway" / "rhetor"

DECLARATIONS: Mapping[str, str] = {
    "core/call.py": "data without behaviour",
    "core/capability.py": "two vocabularies",
    "core/content.py": "data without behaviour",
    "core/record.py": "data without behaviour",
    "http/house.py": "what doors are handed, without behaviour",
    "http/plugged.py": "a protocol; guests.py keeps it",
    "http/served.py": "the shape of one line of the table of what is served",
    "migrate/values.py": "data without behaviour",
    "sessions/surroundings.py": "protocols and data without behaviour",
    "sessions/asking.py": "data without behaviour",
    "sessions/backend.py": "protocols; every backend is held to them by sessions/conformance.py",
    "store/base.py": "a protocol; test_memory holds every store to it",
}
"""Modules that promise nothing that could be broken, or whose promise is kept by others."""

ELSEWHERE: Mapping[str, str] = {
    "__main__.py": "conftest.py",  # gateway_process starts `python -m rhetor`
    "entrance.py": "test_app.py",
    "http/checkup.py": "http/test_providers.py",
    "http/jelmore/table.py": "http/sessions/test_table.py",
    "http/media/asked.py": "http/media/test_generate.py",
    "http/media/table.py": "http/media/test_generate.py",
    "cli/remote.py": "cli/test_models.py",
    "cli/setting.py": "cli/test_check.py",
    "migrate/book.py": "migrate/test_names.py",
    "migrate/document.py": "migrate/test_table.py",
    "migrate/finding.py": "migrate/test_source.py",
    "migrate/imports.py": "migrate/test_point.py",
    "migrate/packages.py": "migrate/test_vendors.py",
    "migrate/page.py": "migrate/test_table.py",
    "migrate/patch.py": "migrate/test_write.py",
    "migrate/phrases.py": "migrate/test_python.py",
    "migrate/reading.py": "migrate/test_scan.py",
    "migrate/script_names.py": "migrate/test_script.py",
    "services/command.py": "services/test_compose.py",
    "services/entry.py": "services/test_roster.py",
    "services/listening.py": "services/test_launch.py",
    "services/making.py": "services/test_roster.py",
    "services/probing.py": "services/test_launch.py",
    "services/reuse.py": "services/test_roster.py",
    "services/spec.py": "services/test_environment.py",
    "rows.py": "test_assembly.py",
    "sessions/archive.py": "sessions/test_manager.py",
    "sessions/commands.py": "sessions/test_session.py",
    "sessions/off.py": "sessions/test_manager.py",
    "plugins/program.py": "plugins/test_git.py",
    "plugins/report.py": "plugins/test_desk.py",
    "plugins/shelf.py": "plugins/test_desk.py",
    "providers/spec.py": "providers/test_builtin.py",
}
"""Modules that are tested from further away, and where."""

MODULES = sorted(
    str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"
)


def has_tests(module: str) -> bool:
    path = Path(module)
    room = TESTS / path.parent
    return (
        (room / f"test_{path.stem}.py").is_file()
        or any((room / path.stem).glob("test_*.py"))
        or (path.parent != Path() and (room.parent / f"test_{path.parent.name}.py").is_file())
    )


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_tests(module: str) -> None:
    if module in DECLARATIONS or module in ELSEWHERE:
        return
    path = Path(module)
    expected = Path("tests") / path.parent / f"test_{path.stem}.py"
    assert has_tests(module), f"write {expected}, or say in {Path(__file__).name} why there is none"


@pytest.mark.parametrize("module", [*DECLARATIONS, *ELSEWHERE])
def test_an_exception_is_one(module: str) -> None:
    """No exception outlives its module, or its reason."""
    assert module in MODULES, f"there is no {module}"
    assert not has_tests(module), f"{module} has tests of its own: it needs no exception"


@pytest.mark.parametrize("module", ELSEWHERE)
def test_what_is_tested_elsewhere_is(module: str) -> None:
    assert (TESTS / ELSEWHERE[module]).is_file()
