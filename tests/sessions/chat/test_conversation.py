"""Chats with real models' calls: what is asked, what is told, and how turns end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.clock import SystemClock
from rhetor.core.content import Thinking
from rhetor.core.errors import BadRequest, Code, RhetorError
from rhetor.core.events import FinishReason
from rhetor.core.request import Request
from rhetor.pipeline.trip import Trip
from rhetor.sessions.backend import Bound, Conversation, Happening, Said, Setup, TurnEnded, Verdict
from rhetor.sessions.chat import Chat, Telling
from rhetor.sessions.chat.conversation import Memory
from rhetor.sessions.event import Event, EventType
from rhetor.testing import FakeClock, Gate, Upstream, cuts, error_in_200, fails, hangs, says
from tests.pipeline.house import House
from tests.sessions.chat.logs import Log
from tests.sessions.conformance import BackendContract, MakeSetup, Say, Turn, is_piece, make_setup, talk

MEMORY = Memory(context_tokens=4_000, summarize_tokens=1_500, keep_s=600.0)
LONG = "word " * 800  # a thousand tokens


class Logged:
    """A chat's conversation whose session writes its log, as sessions do."""

    def __init__(self, conversation: Conversation, log: Log) -> None:
        self._conversation = conversation
        self._log = log
        self.answer = conversation.answer
        self.interrupt = conversation.interrupt
        self.close = conversation.close

    async def send(self, said: Said) -> None:
        self._log.on_said(said)
        await self._conversation.send(said)

    async def happenings(self) -> AsyncIterator[Happening]:
        async for happening in self._conversation.happenings():
            if isinstance(happening, Event):
                self._log.add(happening)
            yield happening


class LoggedChat(Chat):
    log: Log

    async def open(self, setup: Setup) -> Logged:  # type: ignore[override]  # it is one in all that counts
        return Logged(await super().open(setup), self.log)


@pytest.fixture
async def house(no_leaks: None) -> AsyncIterator[House]:
    async with Upstream() as upstream, House({"a": upstream}) as house:
        yield house


@pytest.fixture
def upstream(house: House) -> Upstream:
    return house["a"]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def backend(house: House, log: Log) -> LoggedChat:
    def ask(request: Request) -> Trip:
        return house.pipeline.trip(request, "sessions")

    chat = LoggedChat(ask, SystemClock(), MEMORY)
    chat.log = log
    return chat


@pytest.fixture
def setup(tmp_path: Path, log: Log) -> MakeSetup:
    return lambda **given: make_setup(
        tmp_path, "http://127.0.0.1:1", **{"model": "fast", "history": log.history, **given}
    )


class TestContract(BackendContract):
    """A chat is a backend like any other."""


def asked(upstream: Upstream, nth: int = -1) -> list[tuple[str, str]]:
    return [(it["role"], it["content"]) for it in upstream.requests[nth].json["messages"]]


def answered(turn: Turn) -> dict[str, Any]:
    (last,) = turn.events(EventType.SYSTEM)[-1:]
    told = last.data["answered"]
    assert isinstance(told, dict)
    return told


