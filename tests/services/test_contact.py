"""A server that is silent comes back, or not; one that somebody waits for may be busy."""

from __future__ import annotations

import pytest

from rhetor.services import contact
from rhetor.services.contact import MISSES, Contact


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact, "PROBE_EVERY_S", 0.0)


class Looks:
    """Says no until it says yes; lets something happen at one of the looks."""

    def __init__(self, yes_at: int, calls_until: int = 0) -> None:
        self.contact = Contact()
        self.contact.calls = 1 if calls_until else 0
        self.told: list[int] = []
        self.looks = 0
        self._yes_at = yes_at
        self._calls_until = calls_until

    async def look(self) -> bool:
        self.looks += 1
        if self.looks == self._calls_until:
            self.contact.calls = 0
        return self.looks >= self._yes_at

    async def outcome(self) -> bool:
        return await self.contact.comes_back(self.look, 0.0, lambda: self.told.append(self.looks))


@pytest.mark.parametrize(
    ("looks", "outcome", "looked", "told"),
    [
        (Looks(1), True, 1, []),
        (Looks(MISSES), True, MISSES, []),
        (Looks(MISSES + 1), False, MISSES, [MISSES]),
        (Looks(1000, calls_until=50), False, 50, [MISSES]),
        (Looks(50, calls_until=1000), True, 50, [MISSES]),
    ],
    ids=["answers", "is late", "is silent", "was called in vain", "was busy"],
)
async def test_silence(looks: Looks, outcome: bool, looked: int, told: list[int]) -> None:
    assert await looks.outcome() is outcome
    assert (looks.looks, looks.told) == (looked, told)
