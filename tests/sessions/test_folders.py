"""Where sessions may work."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.sessions.folders import Folders

NO_FOLDERS = [
    *("relative", "", "~/x", "~nobody/x"),
    *(f"{{allowed}}/{name}" for name in ("none", "\0", "loop", "x" * 300)),
]


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    path = tmp_path / "projects"
    (path / "one").mkdir(parents=True)
    return path


@pytest.fixture
def folders(tmp_path: Path, allowed: Path) -> Folders:
    return Folders(tmp_path / "state", [str(allowed)])


async def test_a_session_has_folders_of_its_own(folders: Folders, tmp_path: Path) -> None:
    home, work = folders.home("ses_1"), folders.work("ses_1")
    assert not home.exists()
    await folders.ensure("ses_1", work)
    for folder in (home, work, tmp_path / "state" / "ses_1", tmp_path / "state"):
        assert folder.is_dir()
        assert folder.stat().st_mode & 0o077 == 0
    assert home != folders.home("ses_2")


async def test_a_folder_that_was_exchanged_is_not_worked_in(folders: Folders, allowed: Path) -> None:
    """Between two openings of its backend somebody may put a link there."""
    directory = folders.allowed(str(allowed / "one"))
    await folders.ensure("ses_1", directory)
    (allowed / "one").rmdir()
    (allowed / "two").mkdir()
    (allowed / "one").symlink_to(allowed / "two")
    with pytest.raises(BadRequest, match="in its place"):
        await folders.ensure("ses_1", directory)


async def test_folders_that_cannot_be_made(allowed: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folders = Folders(tmp_path / "file", [])
    with pytest.raises(RhetorError, match=r"store\.folder"):
        await folders.ensure("ses_1", folders.work("ses_1"))


def test_below_an_allowed_folder_it_may_work(folders: Folders, allowed: Path) -> None:
    assert folders.allowed(str(allowed)) == allowed.resolve()
    assert folders.allowed(str(allowed / "one")) == (allowed / "one").resolve()


@pytest.mark.parametrize(
    "directory", ["/", "{allowed}/..", "{allowed}/one/../../..", "{allowed}x", "{allowed}/link"]
)
def test_nowhere_else(folders: Folders, allowed: Path, directory: str) -> None:
    (allowed / "link").symlink_to("/")
    with pytest.raises(BadRequest, match=r"sessions\.directories") as caught:
        folders.allowed(directory.format(allowed=allowed))
    assert caught.value.code is Code.FORBIDDEN


@pytest.mark.parametrize(
    "directory",
    [
        "relative",
        "",
        "~/x",
        "~nobody/x",
        "{allowed}/none",
        "{allowed}/\0",
        "{allowed}/loop",
        "{allowed}/" + "x" * 300,
    ],
)
def test_what_is_no_folder_is_refused(folders: Folders, allowed: Path, directory: str) -> None:
    (allowed / "loop").symlink_to(allowed / "loop")
    with pytest.raises(BadRequest, match="directory: "):
        folders.allowed(directory.format(allowed=allowed))


async def test_what_is_removed_is_gone(folders: Folders, tmp_path: Path) -> None:
    await folders.ensure("ses_1", folders.work("ses_1"))
    (folders.work("ses_1") / "file").write_text("x")
    await folders.remove("ses_1")
    await folders.remove("ses_1")
    assert not (tmp_path / "state" / "ses_1").exists()