class TestAnswer:
    async def test_is_told_as_it_comes(self, backend: Chat, setup: MakeSetup, upstream: Upstream) -> None:
        gate = Gate()
        upstream.next(says("one two").but(hangs(gate, after=1)))
        async with talk(backend, setup()) as opened:
            await opened.send("count")
            while not is_piece(first := await opened.next()):
                pass
            assert isinstance(first, Event)
            assert first.content == "one"
            gate.open()
            while not isinstance(await opened.next(), TurnEnded):
                pass

    async def test_says_how_it_came_about(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream, house: House
    ) -> None:
        upstream.next(says("hello world"))
        async with talk(backend, setup(owner="ada", temperature=0.0, max_tokens=50)) as opened:
            turn = await opened.say("hi")

        told = answered(turn)
        assert told["provider"] == "a"
        assert told["model"] == "small"
        assert (told["input_tokens"], told["output_tokens"], told["estimated"]) == (11, 7, False)
        assert (told["finish_reason"], told["fallback"], told["left_out"]) == ("stop", False, 0)
        assert told["message_id"] == turn.events(EventType.ASSISTANT)[0].data["message_id"]
        body = upstream.requests[0].json
        assert (body["temperature"], body["max_completion_tokens"], body["stream"]) == (0.0, 50, True)
        record = await house.booked()
        assert (record.id, record.outcome) == (told["generation_id"], "ok")
        assert (record.principal, record.session) == ("ada", setup().session_id)

    @pytest.mark.promise("P07", "P29")
    async def test_estimates_what_nobody_reports(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream
    ) -> None:
        upstream.next(says("x" * 40, usage=None))
        async with talk(backend, setup(system="y" * 80)) as opened:
            turn = await opened.say("z" * 40)

        told = answered(turn)
        assert (told["input_tokens"], told["output_tokens"], told["estimated"]) == (30, 10, True)

    async def test_that_was_cut_at_its_limit_says_so(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream
    ) -> None:
        upstream.next(says("not all", finish=FinishReason.LENGTH))
        async with talk(backend, setup()) as opened:
            turn = await opened.say("tell me all")

        assert turn.ended == TurnEnded("end")
        assert answered(turn)["finish_reason"] == "length"

    async def test_thoughts_are_told_apart(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream, log: Log
    ) -> None:
        upstream.next(says(Thinking("well"), "forty"), says("two"))
        async with talk(backend, setup()) as opened:
            turn = await opened.say("how many?")
            await opened.say("and?")

        assert "".join(it.content for it in turn.events(EventType.THINKING)) == "well"
        assert turn.text == "forty"
        assert asked(upstream)[:2] == [("user", "how many?"), ("assistant", "forty")]

    async def test_that_breaks_off_ends_the_turn_and_is_remembered(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream
    ) -> None:
        upstream.next(says("one two three").but(cuts(after=2)), says("three"))
        async with talk(backend, setup()) as opened:
            turn = await opened.say("count")
            await opened.say("go on")

        assert turn.ended.reason == "error"
        assert turn.ended.error is not None
        assert turn.ended.error.origin == "a"
        assert asked(upstream) == [("user", "count"), ("assistant", turn.text), ("user", "go on")]

    async def test_a_provider_that_fails_in_its_stream_is_an_error(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream
    ) -> None:
        upstream.always(error_in_200(Code.OVERLOADED))
        async with talk(backend, setup()) as opened:
            turn = await opened.say("hi")

        assert turn.ended.error is not None
        assert turn.ended.error.message == "the script says overloaded"

    async def test_the_model_can_be_changed_on_the_way(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream, log: Log
    ) -> None:
        from rhetor.sessions.chat.transcript import changed_model

        log.add(changed_model("a/large"))
        async with talk(backend, setup()) as opened:
            await opened.say("hi")

        assert upstream.requests[0].model == "large"

    async def test_who_takes_less_is_told_less(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream, log: Log
    ) -> None:
        for n in range(6):
            log.exchange(f"question {n} " + "x" * 400, f"answer {n} " + "y" * 400)
        upstream.next(fails(400, "too long", code="context_length_exceeded"), says("that fits"))
        async with talk(backend, setup()) as opened:
            turn = await opened.say("and now?")

        assert turn.text == "that fits"
        assert len(asked(upstream, 1)) < len(asked(upstream, 0))
        assert asked(upstream, 1)[-1] == ("user", "and now?")
        assert answered(turn)["left_out"] > 0

    async def test_a_message_that_is_too_long_by_itself_is_refused(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream
    ) -> None:
        upstream.always(fails(400, "too long", code="context_length_exceeded"))
        async with talk(backend, setup()) as opened:
            turn = await opened.say("hi")

        assert turn.ended.error is not None
        assert turn.ended.error.code is Code.CONTEXT_LENGTH
        assert len(upstream.requests) == 1


class TestSummary:
    async def test_what_is_older_is_summed_up_before_the_answer(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream, log: Log
    ) -> None:
        log.exchange("what is one?", LONG).exchange("what is two?", LONG)
        upstream.next(says("they talked of numbers"), says("three"), says("four"))
        async with talk(backend, setup(system="Be brief.")) as opened:
            turn = await opened.say("and then?")
            await opened.say("and then?")

        first, *rest = turn.happenings[1:] if isinstance(turn.happenings[0], Bound) else turn.happenings
        assert isinstance(first, Event)
        assert first.data == {"context": "summary", "until": 4, "text": "they talked of numbers"}
        assert rest
        assert (turn.text, turn.ended) == ("three", TurnEnded("end"))
        system, *others = asked(upstream, 1)
        assert "they talked of numbers" in system[1]
        assert others == [("user", "and then?")]
        assert asked(upstream, 2)[0] == system
        assert len(upstream.requests) == 3, "nothing was summed up twice"

    async def test_one_that_fails_costs_only_the_summary(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream, log: Log
    ) -> None:
        log.exchange("what is one?", LONG).exchange("what is two?", LONG)
        upstream.next(fails(500), says("three"), says("four"))
        async with talk(backend, setup()) as opened:
            first = await opened.say("and then?")
            second = await opened.say("and then?")

        assert (first.text, second.text) == ("three", "four")
        assert len(upstream.requests) == 3, "nobody waits again for a summary that fails"

    async def test_what_is_young_is_told_word_for_word(
        self, house: House, setup: MakeSetup, upstream: Upstream, log: Log
    ) -> None:
        clock = FakeClock(log.now)
        backend = LoggedChat(lambda request: house.pipeline.trip(request, "sessions"), clock, MEMORY)
        backend.log = log.exchange("what is one?", LONG).exchange("what is two?", LONG)
        async with talk(backend, setup()) as opened:
            turn = await opened.say("and then?")

        assert len(upstream.requests) == 1
        assert len(asked(upstream)) == 5
        assert turn.ended == TurnEnded("end")

    async def test_it_can_be_interrupted(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream, log: Log
    ) -> None:
        log.exchange("what is one?", LONG).exchange("what is two?", LONG)
        upstream.next(hangs(Gate()))
        async with talk(backend, setup()) as opened:
            await opened.send("and then?")
            await (await upstream.request()).hanging()
            await opened.conversation.interrupt()
            while not isinstance(ended := await opened.next(), TurnEnded):
                pass

        assert ended == TurnEnded("interrupted")
        await upstream.requests[0].aborted()


