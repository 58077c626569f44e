"""Limits of how often: never more than promised in any window, in bounded memory, never open by accident."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.http.ratelimit import Windows, place_of
from rhetor.testing.clock import FakeClock


def test_gives_what_is_promised_and_then_refuses() -> None:
    windows = Windows(3, 60.0, FakeClock())

    given = [windows.take("ada") for _ in range(4)]

    assert [it.remaining for it in given] == [2, 1, 0, 0]
    assert [it.retry_after_s for it in given] == [None, None, None, 60.0]
    assert windows.take("bob").retry_after_s is None


def test_gives_again_as_soon_as_a_call_has_left_the_window() -> None:
    clock = FakeClock()
    windows = Windows(2, 60.0, clock)
    windows.take("ada")
    clock.advance(20)
    windows.take("ada")
    clock.advance(30)

    refused = windows.take("ada")
    assert (refused.retry_after_s, refused.retry_after) == (10.0, 10)
    assert (refused.reset_at - clock.utc()).total_seconds() == 10

    clock.advance(10)
    assert windows.take("ada").retry_after_s is None
    assert windows.take("ada").retry_after_s == 20.0


def test_says_it_in_headers() -> None:
    clock = FakeClock()
    windows = Windows(1, 60.0, clock)

    allowed, refused = windows.take("ada"), windows.take("ada")

    reset = str(int(clock.utc().timestamp()) + 60)
    assert allowed.headers == {
        "x-ratelimit-limit": "1",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": reset,
    }
    assert refused.headers == {**allowed.headers, "retry-after": "60"}


def test_when_there_is_room_for_no_more_keys_the_oldest_is_forgotten() -> None:
    clock = FakeClock()
    windows = Windows(2, 60.0, clock, most_keys=3)
    for name in ("a", "b", "c"):
        windows.take(name)

    windows.take("a")

    assert [windows.take("stranger").retry_after_s for _ in range(3)] == [None, None, 60.0]

    assert len(windows) == 3
    assert windows.take("a").retry_after_s == 60.0, "who came lately is known still"
    assert windows.take("b").remaining == 1, "and who came longest ago begins anew"

    clock.advance(60)
    windows.take("c")
    assert len(windows) == 1


def test_a_refusal_keeps_a_key_from_being_forgotten() -> None:
    windows = Windows(1, 60.0, FakeClock(), most_keys=2)
    for name in ("a", "b", "a", "c"):
        windows.take(name)

    assert windows.take("a").retry_after_s == 60.0


def test_a_call_can_be_given_back() -> None:
    windows = Windows(2, 60.0, FakeClock())
    for _ in range(10):
        assert windows.take("ada").remaining == 1
        windows.give_back("ada")

    assert len(windows) == 0
    windows.give_back("nobody")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, ""),
        ("/run/gateway.sock", "/run/gateway.sock"),
    ],
)
def test_whom_an_address_stands_for(address: str | None, place: str) -> None:
    assert place_of(address) == place


@pytest.mark.parametrize("limit", [1, 2, 5])
@given(waits=st.lists(st.tuples(st.floats(0, 40), st.sampled_from("ab")), max_size=60))
def test_never_more_than_promised_in_any_window(limit: int, waits: list[tuple[float, str]]) -> None:
    clock = FakeClock()
    windows = Windows(limit, 60.0, clock)
    allowed: dict[str, list[float]] = {"a": [], "b": []}

    for wait_s, key in waits:
        clock.advance(wait_s)
        if windows.take(key).retry_after_s is None:
            allowed[key].append(clock.monotonic_s())

    for times in allowed.values():
        assert all(late - early >= 60.0 for early, late in zip(times, times[limit:], strict=False))
        assert all(early <= late for early, late in pairwise(times))
