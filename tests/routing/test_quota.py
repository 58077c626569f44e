"""What providers allow: windows, keys, repeats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhetor.core.errors import Code
from rhetor.routing.quota import (
    BELIEVED_S,
    LONGEST_WINDOW_S,
    MOST_DOMAINS,
    REFUSED_S,
    RESERVE,
    SHARE,
    Budgets,
    Marks,
    Windows,
)

LIMITED = Code.RATE_LIMITED


class TestWindows:
    @pytest.mark.promise("P19")
    def test_it_is_as_long_as_the_provider_says(self) -> None:
        windows = Windows()
        windows.on_failure("a/m", LIMITED, 100, 2.5)
        assert windows.left_s("a/m", 101) == 1.5
        assert windows.left_s("a/m", 103) == 0
        assert windows.left_s("a/other", 101) == 0

    def test_unsaid_it_doubles_up_to_a_limit(self) -> None:
        windows, now_s, lengths = Windows(), 0.0, []
        for _ in range(7):
            windows.on_failure("a/m", LIMITED, now_s, None)
            lengths.append(windows.left_s("a/m", now_s))
            now_s += lengths[-1]
        assert lengths == [1, 2, 4, 8, 16, LONGEST_WINDOW_S, LONGEST_WINDOW_S]

    def test_a_crowd_that_is_refused_at_once_counts_once(self) -> None:
        windows = Windows()
        for _ in range(100):
            windows.on_failure("a/m", LIMITED, 0, None)
        assert windows.left_s("a/m", 0) == 1

    def test_a_success_after_it_ends_the_row(self) -> None:
        windows = Windows()
        windows.on_failure("a/m", LIMITED, 0, None)
        windows.on_success("a/m", 0.5)
        assert windows.left_s("a/m", 0.5) == 0.5, "it began before the window"
        windows.on_success("a/m", 1)
        windows.on_failure("a/m", LIMITED, 1, None)
        assert windows.left_s("a/m", 1) == 1

    def test_none_is_shortened(self) -> None:
        windows = Windows()
        windows.on_failure("a/m", LIMITED, 0, 10)
        windows.on_failure("a/m", LIMITED, 1, 2)
        assert windows.left_s("a/m", 1) == 9

    def test_nobody_is_believed_for_years(self) -> None:
        windows = Windows()
        windows.on_failure("a/m", LIMITED, 0, 1e9)
        assert windows.left_s("a/m", 0) == BELIEVED_S

    def test_who_is_busy_may_ask_too_but_only_in_words(self) -> None:
        windows = Windows()
        windows.on_failure("a/m", Code.OVERLOADED, 0, None)
        windows.on_failure("b/m", Code.UPSTREAM_ERROR, 0, 5)
        assert not windows.any_left(0)
        windows.on_failure("a/m", Code.OVERLOADED, 0, 3)
        assert windows.left_s("a/m", 0) == 3

    def test_it_does_not_grow_without_end(self) -> None:
        windows = Windows()
        for n in range(MOST_DOMAINS + 1):
            windows.on_failure(f"a/{n}", LIMITED, n * 10, 1)
        assert windows.left_s(f"a/{MOST_DOMAINS}", MOST_DOMAINS * 10) == 1
        assert windows.left_s("a/0", 0) == 0

    def test_also_while_none_has_ended(self) -> None:
        windows = Windows()
        for n in range(2 * MOST_DOMAINS):
            windows.on_failure(f"a/{n}", LIMITED, 0, 10 + n / MOST_DOMAINS)
        left = [n for n in range(2 * MOST_DOMAINS) if windows.left_s(f"a/{n}", 0)]
        assert len(left) <= MOST_DOMAINS
        assert left[-1] == 2 * MOST_DOMAINS - 1, "what ends first is forgotten first"

    def test_those_that_have_ended_count_no_more(self) -> None:
        windows = Windows()
        windows.on_failure("a/m", LIMITED, 0, 2)
        windows.on_failure("b/m", LIMITED, 0, 5)
        assert (windows.any_left(4.9), windows.any_left(5)) == (True, False)
        windows.on_success("b/m", 5)
        windows.on_failure("b/m", LIMITED, 6, 1)
        assert (windows.any_left(6.9), windows.any_left(7)) == (True, False)


class TestMarks:
    @pytest.mark.parametrize("code", REFUSED_S)
    def test_a_refused_key_is_not_used_for_a_while(self, code: Code) -> None:
        marks = Marks()
        marks.on_failure("a/m", code, 0)
        assert marks.is_bad("a/m", REFUSED_S[code] - 1)
        assert not marks.is_bad("a/m", REFUSED_S[code])
        assert not marks.is_bad("a/other", 0), "it may be the model that is refused"

    def test_a_success_or_a_reload_ends_it(self) -> None:
        marks = Marks()
        marks.on_failure("a/m", Code.UPSTREAM_AUTH, 0)
        marks.on_failure("b/m", Code.UPSTREAM_AUTH, 0)
        marks.on_success("a/m")
        assert (marks.is_bad("a/m", 0), marks.is_bad("b/m", 0)) == (False, True)
        marks.clear()
        assert not marks.any_left(0)

    def test_other_failures_are_not_the_keys(self) -> None:
        marks = Marks()
        marks.on_failure("a/m", Code.UNAVAILABLE, 0)
        assert not marks.any_left(0)

    def test_it_does_not_grow_without_end(self) -> None:
        marks = Marks()
        for n in range(MOST_DOMAINS + 1):
            marks.on_failure(f"a/{n}", Code.UPSTREAM_AUTH, n)
        assert not marks.is_bad("a/0", 0)

    def test_those_that_have_ended_count_no_more(self) -> None:
        marks = Marks()
        marks.on_failure("a/m", Code.UPSTREAM_BILLING, 0)
        assert (marks.any_left(59), marks.any_left(60)) == (True, False)
        marks.on_failure("b/m", Code.UPSTREAM_BILLING, 70)
        marks.on_success("b/m")
        marks.on_success("a/m")
        assert not marks.any_left(71)


class TestBudgets:
    def test_a_few_are_always_there(self) -> None:
        budgets = Budgets()
        spent = 0
        while budgets.may_repeat("lab", 0.0):
            budgets.on_repeat("lab", 0.0)
            spent += 1
        assert spent == RESERVE

    def test_one_now_and_then_is_no_storm(self) -> None:
        budgets = Budgets()
        for _ in range(20):
            budgets.on_repeat("lab", 0.0)
        assert not budgets.may_repeat("lab", 0.5)
        assert budgets.may_repeat("lab", 1.0)
        assert budgets.may_repeat("other", 0.5), "each provider has its own"

    @given(st.integers(0, 300), st.integers(0, 300))
    def test_requests_earn_a_share(self, before: int, after: int) -> None:
        """Of a stretch of requests within a second, no more than the share and the reserve are repeated."""
        budgets, repeated = Budgets(), 0
        for _ in range(before + after):
            budgets.on_request("lab")
            if budgets.may_repeat("lab", 0.0):
                budgets.on_repeat("lab", 0.0)
                repeated += 1
        assert repeated <= RESERVE + SHARE * (before + after) + 1
