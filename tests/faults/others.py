"""What operators of gateways report besides: faults that no comparison has, and that happen all the same."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

from rhetor.core.content import Thinking
from rhetor.testing import (
    Step,
    broken_chunked,
    calls,
    cuts,
    error_in_200,
    fails,
    gzip,
    hangs,
    no_finish_reason,
    refuses_prefill,
    says,
    slow,
    usage_in_last_chunk,
)
from rhetor.testing.seen import Seen
from tests.faults import judging as j
from tests.faults.fault import (
    FALLBACK,
    FALLBACK_USAGE,
    PRIMARY,
    PRIMARY_USAGE,
    TEXT,
    TOOL,
    Column,
    Fault,
    Less,
    Score,
    Stage,
)
from tests.faults.sixteen import TOLD_PRIMARY

STALLED = 200
OTHERWISE = TEXT.replace("river", "brook")
THOUGHTS = "A stone is in the way of the river and so I should think of what water does then"
SKEW = timedelta(hours=1)
RETRY_AFTER_S = 2


def _streamed(column: Column) -> bool:
    return column.streamed


def _whole(column: Column) -> bool:
    return not column.streamed


def _whole_http(column: Column) -> bool:
    """A WebSocket has pings."""
    return _whole(column) and column.door != "ws"


def _tool_call_cut(stage: Stage) -> None:
    stage.primary.always(calls(TOOL, usage=PRIMARY_USAGE).but(cuts(after=3)))
    stage.fallback.always(calls(TOOL, usage=FALLBACK_USAGE))


def _thinking_cut(stage: Stage) -> None:
    thinking = says(Thinking(THOUGHTS, "signature"), TEXT, usage=PRIMARY_USAGE)
    stage.primary.always(thinking.but(cuts(after=5)))
    stage.fallback.always(says(Thinking(THOUGHTS, "signature"), TEXT, usage=FALLBACK_USAGE))


def _prefill_refused(stage: Stage) -> None:
    stage.primary.always(cuts(after=40))
    stage.fallback.always(refuses_prefill(TEXT, FALLBACK_USAGE))


def _told_otherwise(stage: Stage) -> None:
    """The fallback has words of its own for whoever has heard some already."""

    def play(seen: Seen) -> Step:
        streamed = seen.heard is not None and seen.heard.stream
        return says(OTHERWISE if streamed else TEXT, usage=FALLBACK_USAGE)

    stage.primary.always(cuts(after=40))
    stage.fallback.always(play)


def _both_slow(stage: Stage) -> None:
    for upstream in (stage.primary, stage.fallback):
        upstream.always(slow(first_event_s=30.0).but(says(TEXT)))


def _clock_ahead(stage: Stage) -> None:
    """An hour ahead of ours, as `Date` says, and in that time the wait is given."""

    def play(_: Seen) -> Step:
        now = stage.clock.utc() + SKEW
        again = now + timedelta(seconds=RETRY_AFTER_S)
        fields = {
            "date": format_datetime(now, usegmt=True),
            "retry-after": format_datetime(again, usegmt=True),
            "anthropic-ratelimit-requests-reset": again.isoformat(),
            "x-ratelimit-reset-requests": f"{RETRY_AFTER_S}s",
        }
        return fails(429, headers=fields)

    stage.primary.next(play)


OTHERS: tuple[Fault, ...] = (
    Fault(
        name="tool call cut",
        plays=_tool_call_cut,
        judge=j.tries(3),
        answer="",
        tools=(TOOL,),
        less=(Less(Score.SAFE, "half a tool call cannot be taken back, nor gone on with", _streamed),),
    ),
    Fault(
        name="thinking cut",
        plays=_thinking_cut,
        judge=j.tries(3),
        less=(Less(Score.SAFE, "what another model would think cannot be joined to it", _streamed),),
    ),
    Fault(
        name="cut after 40 words, and the fallback goes on from there",
        plays=lambda stage: stage.primary.always(cuts(after=40)),
        judge=j.both(j.tries(3), j.fallback_tries(1)),
        prefill=True,
    ),
    Fault(
        name="cut after 40 words, and the fallback does not go on although it should",
        plays=_prefill_refused,
        judge=j.both(j.tries(3), j.fallback_tries(2)),
        prefill=True,
    ),
    Fault(
        name="cut after 40 words, and the fallback tells it otherwise",
        plays=_told_otherwise,
        judge=j.tries(3),
        less=(Less(Score.SAFE, "two texts that differ are not glued together", _streamed),),
    ),
    Fault(
        name="three deployments on one account share a 429",
        plays=lambda stage: stage.primary.always(fails(429, headers={"retry-after": "20"})),
        judge=j.both(j.once(), j.served_by(FALLBACK)),
        deployments=3,
    ),
    Fault(
        name="200 streams stall at another provider",
        plays=lambda stage: stage.primary.always(hangs(after="headers")),
        judge=j.faster(5.0),
        model=FALLBACK,
        stalled=STALLED,
    ),
    Fault(
        name="closes between headers and body",
        plays=lambda stage: stage.primary.always(cuts(after="headers")),
        judge=j.both(j.tries(3), j.served_by(FALLBACK)),
    ),
    Fault(
        name="chunked encoding broken after 30 words",
        plays=lambda stage: stage.primary.always(broken_chunked(after=30)),
        judge=j.tries(3),
    ),
    Fault(
        name="gzip",
        plays=lambda stage: stage.primary.always(gzip()),
        judge=j.both(j.once(), j.fallback_tries(0)),
    ),
    Fault(
        name="first token after 30 s, behind a proxy that cuts after 5 s (`keepalive_s: 2`)",
        plays=_both_slow,
        judge=j.faster(60.0),
        server={"keepalive_s": 2.0},
        proxy_idle_s=5.0,
        patient=True,
        less=(Less(Score.FAIL, "before an HTTP reply in one piece there is nothing to say", _whole_http),),
    ),
    Fault(
        name="529 overloaded",
        plays=lambda stage: stage.primary.always(fails(529)),
        judge=j.both(j.tries(3), j.served_by(FALLBACK)),
    ),
    Fault(
        name="an error inside a 200, first thing",
        plays=lambda stage: stage.primary.always(error_in_200()),
        judge=j.both(j.tries(3), j.served_by(FALLBACK)),
    ),
    Fault(
        name="an error inside a 200, after 20 words",
        plays=lambda stage: stage.primary.always(error_in_200(after=20)),
        judge=j.tries(3),
    ),
    Fault(
        name="no finish reason",
        plays=lambda stage: stage.primary.always(no_finish_reason()),
        judge=j.both(j.once(), j.fallback_tries(0)),
    ),
    Fault(
        name="usage only in the last chunk with a choice",
        plays=lambda stage: stage.primary.always(usage_in_last_chunk()),
        judge=j.both(j.once(), j.usage(TOLD_PRIMARY)),
    ),
    Fault(
        name="Retry-After by a clock that is an hour ahead",
        plays=_clock_ahead,
        judge=j.both(j.pauses(RETRY_AFTER_S - 0.2), j.served_by(PRIMARY)),
        calls_at_s=(0.0, 3.0 * RETRY_AFTER_S),
        patient=True,
    ),
)
