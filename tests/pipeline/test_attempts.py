"""Attempts: who is asked after whom, and when it is too late for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from rhetor.core.errors import BadRequest, Code
from rhetor.core.request import Request
from rhetor.testing import (
    Gate,
    Step,
    broken_chunked,
    cuts,
    error_in_200,
    fails,
    garbage,
    hangs,
    nowhere,
    raw_frames,
    resets,
    says,
)
from rhetor.transport.base import Progress
from tests.pipeline.house import House, chat, provider, verbatim

SHORT_S = 0.2
LANES = pytest.mark.parametrize("ask", [chat, verbatim], ids=["translated", "verbatim"])
EMPTY = raw_frames([b": ping\n\n", b": ping\n\n"], content_type="text/event-stream")
PAGE = raw_frames([b"<html>busy</html>"], content_type="text/html")
NOT_A_MESSAGE = raw_frames([b'{"object": "surprise"}'])

SILENT_DEATHS = [
    pytest.param(fails(503), Code.UNAVAILABLE, id="unavailable"),
    pytest.param(fails(529), Code.OVERLOADED, id="overloaded"),
    pytest.param(fails(500), Code.UPSTREAM_ERROR, id="error"),
    pytest.param(fails(429), Code.RATE_LIMITED, id="rate limited"),
    pytest.param(fails(401), Code.UPSTREAM_AUTH, id="bad key"),
    pytest.param(fails(404), Code.MODEL_NOT_FOUND, id="no such model"),
    pytest.param(fails(400, code=Code.CONTEXT_LENGTH), Code.CONTEXT_LENGTH, id="too long for this one"),
    pytest.param(fails(503, body=b"<html>"), Code.UNAVAILABLE, id="unavailable, says a page"),
    pytest.param(fails(503).but(cuts("half")), Code.UNAVAILABLE, id="unavailable, and breaks off"),
    pytest.param(resets("request"), Code.CONNECTION_LOST, id="reset before headers"),
    pytest.param(cuts("request"), Code.CONNECTION_LOST, id="hang-up before headers"),
    pytest.param(cuts("headers"), Code.CONNECTION_LOST, id="hang-up after headers"),
    pytest.param(PAGE, Code.PROTOCOL, id="a page"),
]
STREAMED_DEATHS = [
    pytest.param(cuts(0), Code.CONNECTION_LOST, id="hang-up before content"),
    pytest.param(cuts(0, clean=True), Code.TRUNCATED, id="end before content"),
    pytest.param(broken_chunked(0), Code.PROTOCOL, id="bad chunk before content"),
    pytest.param(error_in_200(Code.OVERLOADED), Code.UPSTREAM_ERROR, id="error in a success"),
    pytest.param(EMPTY, Code.TRUNCATED, id="nothing but comments"),
]
WHOLE_DEATHS = [
    pytest.param(cuts("half"), Code.CONNECTION_LOST, id="hang-up in the body"),
    pytest.param(resets("half"), Code.CONNECTION_LOST, id="reset in the body"),
    pytest.param(garbage(), Code.PROTOCOL, id="garbage"),
    pytest.param(NOT_A_MESSAGE, Code.PROTOCOL, id="something else"),
]


class TestFallingBack:
    @LANES
    @pytest.mark.parametrize(("step", "code"), [*SILENT_DEATHS, *STREAMED_DEATHS])
    async def test_while_nothing_was_said(
        self, house: House, ask: Callable[..., Request], step: Step, code: Code
    ) -> None:
        """A target that dies before its first word costs the caller nothing."""
        house["a"].next(step)
        house["b"].says("hello")

        heard = await house.ask(ask())

        assert heard.text == "hello"
        record = await house.booked()
        assert [(a.target, a.outcome) for a in record.attempts] == [("a/small", code), ("b/small", "ok")]
        assert (record.outcome, record.served_by, record.fallback) == ("ok", "b/small", True)
        assert heard.meta["fallback"] is True

    @LANES
    @pytest.mark.parametrize(("step", "code"), [*SILENT_DEATHS, *WHOLE_DEATHS])
    async def test_while_a_reply_in_one_piece_was_not_whole(
        self, house: House, ask: Callable[..., Request], step: Step, code: Code
    ) -> None:
        house["a"].next(step)
        house["b"].says("hello")

        heard = await house.ask(ask(stream=False))

        assert heard.text == "hello"
        assert [a.outcome for a in (await house.booked()).attempts] == [code, "ok"]

    async def test_when_a_reply_in_one_piece_holds_words_and_a_failure(self, house: House) -> None:
        """Nobody has heard the words yet."""
        choice = b'{"index":0,"message":{"content":"par"},"finish_reason":"error"}'
        house["a"].next(raw_frames([b'{"id":"x","model":"small","choices":[%b]}' % choice]))
        house["b"].says("hello")
        heard = await house.ask(chat(stream=False))
        assert heard.text == "hello"
        assert [a.outcome for a in (await house.booked()).attempts] == [Code.UPSTREAM_ERROR, "ok"]

    @pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
    async def test_when_nobody_listens(self, house: House, stream: bool) -> None:
        with nowhere.refused() as base_url:
            await house.replace(provider("a", base_url))
            heard = await house.ask(chat(stream=stream))
        assert heard.text == "hello world"
        assert [a.outcome for a in (await house.booked()).attempts] == [Code.CONNECT_FAILED, "ok"]

    async def test_when_nobody_answers_the_knock(self, house: House) -> None:
        with nowhere.unreachable() as base_url:
            await house.replace(provider("a", base_url, connect_s=SHORT_S))
            heard = await house.ask(chat())
        assert heard.text == "hello world"
        assert [a.outcome for a in (await house.booked()).attempts] == [Code.CONNECT_TIMEOUT, "ok"]

    async def test_when_a_key_is_missing(self, house: House) -> None:
        """A snapshot may be older than what the provider knows of its key."""
        keyless = provider("a", house["a"].base_url, auth={"required": True}, key_env=("A_KEY",))
        await house.replace(keyless)
        assert (await house.ask(chat())).text == "hello world"
        assert [a.outcome for a in (await house.booked()).attempts] == [Code.NO_KEY, "ok"]
        assert house["a"].requests == []

    async def test_to_whom_the_caller_named(self, house: House) -> None:
        house["a"].next(fails(503))
        heard = await house.ask(chat("a/small", fallbacks=("b/small",)))
        assert heard.meta["served_by"] == "b/small"

    @LANES
    async def test_the_next_one_gets_the_same_request(
        self, house: House, ask: Callable[..., Request]
    ) -> None:
        house["a"].next(fails(503))
        await house.ask(ask(text="the same"))
        first, second = house["a"].requests[0].json, house["b"].requests[0].json
        assert first == second
        assert first["messages"] == [{"role": "user", "content": "the same"}]
        assert first["model"] == "small"


class TestStaying:
    @LANES
    @pytest.mark.parametrize(
        "step",
        [cuts(1), cuts(1, clean=True), resets(1), broken_chunked(1)],
        ids=["hang-up", "end", "reset", "bad chunk"],
    )
    async def test_after_the_first_word_nobody_else_is_asked(
        self, house: House, ask: Callable[..., Request], step: Step
    ) -> None:
        """Text of two models is never glued."""
        house["a"].next(says("one two three").but(step))
        heard = await house.ask(ask())
        assert heard.failed is not None
        assert heard.text.startswith("one")
        assert house["b"].requests == []
        assert [a.target for a in (await house.booked()).attempts] == ["a/small"]

    @LANES
    @pytest.mark.parametrize(
        ("step", "code"),
        [
            pytest.param(fails(400), Code.INVALID_REQUEST, id="invalid"),
            pytest.param(fails(413), Code.TOO_LARGE, id="too large"),
            pytest.param(fails(400, code=Code.CONTENT_POLICY), Code.CONTENT_POLICY, id="policy"),
            pytest.param(fails(400).but(cuts("half")), Code.INVALID_REQUEST, id="invalid, and breaks off"),
        ],
    )
    async def test_what_the_caller_did_wrong_is_wrong_everywhere(
        self, house: House, ask: Callable[..., Request], step: Step, code: Code
    ) -> None:
        house["a"].next(step)
        heard = await house.ask(ask())
        assert heard.refused is not None
        assert heard.refused.code is code
        assert heard.refused.origin == "a"
        assert house["b"].requests == []
        record = await house.booked()
        assert (record.outcome, [a.outcome for a in record.attempts]) == (code, [code])

    async def test_a_mistake_that_only_the_second_finds_is_what_the_caller_hears(self, house: House) -> None:
        """Told of the first one's failure instead, the caller would repeat it in vain."""
        house["a"].next(fails(503))
        house["b"].next(fails(400, "messages: too few"))
        heard = await house.ask(chat())
        assert heard.refused is not None
        assert (heard.refused.code, heard.refused.status) == (Code.INVALID_REQUEST, 400)
        assert heard.refused.origin == "b"
        assert heard.refused.message.endswith("(tried a/small: unavailable, b/small: invalid_request)")

    async def test_one_target_that_fails(self, house: House) -> None:
        house["a"].next(fails(503, "come back later", headers={"retry-after": "70"}))
        heard = await house.ask(chat("a/small"))
        assert heard.refused is not None
        assert heard.refused.message == "come back later"
        assert heard.refused.retry_after_s == 70.0
        assert (await house.booked()).served_by is None

    async def test_all_targets_that_fail(self, house: House) -> None:
        """The first failure is the cause, and all are named."""
        house["a"].next(fails(429, "slow down"))
        house["b"].next(resets())
        heard = await house.ask(chat())
        assert heard.refused is not None
        assert heard.refused.code is Code.RATE_LIMITED
        assert heard.refused.message == "slow down (tried a/small: rate_limited, b/small: connection_lost)"
        record = await house.booked()
        assert record.outcome == Code.RATE_LIMITED
        assert [a.outcome for a in record.attempts] == [Code.RATE_LIMITED, Code.CONNECTION_LOST]
        assert not record.fallback

    async def test_the_attempts_of_a_refusal_are_in_its_metadata(self, house: House) -> None:
        house["a"].next(fails(503))
        house["b"].next(fails(503))
        heard = await house.ask(chat())
        assert [(a["target"], a["outcome"]) for a in heard.meta["attempts"]] == [  # type: ignore[union-attr, index, call-overload]
            ("a/small", "unavailable"),
            ("b/small", "unavailable"),
        ]


