"""Contents by their digest; that they are kept and found is held by the tests of assets, for both kinds."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.store.blobs import INCOMING, PIECE_BYTES, FileBlobs
from rhetor.tasks import spawn


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "assets")
    draft = blobs.draft()
    await draft.write(b"x")
    digest = await draft.finish()
    await draft.keep()
    place = tmp_path / "assets" / digest[:2] / digest
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (place.parent, place.parent.parent)} == {0o700}


async def test_a_writer_who_is_cancelled_leaves_nothing_open_and_nothing_behind(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    draft = blobs.draft()

    async def write() -> None:
        while True:
            await draft.write(bytes(PIECE_BYTES))

    writing = spawn(write(), "writing")
    async with asyncio.timeout(10):
        while draft.size < 3 * PIECE_BYTES:
            await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    draft.drop()
    draft.drop()
    assert await blobs.stored() == set()
    assert list((tmp_path / INCOMING).iterdir()) == []


async def test_what_the_disk_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "assets").write_text("a file where a folder should be")
    draft = FileBlobs(tmp_path / "assets").draft()
    await draft.write(b"x")
    with pytest.raises(RhetorError) as caught:
        await draft.finish()
    assert caught.value.code is Code.UNAVAILABLE
    assert "assets cannot be written" in caught.value.message


async def test_what_is_gone_is_told(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    with pytest.raises(RhetorError) as caught:
        await blobs.read("ab" * 32, 0, 1)
    assert caught.value.code is Code.UNAVAILABLE
    await blobs.remove(["ab" * 32])
