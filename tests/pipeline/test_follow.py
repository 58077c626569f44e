"""Replies told in several goes, on whole trips: whose clock runs, who falls back, and what is left behind."""

from __future__ import annotations

import asyncio

import pytest

from rhetor.core import events
from rhetor.core.capability import Capability
from rhetor.core.content import Image, Inline
from rhetor.core.errors import Code
from rhetor.core.request import Chat, Message, Request, Role
from rhetor.pipeline import answer
from rhetor.routing.catalog import Midstream
from rhetor.testing import Gate, Step, cuts, fails, hangs, raw_frames
from rhetor.transport.base import Progress
from rhetor.wire.media import errand
from tests.pipeline.drawing import FROM_B, WHOLE, Script, calls, draw, drawing, working
from tests.pipeline.house import House
from tests.wire.media.errands import KEY, asked, listen, medium, said

pytestmark = pytest.mark.usefixtures("no_leaks", "quick")

LOST = working().but(cuts(after="request"))
SHORT_S = 0.5  # in which a loopback server answers twice, also on a busy machine


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(errand, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(answer, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(answer, "FAREWELL_PAUSE_S", 0.01)


async def dismissed(house: House) -> None:
    """Return once everything was sent that nobody waits for."""
    await house.ended()
    async with asyncio.timeout(10):
        while house.pipeline.drains:
            await asyncio.sleep(0)


def caption(model: str = "fast") -> Request:
    seen = Chat(messages=(Message(Role.USER, (Image(Inline("image/png", "aGk=")),)),))
    return asked(model, seen, Capability.IMAGE_TO_TEXT)


async def test_a_picture_is_asked_about_until_it_is_there_and_then_fetched() -> None:
    async with drawing(Script(poll=[working(), working()])) as house:
        heard = await listen(house, draw())
        record = await house.booked()

        assert heard.media == WHOLE
        assert calls(house["a"]) == ["submit", "poll", "poll", "poll", "fetch"]
        assert heard.progress == [events.Progress(None, "processing")] * 3
        assert [(a.target, a.outcome) for a in record.attempts] == [("a/small", "ok")]
        assert record.usage.images == 1
        assert house["a"].connections.total == 1, "all calls went through the same connection"


class TestPatience:
    async def test_who_has_taken_it_on_is_let_work_while_it_answers(self) -> None:
        """It is paid: how soon others are done who answer in one piece says nothing of it."""
        polls = round(2 * SHORT_S / errand.LONGEST_PAUSE_S)
        async with drawing(Script(poll=[working()] * polls)) as house:
            house.hurry(whole_s=SHORT_S, total_s=60.0)
            heard = await listen(house, draw())

            assert heard.media == WHOLE
            assert house["b"].requests == []

    async def test_who_uses_up_its_share_is_told_to_stop_and_the_next_is_asked(self) -> None:
        async with drawing(Script(poll=working())) as house:
            house.hurry(total_s=2 * SHORT_S)
            heard = await listen(house, draw())
            await dismissed(house)

            assert heard.media == FROM_B
            assert calls(house["a"])[-1] == "cancel"
            assert calls(house["a"]).count("cancel") == 1
            assert calls(house["a"]).count("submit") == 1
            record = await house.booked()
            outcomes = [(a.target, a.outcome) for a in record.attempts]
            assert outcomes == [("a/small", Code.FIRST_EVENT_TIMEOUT), ("b/small", "ok")]
            assert heard.progress, "how far the first one was is told at once"

    async def test_a_conversation_that_does_not_begin_is_begun_elsewhere(self) -> None:
        async with drawing(Script(poll=working())) as house, asyncio.timeout(10):
            house.hurry(first_event_s=SHORT_S, total_s=60.0)
            asked = caption()
            asked.stream = True
            heard = await listen(house, asked)
            await dismissed(house)

            assert heard.meta["served_by"] == "b/small"

    async def test_a_picture_is_waited_for_although_somebody_streams(self) -> None:
        """How soon a conversation has to begin says nothing of pictures: they come when they are done."""
        async with drawing(Script(poll=[working()] * 5)) as house:
            house.hurry(first_event_s=0.001)
            heard = await listen(house, draw(stream=True))

            assert heard.media == WHOLE

    async def test_a_poll_that_hangs_counts_as_well(self) -> None:
        async with drawing(Script(poll=working().but(hangs()))) as house:
            house.hurry(whole_s=SHORT_S)
            heard = await listen(house, draw())
            await dismissed(house)

            assert heard.media == FROM_B
            assert calls(house["a"]) == ["submit", "poll", "cancel"]
            await house["a"].requests[1].aborted()

    async def test_the_whole_trip_has_an_end(self) -> None:
        async with drawing(Script(poll=working())) as house:
            house.hurry(total_s=SHORT_S)
            heard = await listen(house, draw("a/small"))
            await dismissed(house)

            assert heard.refused is not None
            assert heard.refused.code in (Code.FIRST_EVENT_TIMEOUT, Code.TOTAL_TIMEOUT)
            assert calls(house["a"]).count("cancel") == 1

    async def test_the_second_of_two_results_may_not_be_silent_for_ever(self) -> None:
        script = Script(outputs=2, result=[medium(), medium().but(hangs(after="headers"))])
        async with drawing(script) as house:
            house.hurry(idle_s=SHORT_S)
            heard = await listen(house, draw("a/small"))

            assert heard.error.code is Code.IDLE_TIMEOUT
            assert len(heard.media) == 1
            assert "cancel" not in calls(house["a"]), "it is done"


class TestLeaving:
    """A caller who leaves takes the prediction along, which is told so once."""

    async def leave_at(self, script: Script, call: str) -> list[str]:
        async with drawing(script) as house:
            asking = house.start(draw())
            async with asyncio.timeout(10):
                while call not in calls(house["a"]):
                    await asyncio.sleep(0)
            await asking.leave()
            await dismissed(house)

            assert (await house.booked()).outcome == Code.CANCELLED
            assert house["b"].requests == [], "a caller who left needs no fallback"
            return calls(house["a"])

    async def test_between_two_polls(self) -> None:
        made = await self.leave_at(Script(poll=working()), "poll")
        assert made.count("cancel") == 1

    async def test_while_a_poll_hangs(self) -> None:
        assert await self.leave_at(Script(poll=working().but(hangs())), "poll") == [
            "submit",
            "poll",
            "cancel",
        ]

    async def test_while_it_is_begun(self) -> None:
        """Nobody knows yet what would have to be stopped: the answer is heard out, since it says that."""
        gate = Gate()
        async with drawing(Script(submit=working().but(hangs(gate)))) as house:
            asking = house.start(draw())
            await (await house["a"].request()).hanging()
            await asking.leave()
            await house.ended()
            assert calls(house["a"]) == ["submit"]
            gate.open()
            await dismissed(house)
            assert calls(house["a"]) == ["submit", "cancel"]
            assert (await house.booked()).outcome == Code.CANCELLED

    async def test_while_it_waits_to_be_begun(self) -> None:
        async with drawing(Script()) as house:
            transport, slots = house.providers["a"].transport, 4
            house["a"].next(*[working().but(hangs(after="headers"))] * slots)
            call = house.providers["a"].prepare(draw(), "owner/small").call
            occupied = [await transport.open(call, Progress()) for _ in range(slots)]
            asking = house.start(draw())
            for _ in range(5):
                await asyncio.sleep(0)
            await asking.leave()
            await dismissed(house)
            for response in occupied:
                response.close()
            assert calls(house["a"]) == ["submit"] * slots, "of those who came before"

    async def test_what_is_begun_and_never_answered_is_let_go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(answer, "UNDO_S", 0.05)
        assert await self.leave_at(Script(submit=working().but(hangs())), "submit") == ["submit"]

    async def test_while_the_result_is_fetched(self) -> None:
        """It is done: there is nothing to stop but the transfer."""
        made = await self.leave_at(Script(result=medium().but(hangs(after=1))), "fetch")
        assert made == ["submit", "poll", "fetch"]

    @pytest.mark.parametrize(
        ("cancel", "times", "in_vain"),
        [
            ([fails(500)] * 9, 3, True),
            ([fails(503), fails(429)], 3, False),
            ([LOST], 2, False),
            ([fails(404)], 1, False),
        ],
    )
    async def test_the_cancelling_is_repeated_where_there_is_sense_in_it(
        self, cancel: list[Step], times: int, in_vain: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An operator is told of what works on, and is billed."""
        script = Script(poll=working().but(hangs()), cancel=[*cancel])
        assert await self.leave_at(script, "poll") == ["submit", "poll", *["cancel"] * times]
        assert ("provider not told to stop" in caplog.messages) is in_vain


class TestHedging:
    async def test_the_loser_is_told_to_stop(self) -> None:
        gate = Gate()
        async with drawing(Script()) as house:
            house.rule(hedge=True)
            await listen(house, draw())  # now it is known what is usual
            asked = len(house["a"].requests)
            house["a"].always(Script(poll=working().but(hangs(gate))))

            heard = await listen(house, caption())
            await dismissed(house)

            assert heard.meta["served_by"] == "b/small"
            assert calls(house["a"])[asked:] == ["submit", "poll", "cancel"]

    async def test_pictures_are_not_paid_twice_to_be_sooner(self) -> None:
        async with drawing(Script()) as house:
            house.rule(hedge=True)
            await listen(house, draw())
            house["a"].always(Script(poll=[working()] * 20))  # much later than usual
            heard = await listen(house, draw())

            assert heard.media == WHOLE
            assert house["b"].requests == []


class TestPaidOnce:
    """Whoever may work on it is not asked for it again; another one may be."""

    @pytest.mark.parametrize("status", [429, 500, 503])
    async def test_what_cannot_be_asked_about_any_more(self, status: int) -> None:
        async with drawing(Script(poll=fails(status))) as house:
            heard = await listen(house, draw("a/small"))

            assert heard.refused is not None
            assert calls(house["a"])[:5] == ["submit", *["poll"] * 4]
            assert calls(house["a"]).count("submit") == 1

    @pytest.mark.parametrize("local", [False, True])
    async def test_what_was_sent_and_not_answered(self, local: bool) -> None:
        """A server of one's own may be asked again: there is nothing to be paid."""
        async with drawing(Script(submit=[LOST]), local=local) as house:
            heard = await listen(house, draw("a/small"))

            assert calls(house["a"]).count("submit") == (2 if local else 1)
            assert heard.media == (WHOLE if local else [])

        async with drawing(Script(submit=[LOST])) as house:
            assert (await listen(house, draw())).media == FROM_B

    @pytest.mark.parametrize("midstream", [Midstream.ERROR, Midstream.HOLD])
    async def test_what_was_made_and_cannot_be_fetched(self, midstream: Midstream) -> None:
        half = medium().but(cuts(after=1))
        async with drawing(Script(result=[half, *[fails(503)] * 4])) as house:
            await house.providers.pop("b").transport.close()
            house.rule(midstream=midstream, retries=2)
            await listen(house, draw())
            assert calls(house["a"]).count("submit") == 1

    async def test_what_is_cheap_is_asked_again(self) -> None:
        async with drawing(Script(submit=[LOST])) as house:
            await listen(house, caption("a/small"))
            assert calls(house["a"]).count("submit") == 2


async def test_another_vendor_answers_when_a_prediction_fails() -> None:
    async with drawing(Script(poll=[working(), failed("CUDA out of memory")])) as house:
        heard = await listen(house, draw())

        assert heard.media == FROM_B
        assert "cancel" not in calls(house["a"]), "it has ended"
        assert heard.meta["fallback"] is True


async def test_who_answers_in_riddles_is_told_to_stop() -> None:
    """A page instead of a status: the picture may well be drawn, and paid for, all the same."""
    riddle = raw_frames([b"<h1>Welcome</h1>"], content_type="text/html")
    async with drawing(Script(poll=[working(), riddle])) as house:
        heard = await listen(house, draw())
        await dismissed(house)

        assert heard.media == FROM_B
        assert calls(house["a"]) == ["submit", "poll", "poll", "cancel"]


async def test_what_one_refuses_is_shown_to_nobody_else() -> None:
    """Unless the route says that others may judge otherwise: see `reroute_refused`."""
    async with drawing(Script(poll=failed("NSFW content detected"))) as house:
        heard = await listen(house, draw())

        assert heard.error.code is Code.CONTENT_POLICY
        assert house["b"].requests == []


async def test_the_key_goes_to_the_vendor_alone() -> None:
    """Results lie somewhere else, and whoever is there learns nothing."""
    async with drawing(Script()) as elsewhere, drawing(Script(place=elsewhere["a"].base_url)) as house:
        heard = await listen(house, draw("a/small"))

        assert heard.error.code is Code.PROTOCOL
        assert "127.0.0.1, which is no host of 'a'" in heard.error.message
        assert elsewhere["a"].requests == []
        assert all(seen.headers["authorization"] == f"Bearer {KEY}" for seen in house["a"].requests)


def failed(error: str) -> Step:
    return said({"id": "p1", "status": "failed", "error": error})
