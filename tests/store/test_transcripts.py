"""What every keeper of transcripts promises, held against the one in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping

import pytest

from rhetor.core.clock import Clock
from rhetor.core.errors import BadRequest, Code
from rhetor.store.base import Entry, Transcripts
from rhetor.store.memory import MemoryTranscripts
from rhetor.testing.clock import FakeClock

KEEPERS: Mapping[str, Callable[[Clock], Transcripts]] = {"memory": MemoryTranscripts}
WHERE = ("context", "ann", "c1")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=list(KEEPERS.values()), ids=list(KEEPERS))
def transcripts(request: pytest.FixtureRequest, clock: FakeClock) -> Transcripts:
    made: Transcripts = request.param(clock)
    return made


def entry(n: int, text: str = "hello") -> Entry:
    return Entry(f"m{n}", {"role": "user", "content": text}, text, FakeClock().utc())


async def test_what_was_never_begun(transcripts: Transcripts) -> None:
    assert await transcripts.find(*WHERE) is None
    assert list(await transcripts.read(*WHERE)) == []
    assert list(await transcripts.list("context", "ann", 10)) == []
    assert not await transcripts.remove(*WHERE)
    assert not await transcripts.forget(*WHERE, "m1")


async def test_entries_come_back_in_order_and_once(transcripts: Transcripts) -> None:
    await transcripts.append(*WHERE, [entry(1), entry(2)])
    await transcripts.append(*WHERE, [entry(2, "again"), entry(3)])
    assert list(await transcripts.read(*WHERE)) == [entry(1), entry(2), entry(3)]


@pytest.mark.parametrize(("last", "ids"), [(0, []), (1, ["m3"]), (2, ["m2", "m3"]), (9, ["m1", "m2", "m3"])])
async def test_only_the_last_ones(transcripts: Transcripts, last: int, ids: list[str]) -> None:
    await transcripts.append(*WHERE, [entry(n) for n in (1, 2, 3)])
    assert [it.id for it in await transcripts.read(*WHERE, last)] == ids


async def test_its_summary(transcripts: Transcripts, clock: FakeClock) -> None:
    began = clock.utc()
    await transcripts.append(*WHERE, [entry(1)])
    clock.advance(5)
    await transcripts.describe(*WHERE, {"title": "one"})
    found = await transcripts.find(*WHERE)
    assert found is not None
    assert (found.id, found.entries, found.about) == ("c1", 1, {"title": "one"})
    assert (found.created_at, found.updated_at) == (began, clock.utc())


async def test_what_was_changed_last_comes_first(transcripts: Transcripts, clock: FakeClock) -> None:
    for id in ("a", "b", "c", "a"):
        clock.advance(1)
        await transcripts.append("context", "ann", id, [entry(1)])
        await transcripts.describe("context", "ann", id, {})
    await transcripts.append("context", "bob", "d", [entry(1)])
    await transcripts.append("other", "ann", "e", [entry(1)])
    assert [it.id for it in await transcripts.list("context", "ann", 2)] == ["a", "c"]


async def test_words_are_found_whatever_their_case(transcripts: Transcripts) -> None:
    await transcripts.append(*WHERE, [entry(1, "A red Fox"), entry(2, "a dog"), entry(3, "FOXES")])
    assert [it.id for it in await transcripts.search(*WHERE, "fox", 9)] == ["m3", "m1"]
    assert [it.id for it in await transcripts.search(*WHERE, "fox", 1)] == ["m3"]


async def test_one_entry_is_taken_out(transcripts: Transcripts) -> None:
    await transcripts.append(*WHERE, [entry(1), entry(2)])
    assert await transcripts.forget(*WHERE, "m1")
    assert [it.id for it in await transcripts.read(*WHERE)] == ["m2"]


async def test_who_is_not_the_owner_finds_nothing(transcripts: Transcripts) -> None:
    await transcripts.append(*WHERE, [entry(1)])
    assert list(await transcripts.read("context", "bob", "c1")) == []
    assert not await transcripts.remove("context", "bob", "c1")
    assert await transcripts.remove(*WHERE)
    assert await transcripts.find(*WHERE) is None


async def test_memory_is_bounded() -> None:
    transcripts = MemoryTranscripts(FakeClock(), kept_bytes=20_000)
    for n in range(20):
        await transcripts.append("context", "ann", str(n), [entry(1, "x" * 500)])
    assert 5 < len(await transcripts.list("context", "ann", 99)) < 20
    assert await transcripts.find("context", "ann", "19") is not None
    assert await transcripts.find("context", "ann", "0") is None


async def test_one_that_grows_and_grows_loses_its_oldest_entries_and_nobody_else_anything() -> None:
    transcripts = MemoryTranscripts(FakeClock(), kept_bytes=50_000, transcript_bytes=20_000)
    await transcripts.append("context", "ann", "small", [entry(1)])
    for n in range(100):
        await transcripts.append(*WHERE, [entry(n, "x" * 1_000)])
    kept = [it.id for it in await transcripts.read(*WHERE)]
    assert 5 < len(kept) < 20
    assert kept == [f"m{n}" for n in range(100)][-len(kept) :]
    assert await transcripts.find("context", "ann", "small") is not None


async def test_what_is_too_large_is_refused_and_changes_nothing() -> None:
    transcripts = MemoryTranscripts(FakeClock(), transcript_bytes=20_000)
    await transcripts.append(*WHERE, [entry(1)])
    await transcripts.describe(*WHERE, {"title": "one"})
    for entries in ([entry(2, "x" * 10_000)], [entry(n, "x" * 1_000) for n in range(2, 12)]):
        with pytest.raises(BadRequest) as refused:
            await transcripts.append(*WHERE, entries)
        assert refused.value.code is Code.TOO_LARGE
    with pytest.raises(BadRequest):
        await transcripts.describe(*WHERE, {"title": "x" * 20_000})
    found = await transcripts.find(*WHERE)
    assert found is not None
    assert (found.entries, found.about) == (1, {"title": "one"})


@pytest.mark.parametrize("text", ["x", "x" * 1_100, "€" * 300 + "😀"], ids=["short", "long", "wide"])
@pytest.mark.parametrize("many", [True, False], ids=["many transcripts", "one transcript"])
async def test_what_is_counted_is_what_memory_is_filled(text: str, many: bool) -> None:
    transcripts = MemoryTranscripts(FakeClock(), kept_bytes=1 << 20)
    tracemalloc.start()
    try:
        for n in range(3_000):
            await transcripts.append("context", "ann", str(n * many), [entry(n, f"{text}{n}")])
        assert tracemalloc.get_traced_memory()[0] < 1.1 * (1 << 20)
    finally:
        tracemalloc.stop()
