"""Trips: one ending for the caller, one record for the books, and nothing left behind, however it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import Code
from rhetor.core.events import Finished, fold
from rhetor.core.request import Embed, Request
from rhetor.pipeline import trip as trip_module
from rhetor.testing import (
    USAGE,
    Gate,
    Step,
    broken_chunked,
    cuts,
    fails,
    hangs,
    no_done,
    raw_frames,
    resets,
    says,
)
from rhetor.wire import sse
from rhetor.wire.anthropic import ANTHROPIC
from tests.pipeline.house import PRICE, Asking, House, chat, provider, verbatim

SHORT_S = 0.2
ABORT_WITHIN_S = 0.25
LANES = pytest.mark.parametrize("ask", [chat, verbatim], ids=["translated", "verbatim"])
STREAMED_OR_WHOLE = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


CLAUDE = [
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"x","model":"m",'
    b'"usage":{"input_tokens":1000,"output_tokens":1}}}\n\n',
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"a beginning that goes nowhere"}}\n\n',
]
"""How Anthropic begins: with usage, before there is any."""


class TestReply:
    @LANES
    @STREAMED_OR_WHOLE
    async def test_what_was_said_is_heard_and_booked(
        self, house: House, ask: Callable[..., Request], stream: bool
    ) -> None:
        heard = await house.ask(ask(stream=stream))

        assert heard.text == "hello world"
        assert heard.folded.usage == USAGE
        record = await house.booked()
        assert (record.outcome, record.served_by, record.fallback) == ("ok", "a/small", False)
        assert (record.usage, record.cost_micros) == (USAGE, PRICE.cost_micros(USAGE))
        assert (record.door, record.capability) == ("test", "text-to-text")
        assert (record.requested_model, record.model_known, record.stream) == ("fast", True, stream)
        assert [(a.target, a.outcome) for a in record.attempts] == [("a/small", "ok")]

    async def test_a_reply_comes_while_it_is_said(self, house: House) -> None:
        gate = Gate()
        house["a"].next(says("one two").but(hangs(gate, after=1)))
        asking = house.start(chat())
        await gate.reached()
        await asking.spoken()
        assert fold(asking.heard).text == "one"
        gate.open()
        await asking.task
        assert fold(asking.heard).text == "one two"

    async def test_the_bytes_of_the_verbatim_lane_are_the_providers(self, house: House) -> None:
        frames = [
            b'data: {"id":"x","model":"m","new":1,"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}], "odd" : [1]}\n\n',
            b"data: [DONE]\n\n",
        ]
        house["a"].next(raw_frames(frames, content_type="text/event-stream"))
        async with house.pipeline.trip(verbatim(), "test") as trip:
            assert trip.verbatim
            raw = b"".join([chunk.raw async for chunk in trip.chunks()])
        assert raw == b"".join(frames)

    async def test_a_trip_has_an_id_unless_it_brings_one(self, house: House) -> None:
        one, other, own = chat(), chat(), chat()
        own.id = "gen_mine"
        ids = {house.pipeline.trip(request, "test").meta["generation_id"] for request in (one, other, own)}
        assert len(ids) == 3
        assert "gen_mine" in ids

    async def test_embeddings_go_the_same_way(self, house: House) -> None:
        embed = Embed(inputs=("a", "b"))
        request = Request(id="", capability=Capability.EMBEDDINGS, model="fast", input=embed)
        heard = await house.ask(request)
        assert sorted(heard.folded.vectors) == [0, 1]
        assert (await house.booked()).capability == "embeddings"

    async def test_a_snapshot_is_kept_to_the_end(self, house: House) -> None:
        """A reload in the middle changes the next trip, not this one."""
        gate = Gate()
        house["a"].next(says("one two").but(hangs(gate, after=1)))
        before = house.pipeline.registry.snapshot
        asking = house.start(chat())
        await asking.spoken()
        house.hurry(idle_s=SHORT_S)
        assert house.pipeline.under_way(before) == 1
        assert house.pipeline.under_way(house.pipeline.registry.snapshot) == 0
        gate.open()
        await asking.task
        assert house.pipeline.under_way(before) == 0
        assert (await house.booked()).outcome == "ok"


class TestMeta:
    async def test_it_is_complete_before_the_last_chunk(self, house: House) -> None:
        house["a"].next(fails(503))
        async with house.pipeline.trip(chat(), "test") as trip:
            ended = [
                dict(trip.meta) async for chunk in trip.chunks() if isinstance(chunk.events[-1], Finished)
            ]
        (meta,) = ended
        assert meta["served_by"] == "b/small"
        assert meta["provider"] == "b"
        assert meta["fallback"] is True
        assert meta["cached"] is False
        assert meta["usage_source"] == "provider"
        assert meta["cost_micros"] == PRICE.cost_micros(USAGE)
        assert [(a["target"], a["outcome"]) for a in meta["attempts"]] == [  # type: ignore[union-attr, index, call-overload]
            ("a/small", "unavailable"),
            ("b/small", "ok"),
        ]

    async def test_what_could_not_be_said_is_named(self, house: House) -> None:
        request = chat()
        request.unsaid = ("metadata",)
        assert (await house.ask(request)).meta["dropped"] == ["metadata"]

    async def test_nothing_is_named_where_all_was_said(self, house: House) -> None:
        assert "dropped" not in (await house.ask(verbatim(metadata={"a": "b"}))).meta

    async def test_a_failed_reply_says_so(self, house: House) -> None:
        house["a"].next(says("one two").but(cuts(1)))
        heard = await house.ask(chat())
        (attempt,) = heard.meta["attempts"]  # type: ignore[misc, union-attr]
        assert attempt["outcome"] == Code.CONNECTION_LOST  # type: ignore[index, call-overload]


class TestBrokenReplies:
    @LANES
    @pytest.mark.parametrize(
        ("step", "code"),
        [
            pytest.param(cuts(1), Code.CONNECTION_LOST, id="hang-up"),
            pytest.param(resets(1), Code.CONNECTION_LOST, id="reset"),
            pytest.param(cuts(1, clean=True), Code.TRUNCATED, id="end without an ending"),
            pytest.param(broken_chunked(1), Code.PROTOCOL, id="bad chunk"),
        ],
    )
    async def test_end_in_exactly_one_failure(
        self, house: House, ask: Callable[..., Request], step: Step, code: Code
    ) -> None:
        """A stream that hangs up is never a success; `ask` checks the grammar."""
        house["a"].next(says("one two three").but(step))
        heard = await house.ask(ask())
        assert heard.text == "one"
        assert heard.failed is not None
        assert heard.failed.code is code
        record = await house.booked()
        assert (record.outcome, record.served_by) == (code, "a/small")
        assert [a.outcome for a in record.attempts] == [code]

    async def test_who_failed_is_named(self, house: House) -> None:
        house["a"].next(says("one two three").but(cuts(1)))
        heard = await house.ask(chat())
        assert heard.failed is not None
        assert heard.failed.origin == "a"

    async def test_a_frame_without_end(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """A decoder that gives up in the middle is one more way to fail, on every wire."""
        monkeypatch.setattr(sse, "FRAME_LIMIT_BYTES", 2000)
        await house.replace(provider("a", house["a"].base_url, wire=ANTHROPIC))
        endless = [b"x" * 1500] * 3
        house["a"].next(
            raw_frames([*CLAUDE, *endless], content_type="text/event-stream").but(Step(gap_s=0.01))
        )
        heard = await house.ask(chat("a/small"))
        assert heard.text == "a beginning that goes nowhere"
        assert heard.failed is not None
        assert heard.failed.code is Code.PROTOCOL
        assert (await house.booked()).outcome == Code.PROTOCOL

    @pytest.mark.parametrize("after", [1, 2])
    async def test_who_falls_silent_is_left(self, house: House, after: int) -> None:
        house.hurry(idle_s=SHORT_S)
        house["a"].next(says("one two three").but(hangs(after=after)))
        heard = await house.ask(chat())
        assert heard.failed is not None
        assert heard.failed.code is Code.IDLE_TIMEOUT
        await house["a"].requests[0].aborted()
        assert (await house.booked()).outcome == Code.IDLE_TIMEOUT

    async def test_who_goes_on_for_ever_is_left(self, house: House) -> None:
        """Never idle, never done: the total deadline counts through the reply."""
        house.hurry(total_s=3 * SHORT_S)
        house["a"].next(says(" ".join("x" * 10_000)).but(Step(gap_s=0.005)))
        heard = await house.ask(chat("a/small"))
        assert heard.failed is not None
        assert heard.failed.code is Code.TOTAL_TIMEOUT
        await house["a"].requests[0].aborted()

    async def test_a_slow_caller_is_not_the_providers_fault(self, house: House) -> None:
        """Time in which nobody reads does not count as the provider's silence."""
        house.hurry(idle_s=SHORT_S)
        house["a"].next(says("one two three").but(Step(gap_s=0.001)))

        async def dawdle() -> None:
            await asyncio.sleep(2 * SHORT_S)

        asking = house.start(chat(), dawdle)
        await asking.task
        assert isinstance(asking.heard[-1], Finished)
        assert (await house.booked()).outcome == "ok"


