"""A score is what was seen, and nothing better."""

from __future__ import annotations

import pytest

from tests.faults import judging as j
from tests.faults.fault import TEXT, Column, Fault, Judge, Score
from tests.faults.judging import judged
from tests.faults.observation import Heard, Observation, Refusal
from tests.faults.scorecard import scorecard
from tests.faults.table import COLUMNS, FAULTS, Cell

COLUMN = Column("openai", True)
NOTHING = Fault(name="nothing", plays=lambda stage: None)
NO = Refusal(400, "no, because of this")


def seen(*calls: Heard, primary: tuple[float, ...] = (0.0,), fallback: tuple[float, ...] = ()) -> Observation:
    return Observation(calls=calls, primary=primary, fallback=fallback, trips=[], began_s=0.0)


@pytest.mark.parametrize(
    ("heard", "score"),
    [
        (Heard(text=TEXT), Score.PASS),
        (Heard(text=TEXT[:-5]), Score.FAIL),
        (Heard(text=TEXT + " more"), Score.FAIL),
        (Heard(), Score.FAIL),
        (Heard(text=TEXT, tools=[("unasked", {})]), Score.FAIL),
        (Heard(text=TEXT, wrong=["no [DONE]"]), Score.FAIL),
        (Heard(text=TEXT, hung=True), Score.FAIL),
        (Heard(refusal=NO), Score.SAFE),
        (Heard(text=TEXT[:50], refusal=NO), Score.SAFE),
        (Heard(refusal=NO, wrong=["an object where a string belongs"]), Score.FAIL),
    ],
)
def test_what_a_caller_hears(heard: Heard, score: Score) -> None:
    assert judged(NOTHING, COLUMN, seen(heard)).score is score


def test_the_worst_call_counts() -> None:
    calls = [Heard(text=TEXT), Heard(refusal=NO), Heard(text=TEXT)]
    assert judged(NOTHING, COLUMN, seen(*calls)).score is Score.SAFE


@pytest.mark.parametrize(
    ("heard", "may_answer", "score"),
    [
        (Heard(refusal=NO), False, Score.PASS),
        (Heard(refusal=Refusal(502, "something else")), False, Score.SAFE),
        (Heard(text=TEXT), False, Score.PARTIAL),
        (Heard(text=TEXT), True, Score.PASS),
        (Heard(text="made up"), True, Score.FAIL),
    ],
)
def test_where_an_error_is_right(heard: Heard, may_answer: bool, score: Score) -> None:
    fault = Fault(name="no", plays=lambda stage: None, refusal=NO.message, may_answer=may_answer)
    assert judged(fault, COLUMN, seen(heard)).score is score


@pytest.mark.parametrize(
    ("judge", "primary", "content"),
    [
        (j.once(), (5.0,), True),
        (j.once(), (), False),
        (j.once(), (5.0, 6.0), False),
        (j.tries(2, within_s=1.5), (5.0, 6.0, 7.0), True),
        (j.tries(2, within_s=1.5), (5.0, 6.0, 6.4), False),
        (j.pauses(1.8), (5.0, 7.0), True),
        (j.pauses(1.8), (5.0, 6.0), False),
        (j.returns(60.0, 30.0), (5.0, 80.0), True),
        (j.returns(60.0, 30.0), (5.0, 95.0), False),
        (j.returns(60.0, 30.0), (5.0,), False),
        (j.tries_while_down(1, 60.0), (1.0, 61.0, 61.5), True),
        (j.tries_while_down(1, 60.0), (1.0, 2.0), False),
        (j.both(j.once(), j.fallback_tries(0)), (1.0,), True),
    ],
)
def test_how_the_primary_was_treated(judge: Judge, primary: tuple[float, ...], content: bool) -> None:
    heard = Heard(text=TEXT, began_s=0.0, ended_s=100.0)
    assert (judge(seen(heard, primary=primary)) == []) is content


def test_a_complaint_makes_a_pass_partial_and_nothing_worse() -> None:
    slow = Heard(text=TEXT, began_s=0.0, ended_s=20.0)
    fault = Fault(name="slow", plays=lambda stage: None, judge=j.faster(15.0))
    verdict = judged(fault, COLUMN, seen(slow))
    assert (verdict.score, verdict.why) == (Score.PARTIAL, ["took 20.0 s instead of 15"])


def test_the_sixteen_are_sixteen_and_no_name_comes_twice() -> None:
    assert [fault.number for fault in FAULTS if fault.number is not None] == list(range(1, 17))
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len({str(column) for column in COLUMNS}) == len(COLUMNS)


def test_the_answer_has_sixty_words() -> None:
    assert len(TEXT.split()) == 60


def test_the_scorecard_counts_what_passes() -> None:
    cells = [Cell(fault, column) for fault in FAULTS[:2] for column in COLUMNS[:2]]
    scores = (Score.PASS, Score.FAIL, Score.PASS, Score.PASS)
    verdicts = {cell: j.Verdict(score) for cell, score in zip(cells, scores, strict=True)}
    lines = scorecard(verdicts).splitlines()
    assert lines[0] == "|  | openai whole | openai stream |"
    assert lines[2].endswith("| pass | fail |")
    assert lines[-1] == "| **of 2** | **2** | **1** |"
