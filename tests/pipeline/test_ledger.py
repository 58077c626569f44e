"""The books: every trip once, in the order they ended, and no reply ever waits for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from rhetor.core.record import AttemptRecord, TripRecord
from rhetor.core.usage import Usage
from rhetor.pipeline import ledger as ledger_module
from rhetor.pipeline.ledger import BATCH_SIZE, LedgerQueue
from rhetor.store.memory import MemoryLedger
from rhetor.tasks import Tasks
from rhetor.testing import Gate


def trip(n: int, **said: object) -> TripRecord:
    usual: dict[str, object] = {
        "id": f"gen_{n}",
        "at": datetime(2026, 1, 1, tzinfo=UTC),
        "door": "openai",
        "capability": "text-to-text",
        "requested_model": "fast",
        "served_by": "lab/small",
        "model_known": True,
        "outcome": "ok",
        "stream": False,
        "fallback": False,
        "attempts": (AttemptRecord("lab/small", "ok", 5),),
        "usage": Usage(11, 7),
        "cost_micros": 42,
        "first_event_ms": 20,
        "total_ms": 100,
    }
    return TripRecord(**{**usual, **said})  # type: ignore[arg-type]


class Store(MemoryLedger):
    """A store that can be slow, or broken."""

    def __init__(self) -> None:
        super().__init__(kept=100_000)
        self.batches: list[int] = []
        self.failures = 0
        self.gate: Gate | None = None

    async def append(self, records: Sequence[TripRecord]) -> None:
        self.batches.append(len(records))
        if self.gate is not None:
            await self.gate.passed()
        if self.failures:
            self.failures -= 1
            raise OSError("disk full")
        await super().append(records)


class Books:
    """A queue with everything that it tells others."""

    def __init__(self, size: int = 1000) -> None:
        self.store = Store()
        self.told: list[str] = []
        self.dropped = 0
        self.queue = LedgerQueue(self.store, self._on_trip, self._on_dropped, size)

    def _on_trip(self, record: TripRecord) -> None:
        if record.door == "cursed":
            raise ValueError("counters can only be incremented by non-negative amounts")
        self.told.append(record.id)

    def _on_dropped(self, lost: int) -> None:
        self.dropped += lost

    async def ids(self) -> list[str]:
        """Oldest first."""
        return [record.id for record in reversed(await self.store.latest(100_000))]

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        tasks = Tasks()
        tasks.spawn(self.queue.write(), "writer")
        yield
        await tasks.close()

    async def written(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(await self.ids()) < count:
                await asyncio.sleep(0)


@pytest.fixture
async def books(no_leaks: None) -> Books:
    return Books()


async def test_every_trip_is_booked_once_and_in_order(books: Books) -> None:
    ids = [f"gen_{n}" for n in range(10)]
    async with books.writing():
        for n in range(10):
            books.queue.put(trip(n))
            await asyncio.sleep(0)
        await books.written(10)
    assert await books.ids() == books.told == ids
    assert books.dropped == 0


async def test_trips_are_booked_in_batches(books: Books) -> None:
    """What gathered while the store was busy goes there in one piece."""
    books.store.gate = Gate()
    async with books.writing():
        books.queue.put(trip(0))
        await books.store.gate.reached()
        for n in range(1, 8):
            books.queue.put(trip(n))
        books.store.gate.open()
        await books.written(8)
    assert books.store.batches == [1, 7]


async def test_batches_have_an_end(books: Books) -> None:
    for n in range(BATCH_SIZE + 1):
        books.queue.put(trip(n))
    await books.queue.flush()
    assert books.store.batches[-2:] == [BATCH_SIZE, 1]


async def test_a_full_queue_drops_and_counts() -> None:
    """Without waiting, and without failing: the reply comes first."""
    books = Books(size=3)
    for n in range(10):
        books.queue.put(trip(n))
    assert books.dropped == 7
    await books.queue.flush()
    assert await books.ids() == ["gen_0", "gen_1", "gen_2"]


async def test_a_store_that_fails_loses_its_batch_and_nothing_else(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    books.store.failures = 1
    async with books.writing():
        books.queue.put(trip(0))
        async with asyncio.timeout(5):
            while not books.dropped:
                await asyncio.sleep(0)
        books.queue.put(trip(1))
        await books.written(1)
    assert await books.ids() == ["gen_1"]
    assert books.dropped == 1
    assert books.told == ["gen_0", "gen_1"], "metrics do not depend on the store"
    assert "store failed" in caplog.messages


async def test_a_metric_that_fails_costs_no_record(books: Books, caplog: pytest.LogCaptureFixture) -> None:
    books.queue.put(trip(0))
    books.queue.put(trip(1, door="cursed"))
    books.queue.put(trip(2))
    await books.queue.flush()
    assert await books.ids() == ["gen_0", "gen_1", "gen_2"]
    assert books.told == ["gen_0", "gen_2"]
    assert "trip not counted" in caplog.messages


async def test_stopping_the_writer_loses_nothing(books: Books) -> None:
    """What it held in its hands when it was stopped is booked by the flush, and so is what still waited."""
    books.store.gate = Gate()
    async with books.writing():
        books.queue.put(trip(0))
        await books.store.gate.reached()
        books.queue.put(trip(1))
    books.store.gate.open()
    await books.queue.flush()
    assert await books.ids() == ["gen_0", "gen_1"]
    assert books.told == ["gen_0", "gen_1"], "and is counted once"
    assert books.dropped == 0


async def test_a_flush_ends_even_if_the_store_does_not(
    books: Books, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A shutdown does not hang on a store; what is lost is counted to the last trip."""
    monkeypatch.setattr(ledger_module, "FLUSH_S", 0.02)
    monkeypatch.setattr(ledger_module, "BATCH_SIZE", 2)
    books.store.gate = Gate()
    for n in range(5):
        books.queue.put(trip(n))
    await books.queue.flush()
    assert books.dropped == 5
    assert [record.__dict__["lost"] for record in caplog.records if record.msg == "ledger not flushed"] == [5]


async def test_flushing_nothing_writes_nothing(books: Books) -> None:
    await books.queue.flush()
    assert books.store.batches == []


class TestLine:
    """The one line that a trip leaves in the log."""

    async def line(
        self, books: Books, caplog: pytest.LogCaptureFixture, record: TripRecord
    ) -> dict[str, object]:
        with caplog.at_level(logging.INFO, "rhetor.pipeline.ledger"):
            books.queue.put(record)
            await books.queue.flush()
        (entry,) = [entry for entry in caplog.records if entry.msg == "trip"]
        (line,) = vars(entry)["each"]
        return dict(line)

    async def test_says_what_an_operator_asks_first(
        self, books: Books, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert await self.line(books, caplog, trip(0, component="ergon")) == {
            "trip": "gen_0",
            "door": "openai",
            "model": "fast",
            "served_by": "lab/small",
            "outcome": "ok",
            "ms": 100,
            "tokens_in": 11,
            "tokens_out": 7,
            "component": "ergon",
        }

    @pytest.mark.parametrize("outcome", ["ok", "overloaded"])
    async def test_names_the_attempts_when_there_is_a_story(
        self, books: Books, caplog: pytest.LogCaptureFixture, outcome: str
    ) -> None:
        attempts = (AttemptRecord("lab/big", "overloaded", 1), AttemptRecord("lab/small", "ok", 5))
        told = attempts if outcome == "ok" else attempts[:1]
        line = await self.line(books, caplog, trip(0, outcome=outcome, attempts=told))
        assert line["attempts"] == [f"{a.target}:{a.outcome}" for a in told]
