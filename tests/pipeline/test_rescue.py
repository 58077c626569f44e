"""A reply that breaks off is finished by another target, or ends in an error: never as if it were whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.content import Thinking, ToolUse
from rhetor.core.errors import Code
from rhetor.core.request import Request
from rhetor.core.usage import Usage
from rhetor.routing.catalog import Midstream
from rhetor.testing import (
    Step,
    broken_chunked,
    calls,
    cuts,
    error_in_200,
    fails,
    hangs,
    raw_frames,
    resets,
    says,
    slow,
)
from rhetor.testing.seen import Seen
from rhetor.wire.anthropic import ANTHROPIC
from rhetor.wire.openai import OPENAI
from rhetor.wire.sse import frame
from tests.pipeline.house import House, chat, provider, verbatim

WORDS = [f"word{n}" for n in range(60)]
WHOLE = " ".join(WORDS)
SHORT_S = 0.2
GOLDEN = Path(__file__).parents[1] / "golden"
LANES = pytest.mark.parametrize("ask", [chat, verbatim], ids=["translated", "verbatim"])
BREAKS = [
    pytest.param(cuts(40), Code.CONNECTION_LOST, id="cut"),
    pytest.param(cuts(40, clean=True), Code.TRUNCATED, id="ended in order, without an ending"),
    pytest.param(resets(40), Code.CONNECTION_LOST, id="reset"),
    pytest.param(broken_chunked(40), Code.PROTOCOL, id="bad chunk"),
    pytest.param(error_in_200(after=40), Code.UPSTREAM_ERROR, id="error in a success"),
]


@pytest.fixture(autouse=True)
def ordinary(house: House) -> None:
    """What routes do unless they are told otherwise."""
    house.rule()


def outcomes(attempts: tuple[object, ...]) -> list[tuple[str, str, str]]:
    return [(a.target, a.outcome, a.how) for a in attempts]  # type: ignore[attr-defined]


class TestTheRest:
    @LANES
    @pytest.mark.parametrize(("step", "code"), BREAKS)
    async def test_comes_from_another_target(
        self, house: House, ask: Callable[..., Request], step: Step, code: Code
    ) -> None:
        """Whatever broke, the caller gets every word once."""
        house["a"].says(WHOLE)
        house["a"].next(step)
        house["b"].says(WHOLE)

        heard = await house.ask(ask())

        assert heard.text == WHOLE
        record = await house.booked()
        assert outcomes(record.attempts) == [("a/small", code, ""), ("b/small", "ok", "restarted")]
        assert (record.outcome, record.served_by, record.fallback) == ("ok", "b/small", True)
        assert heard.meta["served_by"] == "b/small"

    @LANES
    async def test_also_after_a_silence(self, house: House, ask: Callable[..., Request]) -> None:
        house.hurry(idle_s=SHORT_S)
        house["a"].next(says(WHOLE).but(hangs(after=20)))
        house["b"].says(WHOLE)

        heard = await house.ask(ask())

        assert heard.text == WHOLE
        assert outcomes((await house.booked()).attempts)[0] == ("a/small", Code.IDLE_TIMEOUT, "")

    @LANES
    @pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
    async def test_is_continued_where_the_row_says_so(
        self, house: House, ask: Callable[..., Request], wire: object
    ) -> None:
        """The second target is handed what was said, and says only what follows."""
        quirks = {"quirks": {"prefill": "plain"}}
        await house.replace(provider("b", house["b"].base_url, wire=wire, **quirks))  # type: ignore[arg-type]
        house["a"].next(says(WHOLE).but(cuts(40)))
        house["b"].says(" " + " ".join(WORDS[40:]))

        heard = await house.ask(ask(max_tokens=500) if ask is verbatim else ask())

        assert heard.text == WHOLE
        assert outcomes((await house.booked()).attempts)[1] == ("b/small", "ok", "continued")
        last = (await house["b"].request()).json["messages"][-1]
        assert last["role"] == "assistant"
        assert " ".join(WORDS[:40]) in str(last["content"])

    @LANES
    async def test_a_target_that_refuses_a_beginning_answers_anew(
        self, house: House, ask: Callable[..., Request]
    ) -> None:
        await house.replace(provider("b", house["b"].base_url, quirks={"prefill": "plain"}))
        house["a"].next(says(WHOLE).but(cuts(40)))

        def picky(seen: Seen) -> Step:
            ends_with_assistant = seen.json["messages"][-1]["role"] == "assistant"
            return fails(400, "must end with a user message") if ends_with_assistant else says(WHOLE)

        house["b"].always(picky)

        heard = await house.ask(ask())

        assert heard.text == WHOLE
        assert outcomes((await house.booked()).attempts) == [
            ("a/small", Code.CONNECTION_LOST, ""),
            ("b/small", Code.INVALID_REQUEST, "continued"),
            ("b/small", "ok", "restarted"),
        ]

    async def test_survives_a_second_break(self, house: House) -> None:
        """As long as somebody is left who was not asked."""
        c = house["b"]
        await house.replace(provider("c", c.base_url))
        house["a"].next(says(WHOLE).but(cuts(40)))
        house["b"].next(says(WHOLE).but(cuts(50)), says(WHOLE))

        heard = await house.ask(chat())

        assert heard.text == WHOLE
        assert [how for _, _, how in outcomes((await house.booked()).attempts)] == [
            "",
            "restarted",
            "restarted",
        ]


class TestTheEnd:
    """A reply that had said why it ends is whole, however its connection ends."""

    @LANES
    @pytest.mark.parametrize("fault", [resets(1), hangs(after=1)], ids=["reset", "silence"])
    @pytest.mark.parametrize(
        ("wire", "name", "last"),
        [
            (OPENAI, "openai/text.sse", b"data: [DONE]"),
            (ANTHROPIC, "anthropic/text.sse", b"event: message_stop"),
        ],
        ids=["openai", "anthropic"],
    )
    async def test_is_not_looked_for_elsewhere(
        self, house: House, ask: Callable[..., Request], wire: Any, name: str, last: bytes, fault: Step
    ) -> None:
        house.hurry(idle_s=SHORT_S)
        await house.replace(provider("a", house["a"].base_url, wire=wire))
        said = (GOLDEN / name).read_bytes().partition(last)[0]
        house["a"].next(raw_frames([said], content_type="text/event-stream").but(fault))

        heard = await house.ask(ask())

        assert heard.failed is None
        assert heard.text
        assert not house["b"].requests
        assert (await house.booked()).outcome == "ok"


class TestNoRest:
    @LANES
    async def test_of_another_text(self, house: House, ask: Callable[..., Request]) -> None:
        """What begins otherwise is not glued to it."""
        house["a"].next(says(WHOLE).but(cuts(40)))
        house["b"].says("something else entirely")

        heard = await house.ask(ask())

        assert heard.failed is not None
        assert heard.failed.code is Code.CONNECTION_LOST
        assert "b/small: diverged" in heard.failed.message
        assert WHOLE.startswith(heard.text)
        assert (await house.booked()).outcome == Code.CONNECTION_LOST

    @LANES
    @pytest.mark.parametrize(
        "step",
        [
            pytest.param(calls(("weather", {"city": "Paris and more"})).but(cuts(2)), id="a tool call"),
            pytest.param(says(Thinking("a long thought it was"), "yes").but(cuts(2)), id="a thought"),
            pytest.param(says("look:", ToolUse("c", "f", '{"a": "b c d"}')).but(cuts(3)), id="a later call"),
        ],
    )
    async def test_within(self, house: House, ask: Callable[..., Request], step: Step) -> None:
        house["a"].next(step)
        house["b"].says(WHOLE)

        heard = await house.ask(ask())

        assert heard.failed is not None
        assert not house["b"].requests

    @pytest.mark.parametrize("ask", [chat, verbatim])
    async def test_where_the_route_wants_none(self, house: House, ask: Callable[..., Request]) -> None:
        house.rule(midstream=Midstream.ERROR)
        house["a"].next(says(WHOLE).but(cuts(40)))

        heard = await house.ask(ask())

        assert heard.failed is not None
        assert not house["b"].requests

    @LANES
    async def test_where_the_target_is_alone(self, house: House, ask: Callable[..., Request]) -> None:
        """In the verbatim lane the caller gets the provider's own last words."""
        house["a"].next(says(WHOLE).but(error_in_200(after=40), slow(gap_s=0.001)))

        heard = await house.ask(ask("a/small"))

        assert heard.failed is not None
        assert len(house["a"].requests) == 1

    async def test_when_nobody_is_left(self, house: House) -> None:
        """The first cause, and every attempt."""
        house["a"].next(says(WHOLE).but(cuts(40)))
        house["b"].always(fails(503))

        heard = await house.ask(chat())

        assert heard.failed is not None
        assert heard.failed.code is Code.CONNECTION_LOST
        assert "b/small: unavailable" in heard.failed.message

    async def test_leaves_somebody_who_is_asked_for_it(self, house: House) -> None:
        """The caller may leave while the rest is looked for: both calls end, and one record is kept."""
        house["a"].next(says(WHOLE).but(cuts(40)))
        house["b"].next(hangs())
        asking = house.start(chat())
        seen = await house["b"].request()

        await asking.leave()

        await seen.aborted()
        record = await house.booked()
        assert record.outcome == Code.CANCELLED
        assert outcomes(record.attempts)[1] == ("b/small", Code.CANCELLED, "restarted")

    async def test_where_the_place_in_the_frames_is_not_known(self, house: House) -> None:
        """Two texts in a row: events do not tell which of them is open."""
        for id in ("a", "b"):
            await house.replace(provider(id, house[id].base_url, wire=ANTHROPIC))
        frames = [
            b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"m"}}\n\n',
            *_text_block(0, "ten percent.", closed=True),
            *_text_block(1, "sales rose", closed=False),
        ]
        house["a"].next(
            raw_frames(frames, content_type="text/event-stream").but(slow(gap_s=0.001), resets(5))
        )
        body = {
            "model": "fast",
            "max_tokens": 9,
            "stream": True,
            "messages": [{"role": "user", "content": "hi"}],
        }

        heard = await house.ask(ANTHROPIC.doors[Capability.CHAT].parse(orjson.dumps(body), {}))

        assert heard.failed is not None
        assert not house["b"].requests


