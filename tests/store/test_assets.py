"""Assets: whole or not at all, found by their owner, for a while, and never more than there is room for."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.store.assets import UNTOLD, Asset, Assets
from rhetor.store.blobs import INCOMING, PIECE_BYTES, Blobs, FileBlobs, MemoryBlobs
from rhetor.store.sql.opening import SqlStore, open_store
from rhetor.testing.clock import FakeClock

KEEP_S = 100.0
MIB = 1 << 20
WRITER = Path(__file__).parent / "writing.py"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = open_store(tmp_path)
    yield made
    await made.sessions.close()


@pytest.fixture(params=["files", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return FileBlobs(tmp_path / "assets") if request.param == "files" else MemoryBlobs()


Make = Callable[..., Assets]


@pytest.fixture
def make(blobs: Blobs, store: SqlStore, clock: FakeClock) -> Make:
    async def open_books() -> Any:
        return store.assets

    def made(each_mb: int = 4, all_mb: int = 8) -> Assets:
        return Assets(blobs, open_books, clock, keep_s=KEEP_S, each_mb=each_mb, all_mb=all_mb)

    return made


async def ids(assets: Assets, owner: str = "ann") -> list[str]:
    return [asset.id for asset in await assets.latest(owner, 100)]


async def refused(code: Code, assets: Assets, owner: str, id: str) -> None:
    with pytest.raises(RhetorError) as caught:
        await assets.find(owner, id)
    assert caught.value.code is code


async def test_what_was_put_is_found_by_its_owner(make: Make, blobs: Blobs) -> None:
    assets, data = make(), os.urandom(3 * PIECE_BYTES + 17)
    async with assets.begin("ann", "image/png", name="a.png", generation="gen_1") as writing:
        for at in range(0, len(data), 100_000):
            await writing.write(data[at : at + 100_000])
        asset = await writing.keep()
    found = await assets.find("ann", asset.id)
    assert found == asset
    assert (found.digest, found.size, found.name) == (sha256(data).hexdigest(), len(data), "a.png")
    assert await assets.content(found) == data
    middle = [piece async for piece in assets.pieces(found, 5, PIECE_BYTES + 9)]
    assert b"".join(middle) == data[5 : PIECE_BYTES + 9]
    await refused(Code.NOT_FOUND, assets, "bob", asset.id)
    assert await ids(assets, "bob") == []


async def test_one_content_with_two_names_is_there_until_the_last_is_gone(make: Make, blobs: Blobs) -> None:
    assets = make()
    one, other = [await assets.put(owner, "text/plain", b"same") for owner in ("ann", "bob")]
    assert one.id != other.id
    assert await blobs.stored() == {one.digest}
    await assets.remove("ann", one.id)
    assert await assets.content(await assets.find("bob", other.id)) == b"same"
    await assets.remove("bob", other.id)
    assert await blobs.stored() == set()


async def test_what_has_had_its_time_is_gone(make: Make, blobs: Blobs, clock: FakeClock) -> None:
    assets = make()
    old = await assets.put("ann", "text/plain", b"old")
    await assets.note("gen_1", "ann", clock.utc(), (), {})
    clock.advance(KEEP_S - 1)
    new = await assets.put("ann", "text/plain", b"new")
    assert await ids(assets) == [new.id, old.id]
    clock.advance(1)
    await refused(Code.NOT_FOUND, assets, "ann", old.id)
    assert (await ids(assets), await assets.generations("ann", ["gen_1"])) == ([new.id], {})
    assert await blobs.stored() == {old.digest, new.digest}
    await assets.sweep()
    assert await blobs.stored() == {new.digest}


async def test_what_is_left_half_never_was(make: Make, blobs: Blobs) -> None:
    assets = make()
    async with assets.begin("ann", "image/png") as writing:
        await writing.write(bytes(2 * PIECE_BYTES))
    assert (await ids(assets), await blobs.stored()) == ([], set())


async def test_a_content_that_got_no_name_is_swept_away(
    make: Make, blobs: Blobs, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only with the next start: a database that is away for an hour must not fill the disk."""
    assets = make()
    other = await assets.put("ann", "text/plain", b"named")

    async def fails(asset: Asset) -> None:
        raise RhetorError("the database is away", Code.UNAVAILABLE)

    with monkeypatch.context() as broken:
        broken.setattr(store.assets, "add", fails)
        with pytest.raises(RhetorError):
            await assets.put("ann", "text/plain", b"nameless")
        with pytest.raises(RhetorError):
            await assets.put("bob", "text/plain", b"named")
    assert len(await blobs.stored()) == 2
    await assets.sweep()
    assert await blobs.stored() == {other.digest}


