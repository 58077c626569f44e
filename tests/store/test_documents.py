"""What every keeper of documents promises, held against the one in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from rhetor.store.base import Documents
from rhetor.store.memory import MemoryDocuments

KEEPERS: Mapping[str, Callable[[], Documents]] = {"memory": MemoryDocuments}


@pytest.fixture(params=list(KEEPERS.values()), ids=list(KEEPERS))
def documents(request: pytest.FixtureRequest) -> Documents:
    made: Documents = request.param()
    return made


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


async def test_memory_is_bounded_and_the_least_used_leaves() -> None:
    documents = MemoryDocuments(kept_bytes=5_000)
    for n in range(9):
        await documents.save("response", "ann", str(n), {"text": "x" * 490})
        await documents.load("response", "ann", "0")
    assert await documents.load("response", "ann", "0") is not None
    assert await documents.load("response", "ann", "1") is None
    assert await documents.load("response", "ann", "8") is not None


async def test_one_that_is_larger_than_everything_is_not_kept() -> None:
    documents = MemoryDocuments(kept_bytes=1_000)
    await documents.save("response", "ann", "1", {"text": "x" * 1_000})
    assert await documents.load("response", "ann", "1") is None
