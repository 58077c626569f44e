"""The clock that tests move."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rhetor.core.clock import Clock
from rhetor.testing.clock import BEGINNING, FakeClock


def test_both_times_stand_still_until_it_is_moved() -> None:
    clock: Clock = FakeClock()
    assert clock.monotonic_s() == clock.monotonic_s()
    assert clock.utc() == BEGINNING


def test_both_times_move_together() -> None:
    clock = FakeClock()
    clock.advance(1.5)
    clock.advance(60)
    assert clock.monotonic_s() == 61.5
    assert clock.utc() == BEGINNING + timedelta(seconds=61.5)


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="-1"):
        FakeClock().advance(-1)
