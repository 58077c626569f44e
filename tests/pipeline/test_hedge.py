"""Two at a time: the earlier answer counts, and nothing of the later one is left."""

import asyncio

import pytest

from rhetor.core.errors import Code
from rhetor.pipeline.hedge import earliest
from rhetor.tasks import spawn
from rhetor.testing import Gate, fails, hangs, says
from tests.pipeline.house import House, chat

LATE_S = 0.02


async def answer(text: str | None, gate: asyncio.Event | None = None) -> str | None:
    if gate is not None:
        await gate.wait()
    return text


class TestTheRace:
    async def test_who_is_in_time_runs_alone(self) -> None:
        asked = []
        assert await earliest(answer("a"), lambda: asked.append(1), 60, asked.append) == "a"
        assert asked == []

    async def test_who_is_late_may_be_beaten(self) -> None:
        discarded: list[str] = []
        won = await earliest(answer("a", asyncio.Event()), lambda: answer("b"), LATE_S, discarded.append)
        assert (won, discarded) == ("b", [])

    async def test_the_second_may_decline(self) -> None:
        gate = asyncio.Event()

        def decline() -> None:
            gate.set()

        assert await earliest(answer("a", gate), decline, LATE_S, lambda it: None) == "a"

    async def test_one_that_fails_leaves_it_to_the_other(self) -> None:
        gate = asyncio.Event()

        async def fail() -> str | None:
            gate.set()
            return None

        assert await earliest(answer("a", gate), fail, LATE_S, lambda it: None) == "a"
        assert await earliest(answer(None), lambda: None, LATE_S, lambda it: None) is None

    async def test_of_two_at_the_same_moment_one_is_given_back(self) -> None:
        gate = asyncio.Event()
        discarded: list[str] = []

        def second() -> object:
            asyncio.get_running_loop().call_soon(gate.set)
            return answer("b", gate)

        won = await earliest(answer("a", gate), second, LATE_S, discarded.append)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert {won, *discarded} == {"a", "b"}

    async def test_whoever_leaves_stops_both(self) -> None:
        stopped = []

        async def run(name: str) -> str | None:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append(name)
            return name

        began = asyncio.Event()

        def second() -> object:
            began.set()
            return run("b")

        race = spawn(earliest(run("a"), second, LATE_S, lambda it: None), "race")  # type: ignore[arg-type]
        await began.wait()
        race.cancel()
        with pytest.raises(asyncio.CancelledError):
            await race
        assert sorted(stopped) == ["a", "b"]

    async def test_a_winner_that_nobody_waits_for_is_given_back(self) -> None:
        """The caller may leave in the very turn in which somebody wins."""
        for turns in range(1, 8):
            made: list[str] = []
            discarded: list[str] = []

            async def win(made: list[str] = made) -> str | None:
                await asyncio.sleep(0)
                made.append("a")
                return "a"

            race = spawn(earliest(win(), lambda: None, 60, discarded.append), "race")
            for _ in range(turns):
                await asyncio.sleep(0)
            race.cancel()
            (got,) = await asyncio.gather(race, return_exceptions=True)
            for _ in range(4):
                await asyncio.sleep(0)
            assert (got == "a") is not bool(discarded) or not made

    async def test_an_error_of_one_leaves_nothing_of_the_other(self) -> None:
        discarded: list[str] = []

        async def fail() -> str | None:
            raise RuntimeError("a bug")

        with pytest.raises(RuntimeError):
            await earliest(answer("a", asyncio.Event()), fail, LATE_S, discarded.append)
        with pytest.raises(RuntimeError):
            await earliest(fail(), lambda: answer("a"), LATE_S, discarded.append)
        assert discarded == []


class TestARoute:
    async def test_asks_a_second_target_when_the_first_is_unusually_late(self, house: House) -> None:
        """The loser is cancelled, and says so in the record."""
        house.rule(hedge=True)
        assert (await house.ask(chat())).meta["served_by"] == "a/small"  # now it is known what is usual
        house["a"].next(hangs())
        house["b"].says("faster")

        heard = await house.ask(chat())

        assert heard.text == "faster"
        await (await house["a"].request(2)).aborted()
        record = (await house.books())[0]
        told = {(a.target, a.outcome, a.how) for a in record.attempts}
        assert told == {("a/small", Code.CANCELLED, ""), ("b/small", "ok", "hedged")}

    async def test_does_not_while_nothing_is_usual(self, house: House) -> None:
        house.rule(hedge=True)
        gate = Gate()
        house["a"].next(says("slow").but(hangs(gate)))
        asking = house.start(chat())
        await house["a"].request()
        gate.open()
        await asking.task

        assert not house["b"].requests

    async def test_asks_nobody_early_while_the_first_is_in_trouble(self, house: House) -> None:
        """Neither inside the window of a quota, nor past a breaker."""
        house.rule(hedge=True)
        await house.ask(chat())
        house["a"].next(fails(429, headers={"retry-after": "60"}))
        await house.ask(chat())
        asked = len(house["a"].requests)

        await house.ask(chat())

        assert len(house["a"].requests) == asked

    async def test_falls_back_as_ever(self, house: House) -> None:
        house.rule(hedge=True)
        await house.ask(chat())
        house["a"].always(fails(503))
        house["b"].says("hello")

        assert (await house.ask(chat())).text == "hello"