class TestEnds:
    @pytest.mark.promise("P23", "P24")
    async def test_interrupting_leaves_the_model(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream, house: House
    ) -> None:
        """Before its first word, and after it."""
        upstream.next(hangs(Gate()), says("one two three").but(hangs(Gate(), after=1)))
        async with talk(backend, setup()) as opened:
            await opened.send("hi")
            await (await upstream.request()).hanging()
            await opened.conversation.interrupt()
            while not isinstance(silent := await opened.next(), TurnEnded):
                pass
            spoken = await opened.say(Say("count", interrupt_at=is_piece))

        assert silent == spoken.ended == TurnEnded("interrupted")
        assert spoken.text == "one"
        for seen in upstream.requests:
            await seen.aborted()
        await house.ended()
        assert [it.outcome for it in await house.books()] == ["cancelled", "cancelled"]

    async def test_an_interruption_that_comes_first_ends_the_turn_unasked(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream
    ) -> None:
        conversation = await Chat.open(backend, setup())
        await conversation.send(Said("hi", "msg_1"))
        await conversation.interrupt()
        told = conversation.happenings()
        assert [await anext(told), await anext(told)] == [Bound(setup().session_id), TurnEnded("interrupted")]
        await conversation.close()
        with pytest.raises(StopAsyncIteration):
            await anext(told)
        assert not upstream.requests

    async def test_interrupting_nothing_does_nothing(self, backend: Chat, setup: MakeSetup) -> None:
        async with talk(backend, setup()) as opened:
            await opened.conversation.interrupt()
            assert (await opened.say("hi")).ended == TurnEnded("end")

    async def test_closing_gives_the_call_back_though_nobody_pulls(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream, house: House
    ) -> None:
        """Whoever pulled is gone, in the middle of an answer."""
        upstream.next(says("one two three").but(hangs(Gate(), after=1)))
        conversation = await Chat.open(backend, setup())
        await conversation.send(Said("hi", "msg_1"))
        told = conversation.happenings()
        while not is_piece(await anext(told)):
            pass
        assert house.pipeline.in_flight == 1

        await conversation.close()
        await conversation.close()

        assert house.pipeline.in_flight == 0
        await upstream.requests[0].aborted()
        assert [it async for it in told] == []

    async def test_a_history_that_cannot_be_read_ends_the_turn(
        self, backend: Chat, setup: MakeSetup, upstream: Upstream
    ) -> None:
        async def unreadable(after: int = 0) -> Any:
            raise RhetorError("the disk is gone", Code.UNAVAILABLE)

        async with talk(backend, setup(history=unreadable)) as opened:
            turn = await opened.say("hi")

        assert turn.ended.error is not None
        assert turn.ended.error.message == "the disk is gone"
        assert not upstream.requests

    async def test_a_failure_of_ours_is_not_hidden(self, house: House, setup: MakeSetup, log: Log) -> None:
        @asynccontextmanager
        async def ask(request: Request) -> AsyncIterator[Telling]:
            raise ZeroDivisionError
            yield

        conversation = await Chat(ask, SystemClock(), MEMORY).open(setup())
        await conversation.send(Said("hi", "msg_1"))
        with pytest.raises(ZeroDivisionError):
            async for _ in conversation.happenings():
                pass
        await conversation.close()

    async def test_one_message_at_a_time(self, backend: Chat, setup: MakeSetup) -> None:
        conversation = await Chat.open(backend, setup())
        await conversation.send(Said("hi", "msg_1"))
        with pytest.raises(BadRequest):
            await conversation.send(Said("hi", "msg_2"))
        with pytest.raises(BadRequest):
            await conversation.answer("a1", Verdict("allow"))
        await conversation.close()
        with pytest.raises(BadRequest):
            await conversation.send(Said("hi", "msg_3"))
