"""A guest is a provider like any other: trips fall back from it, and finish what it began."""

from __future__ import annotations

from pathlib import Path

import pytest

from rhetor.routing.catalog import Midstream
from rhetor.testing import Upstream, says
from tests.pipeline.house import House, chat
from tests.plugins.guest.guests import Guests, written

DYING = """
import os
from rhetor_provider import Provider

class Dying(Provider):
    def stream(self, request):
        {first}
        os._exit(1)
        yield ""
"""


@pytest.mark.parametrize(
    ("first", "code", "attempts"),
    [
        ("yield 'one two '", DYING, [("a", "connection_lost", ""), ("b", "ok", "restarted")]),
        ("pass", DYING, [("a", "connection_lost", ""), ("b", "ok", "")]),
        ("", "raise ValueError('broken')", [("a", "unavailable", ""), ("b", "ok", "")]),
        ("", "x = 1", [("a", "unavailable", ""), ("b", "ok", "")]),
    ],
    ids=["after it has spoken", "before", "its code does not load", "it is no provider"],
)
async def test_a_trip_is_finished_elsewhere(
    guests: Guests, tmp_path: Path, first: str, code: str, attempts: list[tuple[str, str, str]]
) -> None:
    async with Upstream() as a, Upstream() as b, House({"a": a, "b": b}) as house:
        b.always(says("one two three"))
        house.rule(midstream=Midstream.CONTINUE, retries=0)
        spec = written(tmp_path / "p", code.format(first=first))
        guest = guests.make(spec, id="a")
        await house.replace(guest.provider)
        heard = await house.ask(chat("fast"))
        assert (heard.text, heard.refused, heard.failed) == ("one two three", None, None)
        booked = await house.booked()
        assert [(it.target.split("/")[0], it.outcome, it.how) for it in booked.attempts] == attempts
        assert not a.requests
