"""The clock of production."""

from __future__ import annotations

from datetime import timedelta

from rhetor.core.clock import SystemClock


def test_durations_never_go_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic_s() for _ in range(100)]
    assert readings == sorted(readings)


def test_timestamps_are_aware_and_in_utc() -> None:
    assert SystemClock().utc().utcoffset() == timedelta(0)
