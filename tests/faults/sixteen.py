"""The sixteen faults by which gateways are compared: two retries, one fallback, sixty words one at a time."""

from __future__ import annotations

from rhetor.core.errors import Code
from rhetor.testing import (
    Step,
    cuts,
    fails,
    garbage,
    hangs,
    no_done,
    refuses_prefill,
    resets,
    slow,
)
from rhetor.testing.seen import Seen
from tests.faults import judging as j
from tests.faults.fault import FALLBACK, FALLBACK_USAGE, PRIMARY, PRIMARY_USAGE, TEXT, Fault, Stage

DOWN_S = 60.0
BACK_WITHIN_S = 30.0
EVERY_S = 4.0
WHOLE_S = 150.0  # a reply in one piece may rightly take minutes; nobody waits for ever
TOO_LONG = "prompt is too long: 9000 tokens exceed the context length of 8192"
POLICY = "Output blocked by content filtering policy: rivers are not to be spoken of"
TOLD_PRIMARY = PRIMARY_USAGE.input_tokens, PRIMARY_USAGE.output_tokens
TOLD_FALLBACK = FALLBACK_USAGE.input_tokens, FALLBACK_USAGE.output_tokens


def _without_prefill(stage: Stage) -> None:
    stage.primary.always(cuts(after=40))
    stage.fallback.always(refuses_prefill(TEXT, FALLBACK_USAGE))


def _down_for_a_while(stage: Stage) -> None:
    def play(seen: Seen) -> Step:
        return fails(503) if seen.arrived_s - stage.began_s < DOWN_S else Step()

    stage.primary.always(play)


SIXTEEN: tuple[Fault, ...] = (
    Fault(
        number=1,
        name="429 with Retry-After: 2, once",
        plays=lambda stage: stage.primary.next(fails(429, headers={"retry-after": "2"})),
        judge=j.both(j.tries(2, within_s=1.5), j.pauses(1.8)),
    ),
    Fault(
        number=2,
        name="429 always, without a header",
        plays=lambda stage: stage.primary.always(fails(429)),
        judge=j.both(j.tries(4, within_s=3.0), j.tries(6), j.served_by(FALLBACK)),
    ),
    Fault(
        number=3,
        name="500 once",
        plays=lambda stage: stage.primary.next(fails(500)),
        judge=j.both(j.tries(2, least=2), j.fallback_tries(0), j.served_by(PRIMARY)),
    ),
    Fault(
        number=4,
        name="503 always",
        plays=lambda stage: stage.primary.always(fails(503)),
        judge=j.both(j.tries(3), j.served_by(FALLBACK)),
    ),
    Fault(
        number=5,
        name="TCP reset before headers, once",
        plays=lambda stage: stage.primary.next(resets()),
        judge=j.both(j.tries(2, least=2), j.fallback_tries(0)),
    ),
    Fault(
        number=6,
        name="accepts and never answers",
        plays=lambda stage: stage.primary.always(hangs()),
        judge=j.both(j.once(), j.served_by(FALLBACK), j.faster(60.0)),
        judge_whole=j.both(j.once(), j.served_by(FALLBACK), j.faster(WHOLE_S)),
        patient=True,
    ),
    Fault(
        number=7,
        name="headers at once, first token after 20 s",
        plays=lambda stage: stage.primary.always(slow(first_event_s=20.0)),
        judge=j.both(j.once(), j.faster(15.0)),
        # A reply in one piece may rightly take 20 s, and has no first token to be judged by.
        judge_whole=j.both(j.once(), j.faster(25.0)),
        patient=True,
    ),
    Fault(
        number=8,
        name="cut after 40 of 60 words",
        plays=lambda stage: stage.primary.always(cuts(after=40)),
        judge=j.tries(3),
    ),
    Fault(
        number=9,
        name="stall of 30 s after 20 words",
        plays=lambda stage: stage.primary.next(hangs(after=20, for_s=30.0)),
        judge=j.faster(45.0),
        calls_at_s=(0.0, 0.0),  # the second sees whether all is well again
        patient=True,
    ),
    Fault(
        number=10,
        name="the tenth event is no JSON",
        plays=lambda stage: stage.primary.always(garbage(at=10)),
        judge=j.tries(2),
    ),
    Fault(
        number=11,
        name="properly ended, but no [DONE]",
        plays=lambda stage: stage.primary.always(no_done()),
        judge=j.both(j.once(), j.fallback_tries(0), j.faster(5.0), j.usage(TOLD_PRIMARY)),
    ),
    Fault(
        number=12,
        name="400 context length",
        plays=lambda stage: stage.primary.always(fails(400, TOO_LONG, code=Code.CONTEXT_LENGTH)),
        judge=j.once(),
        # Nobody knows how much the fallback's model takes, so both are right.
        refusal=TOO_LONG,
        may_answer=True,
    ),
    Fault(
        number=13,
        name="400 content policy",
        plays=lambda stage: stage.primary.always(fails(400, POLICY, code=Code.CONTENT_POLICY)),
        judge=j.both(j.once(), j.fallback_tries(0)),
        refusal=POLICY,
    ),
    Fault(
        number=14,
        name="cut after 40 words, and the fallback takes no prefill",
        plays=_without_prefill,
        judge=j.both(j.tries(3), j.fallback_tries(2)),
    ),
    Fault(
        number=15,
        name="503 for 60 s, 20 requests 4 s apart",
        plays=_down_for_a_while,
        judge=j.both(j.tries_while_down(1, DOWN_S), j.returns(DOWN_S, BACK_WITHIN_S)),
        # Some more of them, since the primary may take 30 s to be noticed.
        calls_at_s=tuple(n * EVERY_S for n in range(20 + 4)),
        patient=True,
    ),
    Fault(
        number=16,
        name="accounting",
        plays=lambda stage: stage.primary.always(fails(500)),
        judge=j.both(
            j.tries(3),
            j.served_by(FALLBACK),
            j.usage(TOLD_FALLBACK),
            j.booked(TOLD_FALLBACK, FALLBACK),
        ),
    ),
)
