"""Steps combine."""

from __future__ import annotations

from rhetor.testing import Step, cuts, fails, garbage, gzip, hangs, headers, no_done, resets, says, slow


def test_a_step_that_says_nothing_changes_nothing() -> None:
    step = says("hi").but(cuts(after=1), gzip(), slow(gap_s=1))
    assert step.but(Step()) == step == Step().but(step)


def test_of_two_contents_the_later_wins() -> None:
    assert says("hi").but(fails(503)).content == fails(503).content


def test_of_two_endings_the_later_wins() -> None:
    assert cuts(after=1).but(resets(after=2)).breaks == resets(after=2).breaks


def test_headers_edits_and_pauses_add_up() -> None:
    step = hangs(after=1).but(hangs(after=2), headers({"a": "1"}), headers({"b": "2"}), garbage(), no_done())
    assert len(step.pauses) == len(step.edits) == len(step.headers) == 2


def test_combining_leaves_the_parts_as_they_were() -> None:
    step = says("hi")
    step.but(gzip(), headers({"a": "1"}))
    assert step == says("hi")
