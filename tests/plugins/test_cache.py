"""A digest stands for the same files everywhere, and for nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rhetor.plugins.cache import Cache, digest_of, discard


def make(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("a")
    (folder / "sub/b").write_text("b")
    (folder / "link").symlink_to("a")
    return folder


def kept(tmp_path: Path) -> tuple[Cache, str]:
    cache = Cache(tmp_path / "cache")
    with cache.arriving() as place:
        arrived = make(place / "plugin")
        digest = digest_of(arrived)
        cache.keep(arrived, digest)
    return cache, digest


def test_the_same_files_have_the_same_digest_wherever_they_are(tmp_path: Path) -> None:
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    os.utime(other / "a", (0, 0))
    (other / "a").chmod(0o444)
    (other / "empty").mkdir()
    assert digest_of(one) == digest_of(other)


CHANGES: dict[str, Callable[[Path], object]] = {
    "bytes": lambda folder: (folder / "a").write_text("b"),
    "a name": lambda folder: (folder / "a").rename(folder / "c"),
    "a place": lambda folder: (folder / "sub/b").rename(folder / "b"),
    "one more": lambda folder: (folder / "sub/c").write_text(""),
    "one less": lambda folder: (folder / "a").unlink(),
    "a right": lambda folder: (folder / "a").chmod(0o755),
    "a link's target": lambda folder: ((folder / "link").unlink(), (folder / "link").symlink_to("sub/b")),
    "a link in place of a file": lambda folder: ((folder / "a").unlink(), (folder / "a").symlink_to("sub/b")),
    "a pipe": lambda folder: os.mkfifo(folder / "pipe"),
    "names that run together": lambda folder: (folder / "a\n- 1:").write_text("a"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_is_another_digest(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder = make(tmp_path / "one")
    before = digest_of(folder)
    change(folder)
    assert digest_of(folder) != before


def test_what_is_kept_is_read_only_and_what_is_not_kept_is_gone(tmp_path: Path) -> None:
    cache, digest = kept(tmp_path)
    place = cache.place_of(digest)
    assert cache.is_intact(digest)
    assert [oct(path.stat().st_mode & 0o777) for path in (place, place / "sub", place / "a")] == [
        "0o555",
        "0o555",
        "0o444",
    ]
    with cache.arriving() as arriving:
        (arriving / "x").write_text("x")
    assert not arriving.exists()


def test_what_somebody_changed_is_found_out_and_replaced_when_it_comes_again(tmp_path: Path) -> None:
    cache, digest = kept(tmp_path)
    (cache.place_of(digest) / "a").chmod(0o644)
    (cache.place_of(digest) / "a").write_text("evil")
    assert not cache.is_intact(digest)
    assert kept(tmp_path)[1] == digest
    assert cache.is_intact(digest)


def test_the_rest_is_swept(tmp_path: Path) -> None:
    cache, digest = kept(tmp_path)
    stray = cache.place_of("0" * 64)
    stray.mkdir()
    (stray / "x").write_text("x")
    stray.chmod(0o555)
    cache.sweep({digest})
    assert cache.is_intact(digest)
    assert not stray.exists()
    discard(cache.place_of(digest))
    assert not cache.is_intact(digest)
