"""What tests of vendors' languages share."""

from __future__ import annotations

import pytest

from rhetor.wire.media import errand


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pauses for long before it is asked again how far the work is."""
    monkeypatch.setattr(errand, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(errand, "LONGEST_PAUSE_S", 0.05)
