"""Records: what a trip leaves in the books, to the token and the micro-dollar."""

from __future__ import annotations

import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Text, Thinking, ToolResult, ToolUse
from rhetor.core.request import Chat, Embed, Message, Request, Role
from rhetor.core.usage import Usage
from rhetor.routing.catalog import LONGEST_NAME
from rhetor.testing import (
    USAGE,
    FakeClock,
    Gate,
    Step,
    Upstream,
    cuts,
    error_in_200,
    fails,
    hangs,
    no_done,
    raw_frames,
    says,
)
from rhetor.wire.anthropic import ANTHROPIC
from tests.pipeline.house import House, chat, provider, verbatim

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


class TestBooks:
    async def test_usage_that_nobody_reported_is_estimated(self, house: House) -> None:
        house["a"].next(says("12345678", usage=None))
        heard = await house.ask(chat(text="1234"))
        assert (await house.booked()).usage == Usage(1, 2, source="estimated")
        assert heard.meta["usage_source"] == "estimated"
        assert heard.meta["cost_micros"] == 1 + 2 * 10

    async def test_an_estimate_counts_all_that_went_in(self, house: House) -> None:
        """What a tool gave back is most of what an agent sends."""
        messages = (
            Message(Role.SYSTEM, (Text("1234"),)),
            Message(Role.ASSISTANT, (Thinking("1234"), Text("1234"), ToolUse("id", "f", '{"a"'))),
            Message(Role.TOOL, (ToolResult("id", (Text("1" * 400),)),)),
        )
        request = chat()
        request.input = Chat(messages=messages)
        house["a"].next(says("x", usage=None))
        await house.ask(request)
        record = await house.booked()
        assert record.usage.input_tokens == 4 + 100

    async def test_tokens_that_the_caller_counted_are_not_estimated_away(self, house: House) -> None:
        request = Request(
            id="", capability=Capability.EMBEDDINGS, model="fast", input=Embed(inputs=((1, 2, 3), (4, 5)))
        )
        answer = b'{"object":"list","data":[{"index":0,"embedding":[1.0]},{"index":1,"embedding":[1.0]}]}'
        house["a"].next(raw_frames([answer]))
        await house.ask(request)
        assert (await house.booked()).usage == Usage(5, 0, source="estimated")

    async def test_a_reply_that_broke_off_costs_what_was_heard(self, house: House) -> None:
        house["a"].next(says("12345678 12345678 x").but(cuts(2)))
        heard = await house.ask(chat(text="1234"))
        assert heard.text == "12345678 12345678"
        record = await house.booked()
        assert record.usage == Usage(1, 5, source="estimated")
        assert record.cost_micros == 1 + 5 * 10

    async def test_usage_told_at_the_start_does_not_hide_what_came_after(self, house: House) -> None:
        """Anthropic reports one output token when it begins, and the rest when it ends."""
        await house.replace(provider("a", house["a"].base_url, wire=ANTHROPIC))
        house["a"].next(raw_frames(CLAUDE, content_type="text/event-stream").but(cuts(len(CLAUDE))))
        heard = await house.ask(chat())
        assert heard.failed is not None
        record = await house.booked()
        assert record.usage == Usage(1000, -(-len(heard.text) // 4), source="estimated")

    async def test_a_trip_that_nobody_served_costs_nothing(self, house: House) -> None:
        house["a"].always(fails(503))
        await house.ask(chat("a/small"))
        record = await house.booked()
        assert (record.usage, record.cost_micros, record.first_event_ms) == (Usage(), 0, None)

    async def test_an_unknown_price_is_unknown(self, house: House) -> None:
        await house.ask(chat("a/unlisted"))
        record = await house.booked()
        assert record.cost_micros is None
        assert not record.model_known

    async def test_counting_tokens_consumes_none(self, house: House) -> None:
        """The number is the answer: nobody is paid for it."""
        counts = provider(
            "a", house["a"].base_url, wire=ANTHROPIC, capabilities=frozenset({Capability.COUNT_TOKENS})
        )
        await house.replace(counts)
        request = chat("a/small", stream=False)
        request.capability = Capability.COUNT_TOKENS
        heard = await house.ask(request)
        assert heard.folded.usage == Usage(USAGE.input_tokens)
        assert heard.meta["usage_source"] == "provider"
        record = await house.booked()
        assert (record.usage, record.cost_micros) == (Usage(), 0)

    async def test_names_in_the_books_have_an_end(self, house: House) -> None:
        """They are the caller's words, and the books are kept."""
        await house.ask(chat("x" * 100_000, component="y" * 100_000))
        record = await house.booked()
        assert len(record.requested_model) == LONGEST_NAME
        assert record.component is not None
        assert len(record.component) == LONGEST_NAME

    async def test_who_asked(self, house: House) -> None:
        await house.ask(chat(component="ergon", principal="ci"))
        record = await house.booked()
        assert (record.component, record.principal) == ("ergon", "ci")

    async def test_times_come_from_the_clock_that_was_handed_in(self, no_leaks: None) -> None:
        clock = FakeClock()
        async with Upstream() as a, House({"a": a}, clock) as house:
            gate = Gate()
            a.next(hangs(gate))

            async def dawdle() -> None:
                clock.advance(0.2)

            asking = house.start(chat(stream=False), dawdle)
            await gate.reached()
            clock.advance(0.3)
            gate.open()
            await asking.task
            record = await house.booked()
        assert record.at == FakeClock().utc()
        assert (record.first_event_ms, record.total_ms) == (300, 500)
        assert record.attempts[0].ms == 300

    @pytest.mark.parametrize(
        "step",
        [Step(), fails(503), cuts(1), cuts(0), error_in_200(after=1), no_done(), cuts("request")],
        ids=["ok", "refused", "broken", "silent", "error inside", "no goodbye", "hang-up"],
    )
    @STREAMED_OR_WHOLE
    async def test_one_trip_one_record(self, house: House, step: Step, stream: bool) -> None:
        house["a"].always(step)
        house["b"].always(step)
        heard = await house.ask(chat(stream=stream))
        record = await house.booked()
        if heard.refused is not None:
            assert record.outcome == heard.refused.code
        else:
            assert record.outcome == (heard.failed.code if heard.failed else "ok")

    async def test_explaining_is_no_trip(self, house: House) -> None:
        planned = house.pipeline.explain(chat())
        assert [target.name for target in planned.targets] == ["a/small", "b/small"]
        assert await house.books() == []
        assert house["a"].requests == []