class TestLingering:
    FRAMES = (
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n',
        b"data: [DONE]\n\n",
    )

    async def test_the_ending_is_heard_before_the_connection_ends(self, house: House) -> None:
        house["a"].next(raw_frames(self.FRAMES, content_type="text/event-stream").but(hangs(after=2)))
        ended = asyncio.Event()
        asking: Asking

        async def listen() -> None:
            if isinstance(asking.heard[-1], Finished):
                ended.set()

        asking = house.start(chat("a/small"), listen)
        async with asyncio.timeout(trip_module.LINGER_S / 2):
            await ended.wait()
        assert not asking.task.done(), "the connection gets a moment to end in order"
        await asking.leave()
        assert (await house.booked()).outcome == "ok", "the caller had heard everything"

    @pytest.mark.parametrize(
        "after",
        [
            pytest.param(hangs(after=2), id="silence"),
            pytest.param(cuts(2), id="hang-up"),
            pytest.param(resets(2), id="reset"),
            pytest.param(broken_chunked(2), id="bad chunk"),
        ],
    )
    async def test_what_happens_after_the_ending_concerns_nobody(
        self, house: House, after: Step, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trip_module, "LINGER_S", SHORT_S)
        house["a"].next(raw_frames(self.FRAMES, content_type="text/event-stream").but(after))
        heard = await house.ask(chat("a/small"))
        assert heard.failed is None
        assert (await house.booked()).outcome == "ok"

    async def test_a_provider_that_says_more_is_not_listened_to_for_long(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Comments without end after the ending must not hold the caller's reply open."""
        monkeypatch.setattr(trip_module, "LINGER_S", SHORT_S)
        pings = [b": ping\n\n"] * 10_000
        step = raw_frames([*self.FRAMES, *pings], content_type="text/event-stream").but(Step(gap_s=0.01))
        house["a"].next(step)
        heard = await house.ask(chat("a/small"))
        assert heard.failed is None
        assert (await house.booked()).total_ms < 20 * SHORT_S * 1000
        await house["a"].requests[0].aborted()

    async def test_a_connection_that_ended_in_order_is_used_again(self, house: House) -> None:
        for _ in range(3):
            await house.ask(chat("a/small"))
        assert house["a"].connections.total == 1

    async def test_an_ending_without_its_last_frame_is_an_ending(self, house: House) -> None:
        """Said why it ended, forgot to say goodbye."""
        house["a"].next(no_done())
        heard = await house.ask(verbatim())
        assert heard.failed is None
        assert (await house.booked()).outcome == "ok"
