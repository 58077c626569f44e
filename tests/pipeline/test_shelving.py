"""Media go into the store while they come, and what a result was made of is noted; neither costs a reply."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rhetor.core.capability import Capability
from rhetor.core.clock import SystemClock
from rhetor.core.errors import Code, RhetorError
from rhetor.core.events import Event, Finished, MediumDelta, MediumLink, MediumStarted, TextDelta
from rhetor.core.media import Speak
from rhetor.core.request import Request
from rhetor.pipeline import shelving
from rhetor.pipeline.lineage import lineage_of
from rhetor.pipeline.shelving import (
    CHAIN,
    DECODED_BYTES,
    LINEAGE,
    MADE,
    NOT_STORED,
    PROMPT,
    RESCUED_BYTES,
    Noted,
    Noting,
    Shelved,
    Shelving,
)
from rhetor.store.assets import Assets
from rhetor.store.blobs import MemoryBlobs
from rhetor.store.sql.assets import SqlAssets
from rhetor.store.sql.opening import open_store
from rhetor.testing import cuts, says
from rhetor.wire.base import Chunk
from tests.pipeline.house import House, chat, verbatim
from tests.pipeline.test_keeping import hear

WAV = "audio/wav"


LARGE = bytes(range(256)) * 5_000
CUT_IN_TWO = b64encode(bytes(DECODED_BYTES // 4 * 3 - 1)) * 2


class Store:
    def __init__(self) -> None:
        self.broken = False
        self._opened = open_store(None)
        self.assets = Assets(MemoryBlobs(), self._open, SystemClock(), keep_s=60, each_mb=2, all_mb=8)

    async def _open(self) -> SqlAssets:
        if self.broken:
            raise RhetorError("the disk is gone", Code.UNAVAILABLE)
        return self._opened.assets

    async def close(self) -> None:
        await self._opened.sessions.close()


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = Store()
    yield made
    await made.close()


class Told:
    """A trip whose reply is these events."""

    verbatim = True
    served_by = None

    def __init__(self, *events: Event, parents: tuple[str, ...] = ()) -> None:
        self.request = Request(
            id="gen_1",
            capability=Capability.TEXT_TO_AUDIO,
            model="m",
            input=Speak(text="hello", voice="alloy"),
            principal="ann",
            parents=parents,
        )
        self.meta: dict[str, Any] = {}
        self.began_at = SystemClock().utc()
        self._events = events

    async def __aenter__(self) -> Told:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def chunks(self) -> AsyncIterator[Chunk]:
        for event in self._events:
            yield Chunk([event], b"raw")


END = Finished("stop")  # type: ignore[arg-type]  # no reason is told on


async def test_links_come_instead_of_media(store: Store) -> None:
    trip = Told(
        MediumStarted(0, WAV, "said kindly"),
        MediumDelta(0, b"RI"),
        TextDelta("beside"),
        MediumStarted(1, "image/png"),
        MediumDelta(1, b64encode(LARGE), base64=True),
        MediumDelta(0, b"FF"),
        MediumLink(2, "https://files.example/x?sig=secret"),
        END,
    )
    told = await hear(Shelving(store.assets).wrap(trip))  # type: ignore[arg-type]
    made = trip.meta[MADE]
    assert told == [
        TextDelta("beside"),
        MediumLink(2, "https://files.example/x?sig=secret"),
        MediumLink(0, made[0]["url"], WAV, "said kindly"),
        MediumLink(1, made[1]["url"], "image/png", None),
        END,
    ]
    assert made[2] == {"index": 2, "id": None, "url": "https://files.example/x", "media_type": None}
    contents = [await store.assets.content(await store.assets.find("ann", it["id"])) for it in made[:2]]
    assert contents == [b"RIFF", LARGE]
    assert trip.meta[LINEAGE]["options"] == {"voice": "alloy"}
    assert trip.meta[PROMPT]["input"] == "hello"
    assert trip.meta[CHAIN][0]["content"] == "beside"


async def test_what_is_wanted_inline_comes_as_well_while_it_is_small(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelving, "INLINE_BYTES", 5)
    trip = Told(
        MediumStarted(0, WAV), MediumDelta(0, b"abc"),
        MediumStarted(1, WAV), MediumDelta(1, b"ab"), MediumDelta(1, b"cde"),
        MediumStarted(2, WAV), MediumDelta(2, b"xy"), END,
    )  # fmt: skip
    told = await hear(Shelving(store.assets, inline=True).wrap(trip))  # type: ignore[arg-type]
    media = [(type(it).__name__, getattr(it, "data", None)) for it in told[:-1]]
    assert media == [
        ("MediumStarted", None),
        ("MediumDelta", b"abc"),
        ("MediumLink", None),
        ("MediumStarted", None),
        ("MediumDelta", b"xy"),
    ]
    assert [made["bytes"] for made in trip.meta[MADE]] == [3, 5, 2]


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ((MediumStarted(0, WAV), MediumDelta(0, bytes(RESCUED_BYTES + 1))), Code.TOO_LARGE),
        ((MediumStarted(0, WAV), MediumDelta(0, b"?", base64=True)), Code.PROTOCOL),
        ((MediumStarted(0, WAV), MediumDelta(0, CUT_IN_TWO, base64=True)), Code.PROTOCOL),
    ],
)
async def test_what_cannot_be_stored_fails_the_reply(store: Store, events: Any, code: Code) -> None:
    with pytest.raises(RhetorError) as caught:
        await hear(Shelving(store.assets).wrap(Told(*events, END)))  # type: ignore[arg-type]
    assert caught.value.code is code
    assert await store.assets.latest("ann", 10) == []


async def test_a_store_that_is_down_costs_what_needs_it_and_nothing_else(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.broken = True
    with caplog.at_level(logging.WARNING):
        assert await hear(Shelving(store.assets).wrap(Told(TextDelta("hi"), END))) == [TextDelta("hi"), END]  # type: ignore[arg-type]
    assert [record.message for record in caplog.records] == ["lineage not noted"]
    large = Told(MediumStarted(0, WAV), *[MediumDelta(0, bytes(RESCUED_BYTES // 2))] * 3, END)
    with pytest.raises(RhetorError, match=r"was made, but .* too large .*: the disk is gone") as caught:
        await hear(Shelving(store.assets).wrap(large))  # type: ignore[arg-type]
    assert caught.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("inline", [True, False])
async def test_what_is_small_needs_no_store(
    store: Store, caplog: pytest.LogCaptureFixture, inline: bool
) -> None:
    """It is paid for: who wanted a link gets the medium itself, and hears why."""
    store.broken = True
    trip = Told(MediumStarted(0, WAV), MediumDelta(0, b"RI"), MediumDelta(0, b"FF"), END)
    with caplog.at_level(logging.WARNING):
        told = await hear(Shelving(store.assets, inline=inline).wrap(trip))  # type: ignore[arg-type]
    assert told == [MediumStarted(0, WAV), MediumDelta(0, b"RIFF"), END]
    assert trip.meta[MADE] == []
    assert trip.meta[NOT_STORED] == "the disk is gone"
    assert [record.message for record in caplog.records] == [
        "medium told, but not stored",
        "lineage not noted",
    ]


async def test_who_only_notes_hands_on_what_came(store: Store) -> None:
    trip = Told(MediumStarted(0, WAV), MediumDelta(0, b"RIFF"), END)
    noted = Noting(store.assets).wrap(trip)  # type: ignore[arg-type]
    assert isinstance(noted, Noted)
    assert noted.verbatim is True
    assert await hear(noted) == [MediumStarted(0, WAV), MediumDelta(0, b"RIFF"), END]
    lineage = await lineage_of(store.assets, "ann", "gen_1")
    assert lineage.generations[0].document["input"] == "hello"
    assert await store.assets.latest("ann", 10) == []


async def test_a_real_trip_is_shelved_in_no_providers_frames(house: House, store: Store) -> None:
    trip = house.pipeline.trip(verbatim(), "test")
    shelved = Shelving(store.assets).wrap(trip)
    assert isinstance(shelved, Shelved)
    told = await hear(shelved)
    assert "".join(it.text for it in told if isinstance(it, TextDelta)) == "hello world"
    assert (trip.verbatim, shelved.verbatim) == (True, False)
    (noted,) = (await lineage_of(store.assets, "", trip.request.id)).generations
    assert noted.document["output"] == {"text": "hello world", "whole": True}
    assert (noted.document["provider"], noted.document["model"]) == ("a", "small")


async def test_what_breaks_off_is_not_noted(house: House, store: Store) -> None:
    house["a"].next(says("one two").but(cuts(after=1)))
    trip = house.pipeline.trip(chat(), "test")
    await hear(Shelving(store.assets).wrap(trip))
    assert (await lineage_of(store.assets, "", trip.request.id)).generations == ()
