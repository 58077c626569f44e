"""A request as it was seen, and waiting for what becomes of it."""

from __future__ import annotations

import pytest

from rhetor.testing.http1 import HttpRequest
from rhetor.testing.seen import Outcome, Seen


@pytest.fixture
def seen() -> Seen:
    return Seen(HttpRequest("POST", "/v1/chat?a=b", {"a": "b"}, b'{"model":"small"}'))


def test_the_body_can_be_read(seen: Seen) -> None:
    assert (seen.path, seen.target, seen.json, seen.model) == (
        "/v1/chat",
        "/v1/chat?a=b",
        {"model": "small"},
        "small",
    )


async def test_the_first_ending_counts(seen: Seen) -> None:
    """A caller who leaves after the whole reply has not aborted it."""
    seen.on_end(Outcome.COMPLETED)
    seen.on_end(Outcome.ABORTED)
    assert await seen.ended() is Outcome.COMPLETED


async def test_what_does_not_happen_fails_the_test_and_names_the_request(seen: Seen) -> None:
    for waiting in (seen.hanging, seen.ended, seen.aborted):
        with pytest.raises(AssertionError, match="POST /v1/chat"):
            await waiting(within_s=0.001)
