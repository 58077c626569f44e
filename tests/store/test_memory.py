"""What every ledger promises, held against the one in memory; others join by a line in `LEDGERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rhetor.core.record import AttemptRecord, TripRecord
from rhetor.core.usage import Usage
from rhetor.store.base import Ledger
from rhetor.store.memory import MemoryLedger

LEDGERS: Mapping[str, Callable[[], Ledger]] = {"memory": MemoryLedger}


@pytest.fixture(params=list(LEDGERS.values()), ids=list(LEDGERS))
def ledger(request: pytest.FixtureRequest) -> Ledger:
    made: Ledger = request.param()
    return made


def trip(n: int, **said: Any) -> TripRecord:
    usual: dict[str, Any] = {
        "id": f"gen_{n}",
        "at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n),
        "door": "openai",
        "capability": "text-to-text",
        "requested_model": "fast",
        "served_by": "lab/small",
        "model_known": True,
        "outcome": "ok",
        "stream": False,
        "fallback": False,
        "attempts": (AttemptRecord("lab/big", "overloaded", 1), AttemptRecord("lab/small", "ok", 5)),
        "usage": Usage(11, 7, 3, 2, 1, source="estimated"),
        "cost_micros": 42,
        "first_event_ms": 20,
        "total_ms": 100,
    }
    return TripRecord(**{**usual, **said})


async def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    assert list(await ledger.latest(10)) == []


async def test_the_newest_comes_first(ledger: Ledger) -> None:
    await ledger.append([trip(1), trip(2)])
    await ledger.append([trip(3)])
    assert [record.id for record in await ledger.latest(10)] == ["gen_3", "gen_2", "gen_1"]


@pytest.mark.parametrize(("limit", "ids"), [(0, []), (1, ["gen_3"]), (2, ["gen_3", "gen_2"])])
async def test_no_more_than_asked_for(ledger: Ledger, limit: int, ids: list[str]) -> None:
    await ledger.append([trip(n) for n in (1, 2, 3)])
    assert [record.id for record in await ledger.latest(limit)] == ids


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"served_by": None, "outcome": "no_key", "cost_micros": 0, "first_event_ms": None, "attempts": ()},
        {"cost_micros": None, "component": "ergon", "principal": "ci", "cached": True, "stream": True},
        {"requested_model": "日本 🦀 \"quoted\"", "usage": Usage(10**12, 10**12)},
    ],
    ids=["usual", "failed", "unpriced", "odd"],
)  # fmt: skip
async def test_a_record_comes_back_as_it_was(ledger: Ledger, said: dict[str, Any]) -> None:
    record = trip(1, **said)
    await ledger.append([record])
    assert list(await ledger.latest(1)) == [record]


async def test_an_empty_batch_changes_nothing(ledger: Ledger) -> None:
    await ledger.append([])
    assert list(await ledger.latest(1)) == []


async def test_what_is_there_already_is_not_booked_twice(ledger: Ledger) -> None:
    """A batch whose writer was stopped in the middle comes again as a whole."""
    await ledger.append([trip(1), trip(2)])
    await ledger.append([trip(1, total_ms=999), trip(2), trip(3)])
    latest = await ledger.latest(10)
    assert [record.id for record in latest] == ["gen_3", "gen_2", "gen_1"]
    assert latest[-1].total_ms == 100


async def test_what_was_read_does_not_change(ledger: Ledger) -> None:
    await ledger.append([trip(1)])
    read = await ledger.latest(10)
    await ledger.append([trip(2)])
    assert [record.id for record in read] == ["gen_1"]


async def test_memory_keeps_only_the_newest() -> None:
    ledger = MemoryLedger(kept=3)
    await ledger.append([trip(n) for n in range(5)])
    assert [record.id for record in await ledger.latest(10)] == ["gen_4", "gen_3", "gen_2"]