async def test_too_large_is_refused_while_it_comes(make: Make, blobs: Blobs) -> None:
    assets = make(each_mb=1)
    async with assets.begin("ann", "image/png") as writing:
        await writing.write(bytes(MIB // 2))
        await writing.write(bytes(MIB // 2))
        with pytest.raises(RhetorError) as caught:
            await writing.write(b"x")
    assert caught.value.code is Code.TOO_LARGE
    assert "assets.each_mb" in caught.value.message
    assert (await ids(assets), await blobs.stored()) == ([], set())


async def test_many_that_are_written_at_once_do_not_fill_the_disk(make: Make) -> None:
    assets = make(each_mb=4, all_mb=4)
    async with assets.begin("ann", "a/b") as one, assets.begin("bob", "a/b") as other:
        await one.write(bytes(3 * MIB))
        with pytest.raises(RhetorError) as caught:
            await other.write(bytes(2 * MIB))
    assert caught.value.code is Code.POOL_FULL
    await assets.put("bob", "a/b", bytes(3 * MIB))


async def test_who_has_most_makes_room(make: Make, clock: FakeClock) -> None:
    assets = make(each_mb=4, all_mb=8)
    small = await assets.put("bob", "a/b", b"b")
    large: list[Asset] = []
    for n in range(3):
        clock.advance(1)
        large.append(await assets.put("ann", "a/b", bytes([n]) * 3 * MIB))
    assert await ids(assets) == [large[2].id, large[1].id]
    assert await ids(assets, "bob") == [small.id]


@pytest.mark.parametrize("said", ["", "png", "image/png\r\nx: y", "image/pñg", "a/" + "b" * 200])
async def test_a_type_that_could_be_no_header_is_not_told(make: Make, said: str) -> None:
    assert (await make().put("ann", said, b"x")).media_type == UNTOLD


async def test_generations_are_bounded_and_found_by_their_owner(
    make: Make, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rhetor.store.assets.KEPT_GENERATIONS", 3)
    assets = make()
    for n in range(5):
        await assets.note(f"gen_{n}", "ann", clock.utc() + timedelta(seconds=n), [f"gen_{n - 1}"], {"n": n})
    every = [f"gen_{n}" for n in range(5)]
    assert sorted(await assets.generations("ann", every)) == ["gen_2", "gen_3", "gen_4"]
    assert await assets.generations("bob", every) == {}
    await assets.note("gen_4", "ann", clock.utc(), [], {"n": "again"})
    assert (await assets.generations("ann", ["gen_4"]))["gen_4"].document == {"n": 4}


# After us.


def reopened(folder: Path) -> tuple[SqlStore, Assets, FileBlobs]:
    store, blobs = open_store(folder), FileBlobs(folder / "assets")

    async def open_books() -> Any:
        return store.assets

    return store, Assets(blobs, open_books, FakeClock(), keep_s=KEEP_S, each_mb=64, all_mb=640), blobs


async def test_they_are_there_the_next_time_and_nothing_else_is(tmp_path: Path) -> None:
    store, assets, _ = reopened(tmp_path)
    asset = await assets.put("ann", "text/plain", b"here")
    await assets.note("gen_1", "ann", asset.created_at, (), {"a": 1})
    await store.sessions.close()
    (tmp_path / "assets" / INCOMING / "draft_x").write_bytes(b"half")
    (tmp_path / "assets" / "ab").mkdir()
    (tmp_path / "assets" / "ab" / ("ab" * 32)).write_bytes(b"nobody's")
    store, assets, blobs = reopened(tmp_path)
    assert await assets.content(await assets.find("ann", asset.id)) == b"here"
    assert (await assets.generations("ann", ["gen_1"]))["gen_1"].document == {"a": 1}
    assert await blobs.stored() == {asset.digest}
    assert list((tmp_path / "assets" / INCOMING).iterdir()) == []
    await store.sessions.close()


async def test_killed_in_the_middle_of_a_write_it_leaves_no_half_asset(tmp_path: Path) -> None:
    """Whatever can be found afterwards is whole."""
    for round in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(WRITER), str(tmp_path), stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(2 + round * 3):
            assert (await process.stdout.readline()).startswith(b"asset_")
        process.send_signal(signal.SIGKILL)
        kept = [line.decode() for line in (await process.stdout.read()).split()]
        await process.wait()
        store, assets, blobs = reopened(tmp_path)
        found = await assets.latest("ann", 1000)
        assert {id for id in kept if id.startswith("asset_")} <= {asset.id for asset in found}
        for asset in found:
            assert sha256(await assets.content(asset)).hexdigest() == asset.digest
        assert await blobs.stored() == {asset.digest for asset in found}
        await store.sessions.close()
