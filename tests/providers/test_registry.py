"""The registry: one snapshot at a time, and it never changes."""

from __future__ import annotations

import pytest

from rhetor.core.errors import Code, UpstreamError
from rhetor.providers.registry import Registry, Snapshot
from rhetor.routing.catalog import Target, build_catalog
from tests.providers.test_provider import provider

LAB = provider()


def snapshot() -> Snapshot:
    return Snapshot({"lab": LAB}, build_catalog([], []))


def test_a_target_is_found() -> None:
    assert snapshot().provider_of(Target("lab", "small")) is LAB


def test_a_target_whose_provider_is_gone() -> None:
    """An error of ours, so that the next target is tried."""
    with pytest.raises(UpstreamError, match="no provider 'gone'") as caught:
        snapshot().provider_of(Target("gone", "small"))
    assert caught.value.code is Code.NOTHING_TO_TRY


def test_swapping_gives_back_what_was_there() -> None:
    """Whoever swaps has pools to close."""
    old, new = snapshot(), snapshot()
    registry = Registry(old)
    assert registry.swap(new) is old
    assert registry.snapshot is new


def test_snapshots_are_told_apart() -> None:
    """Also two that say the same: trips are counted by the one they began with."""
    assert snapshot() != snapshot()
    assert len({snapshot(), snapshot()}) == 2
