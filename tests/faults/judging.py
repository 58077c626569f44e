"""From what was seen to a score, and the judges that the table is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from tests.faults.fault import Column, Complaint, Fault, Judge, Score
from tests.faults.observation import Heard, Observation

EVER = inf


@dataclass(frozen=True, slots=True)
class Verdict:
    score: Score
    why: Sequence[str] = ()


def judged(fault: Fault, column: Column, seen: Observation) -> Verdict:
    """What a cell of the scorecard gets, and for what."""
    verdicts = [_of_call(fault, heard) for heard in seen.calls]
    worst = min(verdicts, key=lambda verdict: verdict.score)
    if worst.score < Score.PASS:
        return worst
    complaints = fault.judge_of(column)(seen)
    return Verdict(Score.PARTIAL, complaints) if complaints else Verdict(Score.PASS)


def _of_call(fault: Fault, heard: Heard) -> Verdict:
    if heard.hung:
        return Verdict(Score.FAIL, [f"nothing more came; heard so far: {heard.text[-40:]!r}"])
    if heard.wrong:
        return Verdict(Score.FAIL, heard.wrong)
    if heard.refusal is not None:
        return _of_refusal(fault, heard)
    if fault.refusal is not None and not fault.may_answer and heard.text == fault.answer:
        return Verdict(Score.PARTIAL, ["answered, where the caller should have been told no"])
    if (heard.text, tuple(heard.tools)) != (fault.answer, fault.tools):
        return Verdict(Score.FAIL, [f"presented as a success: {_differs(heard, fault)}"])
    return Verdict(Score.PASS)


def _of_refusal(fault: Fault, heard: Heard) -> Verdict:
    assert heard.refusal is not None
    if fault.refusal is None:
        return Verdict(Score.SAFE, [f"refused: {heard.refusal}"])
    if fault.refusal not in heard.refusal.message:
        return Verdict(Score.SAFE, [f"refused without the reason: {heard.refusal}"])
    return Verdict(Score.PASS)


def _differs(heard: Heard, fault: Fault) -> str:
    if tuple(heard.tools) != fault.tools:
        return f"tools {heard.tools}"
    said, wanted = heard.text.split(), fault.answer.split()
    same = next((n for n, (a, b) in enumerate(zip(said, wanted, strict=False)) if a != b), len(said))
    return f"{len(said)} words instead of {len(wanted)}, the first {same} of them right"


# Judges.


def both(*judges: Judge) -> Judge:
    """Content when all of them are."""
    return lambda seen: [complaint for judge in judges for complaint in judge(seen)]


def tries(most: int, within_s: float = EVER, least: int = 0) -> Judge:
    """How often the primary may be asked, within so many seconds of the first time."""

    def judge(seen: Observation) -> list[Complaint]:
        counted = [at_s for at_s in seen.primary if at_s - seen.primary[0] < within_s]
        if least <= len(counted) <= most:
            return []
        window = "" if within_s == EVER else f" within {within_s:g} s"
        return [f"the primary was asked {len(counted)} times{window}, not {least} to {most}"]

    return judge


def once() -> Judge:
    return tries(1, least=1)


def fallback_tries(most: int) -> Judge:
    def judge(seen: Observation) -> list[Complaint]:
        asked = len(seen.fallback)
        return [f"the fallback was asked {asked} times, not at most {most}"] if asked > most else []

    return judge


def pauses(least_s: float) -> Judge:
    """Between two tries at the primary lie at least so many seconds."""

    def judge(seen: Observation) -> list[Complaint]:
        gaps = [b - a for a, b in zip(seen.primary, seen.primary[1:], strict=False)]
        return [f"asked again after {gap:.2f} s instead of {least_s:g}" for gap in gaps if gap < least_s]

    return judge


def faster(than_s: float) -> Judge:
    """No call takes longer."""

    def judge(seen: Observation) -> list[Complaint]:
        slow = [heard.elapsed_s for heard in seen.calls if heard.elapsed_s > than_s]
        return [f"took {elapsed_s:.1f} s instead of {than_s:g}" for elapsed_s in slow]

    return judge


def served_by(target: str) -> Judge:
    """Whom the last reply names; the books, where it was kept alive before there was anybody to name."""

    def judge(seen: Observation) -> list[Complaint]:
        named = seen.calls[-1].served_by or seen.trips[-1]["served_by"]
        return [] if named == target else [f"it is said that {named!r} answered, and not {target!r}"]

    return judge


def usage(tokens: tuple[int, int]) -> Judge:
    """What the last reply says was used."""

    def judge(seen: Observation) -> list[Complaint]:
        told = seen.calls[-1].usage
        return [] if told == tokens else [f"the reply tells of {told} tokens, and not of {tokens}"]

    return judge


def booked(tokens: tuple[int, int], target: str) -> Judge:
    """One trip in the books, with one completion: this target's."""

    def judge(seen: Observation) -> list[Complaint]:
        found = [(t["served_by"], t["input_tokens"], t["output_tokens"]) for t in seen.trips]
        wanted = [(target, *tokens)]
        return [] if found == wanted else [f"the books say {found}, and not {wanted}"]

    return judge


def tries_while_down(most: int, until_s: float) -> Judge:
    """How often each request may ask the primary until it is back."""

    def judge(seen: Observation) -> list[Complaint]:
        back_s = seen.began_s + until_s
        complaints = []
        for n, heard in enumerate(seen.calls, 1):
            asked = [at_s for at_s in seen.primary if heard.began_s <= at_s <= min(heard.ended_s, back_s)]
            if len(asked) > most:
                complaints.append(f"request {n} asked a primary that was down {len(asked)} times")
        return complaints

    return judge


def returns(at_s: float, within_s: float) -> Judge:
    """The primary, back at this time, is asked again so soon."""

    def judge(seen: Observation) -> list[Complaint]:
        back_s = seen.began_s + at_s
        first_s = next((asked_s for asked_s in seen.primary if asked_s >= back_s), EVER)
        late_s = first_s - back_s
        return [] if late_s <= within_s else [f"the primary was asked again after {late_s:.0f} s"]

    return judge
