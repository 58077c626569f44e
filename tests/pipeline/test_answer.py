"""An answer in several responses: what is asked again, what is fetched again, and where nobody follows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rhetor.core.capability import Capability
from rhetor.core.errors import Code
from rhetor.core.media import Speak
from rhetor.pipeline import answer
from rhetor.testing import Step, Upstream, cuts, fails, headers, raw_frames, resets
from rhetor.wire.media import errand
from tests.pipeline.drawing import FROM_B, WHOLE, Script, calls, draw, drawing, working
from tests.pipeline.house import House
from tests.wire.media.errands import KEY, PNG, asked, listen, made, medium, said

pytestmark = pytest.mark.usefixtures("no_leaks", "quick")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(answer, "FIRST_PAUSE_S", 0.01)


LATER = fails(429, headers={"retry-after": "300"})


class TestAskingAgain:
    """What is asked about is under way, and paid for: a moment's trouble is no reason to go elsewhere."""

    @pytest.mark.parametrize(
        "trouble",
        [
            pytest.param([fails(503), fails(500), fails(502)], id="unavailable"),
            pytest.param([fails(429, headers={"retry-after": "0.05"})], id="too many requests"),
            pytest.param([working().but(resets()), working().but(resets("headers"))], id="reset"),
            pytest.param([working().but(cuts("half"))], id="half a reply"),
            pytest.param([fails(503).but(cuts("half")), working()], id="half an error"),
        ],
    )
    async def test_a_poll_is_repeated(self, trouble: list[Step]) -> None:
        async with drawing(Script(poll=list(trouble))) as house:
            heard = await listen(house, draw())

            assert heard.media == WHOLE
            assert calls(house["a"]) == ["submit", *["poll"] * (len(trouble) + 1), "fetch"]
            assert house["b"].requests == []

    @pytest.mark.parametrize(
        ("trouble", "code", "polls"),
        [
            pytest.param(fails(503), Code.UNAVAILABLE, 4, id="it does not pass"),
            pytest.param(working().but(resets()), Code.UNAVAILABLE, 4, id="nobody listens any more"),
            pytest.param(fails(404), Code.PROTOCOL, 1, id="the prediction is gone"),
            pytest.param(fails(401), Code.UPSTREAM_AUTH, 1, id="the key was withdrawn"),
            pytest.param(LATER, Code.RATE_LIMITED, 1, id="come back in five minutes"),
            pytest.param(said([]), Code.PROTOCOL, 1, id="garbage"),
        ],
    )  # fmt: skip
    async def test_but_not_for_ever(self, trouble: Step, code: Code, polls: int) -> None:
        async with drawing(Script(poll=trouble)) as house:
            heard = await listen(house, draw())

            assert heard.media == FROM_B
            assert calls(house["a"]).count("poll") == polls
            assert calls(house["a"]).count("submit") == 1, "nobody pays twice"
            assert (await house.booked()).attempts[0].outcome == code

    async def test_what_costs_is_not_repeated(self) -> None:
        async with drawing(Script(submit=fails(503))) as house:
            assert (await listen(house, draw())).media == FROM_B
            assert calls(house["a"]) == ["submit"]


class TestFetchingAgain:
    @pytest.mark.parametrize(
        "trouble",
        [
            pytest.param([fails(503)], id="refused"),
            pytest.param([medium().but(resets())], id="before the first byte"),
            pytest.param([medium().but(cuts(after=1))], id="in the middle"),
            pytest.param(
                [medium().but(cuts(after=1)), fails(500), medium().but(resets(after=1))], id="thrice"
            ),
        ],
    )
    async def test_a_result_is_fetched_until_it_is_whole(self, trouble: list[Step]) -> None:
        """Callers who were given a half of it already get the other half."""
        async with drawing(Script(result=list(trouble))) as house:
            heard = await listen(house, draw())

            assert heard.media == WHOLE
            assert calls(house["a"]) == ["submit", "poll", *["fetch"] * (len(trouble) + 1)]
            assert house["b"].requests == []

    async def test_one_that_always_breaks_off_is_a_failure_and_no_half_picture(self) -> None:
        async with drawing(Script(result=medium().but(cuts(after=1)))) as house:
            heard = await listen(house, draw())

            assert heard.error.code is Code.UNAVAILABLE
            assert calls(house["a"]).count("fetch") == 4
            assert (await house.booked()).outcome == Code.UNAVAILABLE

    async def test_one_that_is_shorter_now_is_another_one(self) -> None:
        shorter = raw_frames([PNG[:4]], content_type="image/png")
        async with drawing(Script(result=[medium().but(cuts(after=1)), shorter])) as house:
            heard = await listen(house, draw())
            assert heard.error.code is Code.PROTOCOL

    @pytest.mark.parametrize("status", [403, 404, 410])
    async def test_one_that_is_gone_is_drawn_by_somebody_else(self, status: int) -> None:
        """A place has no language in which it could say why: what its page says is nobody's matter."""
        async with drawing(Script(result=fails(status, body=f"no {KEY} here".encode()))) as house:
            await house.replace(made("bfl", house["a"], "a"))
            house["a"].always(bfl)
            heard = await listen(house, draw())

            assert heard.media == FROM_B
            assert (await house.booked()).attempts[0].outcome == Code.PROTOCOL