class TestPatience:
    @pytest.mark.parametrize(
        "step",
        [
            pytest.param(hangs(), id="before headers"),
            pytest.param(hangs(after="headers"), id="after headers"),
            pytest.param(hangs(after=0), id="before content"),
        ],
    )
    async def test_who_is_silent_is_left(self, house: House, step: Step) -> None:
        house.hurry(first_event_s=SHORT_S)
        house["a"].next(step)
        heard = await house.ask(chat())
        assert heard.text == "hello world"
        assert [a.outcome for a in (await house.booked()).attempts] == [Code.FIRST_EVENT_TIMEOUT, "ok"]
        await house["a"].requests[0].aborted()

    async def test_pings_are_silence(self, house: House) -> None:
        """A server that keeps the line open without saying anything has said nothing."""
        house.hurry(first_event_s=SHORT_S)
        house["a"].next(raw_frames([b": ping\n\n"] * 1000).but(Step(gap_s=0.001)))
        assert (await house.ask(chat())).text == "hello world"
        assert [a.outcome for a in (await house.booked()).attempts] == [Code.FIRST_EVENT_TIMEOUT, "ok"]

    async def test_who_cannot_be_reached_in_time(self, house: House) -> None:
        house.hurry(first_event_s=SHORT_S)
        with nowhere.unreachable() as base_url:
            await house.replace(provider("a", base_url))
            assert (await house.ask(chat())).text == "hello world"
        assert [a.outcome for a in (await house.booked()).attempts] == [Code.CONNECT_TIMEOUT, "ok"]

    async def test_who_has_no_slot_free_in_time(self, house: House) -> None:
        """It is our pool that is full: the provider is not to blame."""
        await house.replace(provider("a", house["a"].base_url, limit=1))
        house.hurry(first_event_s=SHORT_S)
        house["a"].next(hangs(after=0))
        call = house.providers["a"].prepare(chat(), "small").call
        occupied = await house.providers["a"].transport.open(call, Progress())
        heard = await house.ask(chat())
        occupied.close()
        assert heard.text == "hello world"
        assert [a.outcome for a in (await house.booked()).attempts] == [Code.POOL_FULL, "ok"]
        assert len(house["a"].requests) == 1, "what waited for a slot was never sent"

    async def test_a_reply_in_one_piece_may_take_its_share_of_the_total(self, house: House) -> None:
        """The first event of such a reply is its last: the clock for first events says nothing there."""
        house.hurry(first_event_s=0.001, total_s=4 * SHORT_S)
        house["a"].next(hangs())
        heard = await house.ask(chat(stream=False))
        assert heard.text == "hello world"
        first, second = (await house.booked()).attempts
        assert (first.outcome, second.outcome) == (Code.FIRST_EVENT_TIMEOUT, "ok")
        assert first.ms >= 2 * SHORT_S * 1000 - 1

    async def test_the_last_target_has_all_the_time_that_is_left(self, house: House) -> None:
        """Leaving it would leave the caller with nothing."""
        house.hurry(first_event_s=0.001)
        gate = Gate()
        house["a"].next(fails(503))
        house["b"].next(hangs(gate))
        asking = house.start(chat())
        await gate.reached()
        await asyncio.sleep(0.01)  # longer than the first event may take
        gate.open()
        await asking.task
        assert (await house.booked()).served_by == "b/small"

    async def test_the_total_is_for_all_attempts_together(self, house: House) -> None:
        house.hurry(total_s=2 * SHORT_S)
        house["a"].next(hangs())
        house["b"].next(hangs())
        heard = await house.ask(chat())
        assert heard.refused is not None
        assert heard.refused.status == 504
        record = await house.booked()
        assert [a.outcome for a in record.attempts] == [Code.FIRST_EVENT_TIMEOUT] * 2
        assert record.total_ms < 1000

    async def test_the_caller_may_want_it_sooner(self, house: House) -> None:
        house["a"].next(hangs())
        house["b"].next(hangs())
        heard = await house.ask(chat(timeout_s=SHORT_S))
        assert heard.refused is not None
        assert heard.refused.status == 504

    async def test_but_not_later(self, house: House) -> None:
        house.hurry(total_s=SHORT_S)
        house["a"].next(hangs())
        heard = await house.ask(chat("a/small", timeout_s=100.0))
        assert heard.refused is not None
        assert heard.refused.status == 504

    async def test_a_job_may_take_longer_but_not_than_its_caller_wants(self, house: House) -> None:
        house.hurry(total_s=0.000_001, job_s=10.0)
        house["a"].next(says("done"), hangs())
        assert (await house.ask(chat("a/small", job=True))).text == "done"
        heard = await house.ask(chat("a/small", job=True, timeout_s=SHORT_S))
        assert heard.refused is not None
        assert heard.refused.status == 504

    @pytest.mark.parametrize("timeout_s", [0.0, -1.0])
    async def test_a_caller_who_has_no_time_gets_no_attempt(self, house: House, timeout_s: float) -> None:
        heard = await house.ask(chat(timeout_s=timeout_s))
        assert heard.refused is not None
        assert heard.refused.code is Code.TOTAL_TIMEOUT
        assert house["a"].requests == []
        assert (await house.booked()).attempts == ()


