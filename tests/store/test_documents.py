"""What every keeper of documents promises, and what the one in memory promises besides."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.store.base import Documents
from rhetor.store.memory import MemoryDocuments
from rhetor.store.sql.opening import open_store
from rhetor.store.sql.written import LARGEST_BYTES


@pytest.fixture(params=["memory", "sqlite file", "sqlite memory"])
async def documents(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Documents]:
    if request.param == "memory":
        yield MemoryDocuments()
        return
    store = open_store(tmp_path / "state" if request.param == "sqlite file" else None)
    yield store.documents
    await store.sessions.close()


async def test_what_was_saved_is_loaded(documents: Documents) -> None:
    said = {"id": "1", "nested": [{"a": None, "日本": 1.5}]}
    await documents.save("response", "ann", "1", said)
    assert await documents.load("response", "ann", "1") == said


async def test_the_later_one_counts(documents: Documents) -> None:
    await documents.save("response", "ann", "1", {"n": 1})
    await documents.save("response", "ann", "1", {"n": 2})
    assert await documents.load("response", "ann", "1") == {"n": 2}


@pytest.mark.parametrize("key", [("x", "ann", "1"), ("response", "bob", "1"), ("response", "ann", "2")])
async def test_kind_owner_and_id_are_needed(documents: Documents, key: tuple[str, str, str]) -> None:
    await documents.save("response", "ann", "1", {})
    assert await documents.load(*key) is None
    assert not await documents.remove(*key)


async def test_what_was_removed_is_gone(documents: Documents) -> None:
    await documents.save("response", "ann", "1", {})
    assert await documents.remove("response", "ann", "1")
    assert await documents.load("response", "ann", "1") is None


async def test_a_document_cannot_be_changed_through_what_was_loaded(documents: Documents) -> None:
    await documents.save("response", "ann", "1", {"list": []})
    loaded = await documents.load("response", "ann", "1")
    assert isinstance(loaded, dict)
    loaded["list"] = [1]
    assert await documents.load("response", "ann", "1") == {"list": []}


async def test_on_disk_one_that_is_too_large_is_refused_and_costs_nobody_anything(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.documents.save("response", "ann", "1", {"n": 1})
    with pytest.raises(BadRequest) as refused:
        await store.documents.save("response", "ann", "1", {"text": "x" * LARGEST_BYTES})
    assert refused.value.code is Code.TOO_LARGE
    await store.sessions.close()
    store = open_store(tmp_path)
    assert await store.documents.load("response", "ann", "1") == {"n": 1}
    await store.sessions.close()


async def test_memory_is_bounded_and_the_least_used_leaves() -> None:
    documents = MemoryDocuments(kept_bytes=5_000)
    for n in range(9):
        await documents.save("response", "ann", str(n), {"text": "x" * 490})
        await documents.load("response", "ann", "0")
    assert await documents.load("response", "ann", "0") is not None
    assert await documents.load("response", "ann", "1") is None
    assert await documents.load("response", "ann", "8") is not None


async def test_one_that_is_larger_than_everything_is_refused_and_costs_nobody_anything() -> None:
    documents = MemoryDocuments(kept_bytes=3_000)
    await documents.save("response", "ann", "1", {"n": 1})
    with pytest.raises(BadRequest) as refused:
        await documents.save("response", "ann", "1", {"text": "x" * 3_000})
    assert refused.value.code is Code.TOO_LARGE
    assert await documents.load("response", "ann", "1") == {"n": 1}


async def test_who_saves_much_makes_room_himself() -> None:
    documents = MemoryDocuments(kept_bytes=20_000)
    await documents.save("response", "ann", "1", {"n": 1})
    for n in range(50):
        await documents.save("response", "bob", str(n), {"text": "x" * 490})
    assert await documents.load("response", "ann", "1") == {"n": 1}
    assert await documents.load("response", "bob", "49") is not None


async def test_who_comes_late_gets_room_too() -> None:
    documents = MemoryDocuments(kept_bytes=20_000)
    for owner in ("ann", "bob"):
        for n in range(50):
            await documents.save("response", owner, str(n), {"text": "x" * 490})
    kept = {
        owner: sum([await documents.load("response", owner, str(n)) is not None for n in range(50)])
        for owner in ("ann", "bob")
    }
    assert abs(kept["ann"] - kept["bob"]) <= 2, kept


async def test_what_was_saved_just_now_is_there_even_if_it_is_the_largest() -> None:
    documents = MemoryDocuments(kept_bytes=20_000)
    await documents.save("response", "ann", "1", {"text": "x" * 8_000})
    await documents.save("response", "bob", "1", {"text": "x" * 17_000})
    assert await documents.load("response", "bob", "1") is not None
    assert await documents.load("response", "ann", "1") is None


@pytest.mark.parametrize("text", ["x", "x" * 1_100, "€" * 300 + "😀"], ids=["short", "long", "wide"])
async def test_what_is_counted_is_what_memory_is_filled(text: str) -> None:
    documents = MemoryDocuments(kept_bytes=1 << 20)
    tracemalloc.start()
    try:
        for n in range(5_000):
            await documents.save("response", "ann", str(n), {"text": text})
        assert tracemalloc.get_traced_memory()[0] < 1.1 * (1 << 20)
    finally:
        tracemalloc.stop()
