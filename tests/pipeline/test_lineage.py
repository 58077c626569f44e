"""What results were made of: small whatever was asked, never in a circle, and found from the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import orjson
import pytest

from rhetor.core.capability import Capability
from rhetor.core.clock import SystemClock
from rhetor.core.content import Image, Inline, Text, Url
from rhetor.core.media import Bytes, Draw, Make, Rank, Speak, Transcribe
from rhetor.core.request import Chat, Embed, Message, Request, Role
from rhetor.pipeline import lineage
from rhetor.pipeline.lineage import (
    MOST_DEPTH,
    MOST_STEPS,
    PROMPT_BYTES,
    bare_url,
    bounded,
    input_of,
    lineage_of,
    options_of,
    outcome_of,
    prompt_of,
    steps_of,
)
from rhetor.store.assets import Assets
from rhetor.store.blobs import MemoryBlobs
from rhetor.store.sql.assets import SqlAssets
from rhetor.store.sql.opening import open_store

CLOCK = SystemClock()


@pytest.fixture
async def assets() -> AsyncIterator[Assets]:
    store = open_store(None)

    async def open_books() -> SqlAssets:
        return store.assets

    yield Assets(MemoryBlobs(), open_books, CLOCK, keep_s=60, each_mb=1, all_mb=4)
    await store.sessions.close()


async def family(assets: Assets, parents: Mapping[str, list[str]], input: Any = "x") -> None:
    """Generations with these parents, each a second younger than the one before."""
    now = CLOCK.utc()
    for n, (id, of) in enumerate(parents.items()):
        document = {
            "capability": "text-to-image",
            "model": "m",
            "provider": "p",
            "input": input,
            "options": {},
        }
        await assets.note(id, "ann", now + timedelta(seconds=n), of, document)


async def test_a_family_is_told_the_oldest_first(assets: Assets) -> None:
    await family(assets, {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
    found = await lineage_of(assets, "ann", "d")
    assert ([it.id for it in found.generations], found.complete) == (["a", "b", "c", "d"], True)
    steps: Any = steps_of(found)
    assert [step["step"] for step in steps] == [1, 2, 3, 4]
    assert steps[0]["asset_type"] == "image"
    prompt: Any = prompt_of(found)
    of = [
        each["metadata"]["generation_prompt"]["metadata"]["generationId"]
        for each in prompt["input"]["sources"]
    ]
    assert of == ["b", "c"]
    near = await lineage_of(assets, "ann", "d", 1)
    assert ([it.id for it in near.generations], near.complete) == (["b", "c", "d"], False)
    assert (await lineage_of(assets, "bob", "d")).generations == ()


async def test_what_is_kept_no_longer_is_missing_and_said_to_be(assets: Assets) -> None:
    await family(assets, {"b": ["gone"]})
    found = await lineage_of(assets, "ann", "b")
    assert ([it.id for it in found.generations], found.complete) == (["b"], False)


async def test_long_chains_and_wide_ones_stay_small(assets: Assets, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = {f"g{n}": [f"g{n - 1}"] if n else [] for n in range(MOST_DEPTH + 10)}
    await family(assets, chain, "y" * 2_000)
    found = await lineage_of(assets, "ann", f"g{MOST_DEPTH + 9}")
    assert (len(found.generations), found.complete) == (MOST_DEPTH + 1, False)
    assert len(orjson.dumps(prompt_of(found))) < 2 * PROMPT_BYTES
    monkeypatch.setattr(lineage, "PROMPT_BYTES", 5_000)
    cut = orjson.dumps(prompt_of(found))
    assert b"truncated" in cut
    assert len(cut) < 10_000
    await family(
        assets,
        {**{f"w{n}": [] for n in range(MOST_STEPS + 20)}, "all": [f"w{n}" for n in range(MOST_STEPS + 20)]},
    )
    wide = await lineage_of(assets, "ann", "all")
    assert (len(wide.generations), wide.complete) == (MOST_STEPS, False)


async def test_diamonds_do_not_multiply(assets: Assets) -> None:
    """Each generation is made twice of the one before: as a tree that would be a million."""
    twins: dict[str, list[str]] = {"l0": [], "r0": []}
    for n in range(1, MOST_DEPTH):
        twins |= {f"l{n}": [f"l{n - 1}", f"r{n - 1}"], f"r{n}": [f"l{n - 1}", f"r{n - 1}"]}
    await family(assets, twins)
    found = await lineage_of(assets, "ann", f"l{MOST_DEPTH - 1}")
    assert len(found.generations) == 2 * MOST_DEPTH - 1
    assert len(orjson.dumps(prompt_of(found))) < 2 * PROMPT_BYTES


@pytest.mark.parametrize(
    ("said", "noted"),
    [
        ("a" * 3_000, "a" * 2_000 + "…"),
        ({"api_key": "s", "Authorization": "s", "max_tokens": 3, "key": None},
         {"api_key": "[redacted]", "Authorization": "[redacted]", "max_tokens": 3, "key": None}),
        ({"token": "s", "accessToken": "s", "client_secret": "s", "maxOutputTokens": 3, "monkey": "George"},
         {"token": "[redacted]", "accessToken": "[redacted]", "client_secret": "[redacted]",
          "maxOutputTokens": 3, "monkey": "George"}),
        (f"https://x.example/a.png?sig={'s' * 100_000}", "https://x.example/a.png"),
        ({"base64": "A" * 400, "media_type": "image/png"}, {"bytes": 300, "media_type": "image/png"}),
        ("data:image/png;base64,AAAA", {"media_type": "image/png", "bytes": 3}),
        ("https://u:p@x.example/a.png?sig=s#f", "https://x.example/a.png"),
        ("see https://x.example/?a=b", "see https://x.example/?a=b"),
        ([*range(40)], [*range(32), "… and 8 more"]),
        ({"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}}, {"a": {"b": {"c": {"d": {"e": {"f": {}}}}}}}),
    ],
)  # fmt: skip
def test_what_is_noted_is_small_and_keeps_secrets(said: Any, noted: Any) -> None:
    assert bounded(said) == noted


def test_many_long_texts_are_small_together() -> None:
    assert len(orjson.dumps(bounded(["a" * 3_000] * 32))) < 30_000


def test_many_numbers_and_names_are_small_as_well() -> None:
    numbers: Any = 1.5
    names: Any = 1
    for level in range(5):
        numbers = [numbers] * 32
        names = {f"{level}-{n}" * 20: names for n in range(32)}
    for wide in (numbers, names):
        assert len(orjson.dumps(bounded(wide))) < 100_000


def test_a_text_that_begins_like_a_medium_is_looked_at_once() -> None:
    """However long it is: what looks for the end at each of its places would never come back."""
    assert bounded("data:a/" + "a" * 5_000_000) == "data:a/" + "a" * 1_993 + "…"


def test_an_address_that_is_none_is_not_noted() -> None:
    assert bare_url("https://[x") == "[redacted]"


PNG = Bytes("image/png", b"cat", "cat.png")


@pytest.mark.parametrize(
    ("input", "noted", "options"),
    [
        (Draw(prompt="a", images=(PNG,), mask=Inline("image/png", "AAAA"), size=(1, 2), extra={"x": 1}),
         {"prompt": "a", "images": [{"media_type": "image/png", "bytes": 3, "name": "cat.png"}],
          "mask": {"media_type": "image/png", "bytes": 3}},
         {"size": [1, 2], "x": 1}),
        (Speak(text="hi", voice="v"), "hi", {"voice": "v"}),
        (Transcribe(audio=Url("https://x.example/a?b=c"), translate=True), {"audio": "https://x.example/a"},
         {"translate": True}),
        (Rank(query="q", documents=("a",)), {"query": "q", "documents": ["a"]}, {}),
        (Make(prompt="p", sources=(Url("https://x.example/v"),), seconds=2.0),
         {"prompt": "p", "sources": ["https://x.example/v"]}, {"seconds": 2.0}),
        (Embed(inputs=("a", (1, 2))), ["a", {"tokens": 2}], {}),
        (Chat(messages=(Message(Role.USER, (Text("hi"), Image(Url("https://x.example/i?k=1")))),)),
         ["hi", {"image": "https://x.example/i"}], {}),
    ],
)  # fmt: skip
def test_every_request_has_something_to_be_noted(input: Any, noted: Any, options: Any) -> None:
    request = Request(id="x", capability=Capability.CHAT, model="m", input=input)
    assert (input_of(request), options_of(input)) == (noted, options)


@pytest.mark.parametrize(
    ("capability", "outcome"),
    [("text-to-3d", "3d"), ("image-to-text", "text"), ("embeddings", "embedding"), ("rerank", "ranking")],
)
def test_what_comes_of_it_has_a_name(capability: str, outcome: str) -> None:
    assert outcome_of(capability) == outcome
