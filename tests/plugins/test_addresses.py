"""Nothing is fetched from inside that was not meant to be."""

from __future__ import annotations

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.plugins.addresses import ensure_outside


def test_a_name_is_looked_up_before_it_is_fetched_from() -> None:
    """What a name leads to counts, not how it looks."""
    with pytest.raises(BadRequest, match=r"localhost is inside \(.*\); .*plugins\.allowed_hosts") as caught:
        ensure_outside("localhost", 443, ())
    assert caught.value.code is Code.FORBIDDEN
    assert "127.0.0.1" in ensure_outside("localhost", 443, {"localhost"})
    assert ensure_outside("8.8.8.8", 443, ()) == ("8.8.8.8",)