def bfl(seen) -> Step:
    here = f"http://{seen.headers['host']}"
    if seen.method == "POST":
        return said({"id": "t1", "polling_url": f"{here}/v1/get_result?id=t1"})
    if seen.path.endswith("get_result"):
        return said({"id": "t1", "status": "Ready", "result": {"sample": f"{here}/out/0.png"}})
    return fails(404)


class TestRedirects:
    async def test_a_result_may_lie_elsewhere_at_the_same_host(self) -> None:
        moved = raw_frames([b""], status=302).but(headers({"location": "/out/elsewhere.png?x=1"}))
        async with drawing(Script(result=[moved])) as house:
            heard = await listen(house, draw())
            assert heard.media == WHOLE
            assert house["a"].requests[-1].target == "/out/elsewhere.png?x=1"

    @pytest.mark.parametrize(
        "place",
        [
            "http://169.254.169.254/latest/meta-data/",
            "https://replicate.delivery.evil.example/0.png",
            "https://replicate.delivery@evil.example/0.png",
            "http://replicate.delivery/0.png",
            "//evil.example/0.png",
            "file:///etc/passwd",
            "gopher://replicate.delivery/",
        ],
    )
    async def test_nobody_follows_where_the_row_does_not_lead(self, place: str) -> None:
        moved = raw_frames([b""], status=302).but(headers({"location": place}))
        async with drawing(Script(result=moved)) as house:
            heard = await listen(house, draw())
            assert heard.media == FROM_B
            assert (await house.booked()).attempts[0].outcome == Code.PROTOCOL

    async def test_whoever_is_sent_to_a_stranger_does_not_go_and_takes_no_key_along(self) -> None:
        async with Upstream(anything=True) as stranger:
            moved = raw_frames([b""], status=307).but(headers({"location": f"{stranger.base_url}/x.png"}))
            for script in (Script(result=moved), Script(poll=moved)):
                async with drawing(script) as house:
                    assert (await listen(house, draw())).media == FROM_B
            assert stranger.requests == []

    async def test_circles_end(self) -> None:
        moved = raw_frames([b""], status=301).but(headers({"location": "/out/0.png"}))
        async with drawing(Script(result=moved)) as house:
            heard = await listen(house, draw())
            assert heard.media == FROM_B
            assert calls(house["a"]).count("fetch") == 4

    async def test_what_costs_is_not_sent_elsewhere(self) -> None:
        moved = raw_frames([b""], status=307).but(headers({"location": "/v1/other"}))
        async with drawing(Script(submit=moved)) as house:
            assert (await listen(house, draw())).media == FROM_B
            assert calls(house["a"]) == ["submit"]


@pytest.mark.parametrize("how", [cuts, resets])
async def test_a_medium_that_breaks_off_is_not_whole(how: Callable[..., Step]) -> None:
    """A body that is the medium ends with it, and nothing else says so."""
    speech = raw_frames([b"ID3", b"\xff\xfb", b"\x00"], content_type="audio/mpeg")
    async with Upstream(anything=True) as upstream, House({}) as house:
        upstream.always(speech.but(how(after=2)))
        await house.replace(made("elevenlabs", upstream))
        request = asked("elevenlabs/eleven_v3", Speak(text="Hello"), Capability.TEXT_TO_AUDIO, stream=True)
        heard = await listen(house, request)

        assert heard.error.code is Code.CONNECTION_LOST
        ((media_type, data),) = heard.media
        assert media_type == "audio/mpeg"
        assert data in (b"ID3", b"ID3\xff\xfb")
        assert (await house.booked()).outcome == Code.CONNECTION_LOST