class TestRepeating:
    async def test_a_repeat_that_is_silent_leaves_time_for_the_others(self, house: House) -> None:
        """After one failure the same target is asked again; it gets no more time than at first."""
        house.rule()
        house.hurry(first_event_s=SHORT_S, total_s=8)
        house["a"].next(fails(500), hangs())

        heard = await house.ask(chat())

        assert heard.text == "hello world"
        record = await house.booked()
        assert [a.outcome for a in record.attempts] == [
            Code.UPSTREAM_ERROR,
            Code.FIRST_EVENT_TIMEOUT,
            "ok",
        ]

    async def test_repeats_are_few_also_when_all_fail_at_the_same_moment(self, house: House) -> None:
        house["a"].always(fails(500))

        await asyncio.gather(*(house.ask(chat("a/small")) for _ in range(100)))

        assert len(house["a"].requests) <= 100 + 10 + 100 // 5 + 5


class TestMistakes:
    async def test_what_cannot_be_said_in_a_language_is_not_the_providers_word(self, house: House) -> None:
        """It was never asked. The next target may speak another language, but here it does not."""
        request = chat()
        request.input = replace(request.input, choices=2)  # type: ignore[type-var]
        heard = await house.ask(request)
        assert heard.refused is not None
        assert (heard.refused.code, heard.refused.origin) == (Code.UNSUPPORTED, None)
        assert house["a"].requests == house["b"].requests == []
        assert [a.outcome for a in (await house.booked()).attempts] == [Code.UNSUPPORTED] * 2

    async def test_a_bug_is_in_the_log_of_attempts(self, house: House) -> None:
        """What nobody foresaw is booked like everything else, and is not hidden behind a fallback."""
        request = chat()
        request.input = replace(request.input, tool_choice="any")  # type: ignore[type-var]
        with pytest.raises(AttributeError):
            await house.ask(request)
        record = await house.booked()
        assert record.outcome == Code.INTERNAL
        assert [(a.target, a.outcome) for a in record.attempts] == [("a/small", Code.INTERNAL)]

    async def test_an_unknown_model_is_a_trip_too(self, house: House) -> None:
        heard = await house.ask(chat("nobody"))
        assert isinstance(heard.refused, BadRequest)
        record = await house.booked()
        assert (record.outcome, record.attempts, record.served_by) == (Code.MODEL_NOT_FOUND, (), None)
