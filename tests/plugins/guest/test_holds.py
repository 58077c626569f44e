"""What is in use is held, by whoever lives; what the dead have left is removed."""

from __future__ import annotations

import os
from pathlib import Path

from rhetor.plugins.guest.holds import YOUNG_S, hold, remove_left


def test_several_hold_it_together_or_one_alone(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "file.lock"):
        one, other = hold(path), hold(path)
        assert one is not None
        assert other is not None
        assert hold(path, alone=True) is None
        one.close()
        one.close()
        other.close()
        alone = hold(path, alone=True)
        assert alone is not None
        assert hold(path) is None
        alone.close()


def test_only_what_nobody_holds_is_removed(tmp_path: Path) -> None:
    names = ("ours-left", "ours-held", "ours-young", "theirs")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text("x")
        if name != "ours-young":
            os.utime(tmp_path / name, (0, 0))
    (tmp_path / "ours-link").symlink_to(tmp_path / "theirs")
    held = hold(tmp_path / "ours-held")
    assert held is not None
    remove_left(tmp_path, "ours-")
    held.close()
    assert sorted(os.listdir(tmp_path)) == ["ours-held", "ours-link", "ours-young", "theirs"]
    assert YOUNG_S > 0