def _text_block(index: int, text: str, closed: bool) -> list[bytes]:
    start = {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}
    said = [start, delta, *([{"type": "content_block_stop", "index": index}] if closed else [])]
    return [frame(orjson.dumps(it), str(it["type"])) for it in said]


class TestHolding:
    async def test_nothing_is_heard_of_a_reply_that_breaks_off(self, house: House) -> None:
        house.rule(midstream=Midstream.HOLD)
        house["a"].always(says("something else entirely").but(cuts(2)))
        house["b"].says(WHOLE)

        heard = await house.ask(chat())

        assert heard.text == WHOLE
        assert outcomes((await house.booked()).attempts)[-1] == ("b/small", "ok", "")

    async def test_the_silence_within_it_counts(self, house: House) -> None:
        house.rule(midstream=Midstream.HOLD)
        house.hurry(idle_s=SHORT_S)
        house["a"].next(says(WHOLE).but(hangs(after=20)))
        house["b"].says(WHOLE)

        assert (await house.ask(chat())).text == WHOLE


class TestTheBill:
    @LANES
    async def test_counts_both(self, house: House, ask: Callable[..., Request]) -> None:
        """What the first said is estimated; the caller is told of one reply, the books of two."""
        house["a"].next(says(WHOLE).but(cuts(40)))
        house["b"].says(WHOLE, usage=Usage(10, 60))

        heard = await house.ask(ask(stream_options={"include_usage": True}) if ask is verbatim else ask())

        told = heard.folded.usage
        assert told is not None
        assert (told.input_tokens, told.output_tokens) == (10, 60)
        record = await house.booked()
        first = -(-len(" ".join(WORDS[:40])) // 4)
        assert first <= record.usage.output_tokens - 60 <= first + 1
        assert record.usage.source == "estimated"
        assert record.cost_micros == record.usage.input_tokens + 10 * record.usage.output_tokens
