"""Both SDKs list and look up the models on offer, each in its own shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anthropic
import openai
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from rhetor.testing import Upstream
from tests.conftest import Gateway, MakeGateway, settings

NAMES = [f"lab/model-{n:02}" for n in range(25)]
MODELS = [name.removeprefix("lab/") for name in NAMES]


@pytest.fixture
async def gateway(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A provider with more models than a page holds, and a route."""
    lab = {"wire": "openai", "base_url": f"{upstream.base_url}/v1", "models": MODELS}
    given = settings(providers={"lab": lab}, routes={"fast": {"targets": ["lab/model-00"]}})
    return await make_gateway(given)


def of_lab(listed: list[Any]) -> list[str]:
    """Ids without those of the offline provider, which is always there."""
    return [it.id for it in listed if it.id.startswith("lab/")]


async def test_openai_lists(openai_sdk: AsyncOpenAI) -> None:
    listed = [model async for model in await openai_sdk.models.list()]

    assert of_lab(listed) == NAMES
    assert listed[0].id == "fast"
    assert {model.object for model in listed} == {"model"}
    assert {model.owned_by for model in listed if model.id in NAMES} == {"lab"}


@pytest.mark.parametrize("name", ["lab/model-07", "model-07", "fast"])
async def test_openai_looks_up(openai_sdk: AsyncOpenAI, name: str) -> None:
    """By its full name, slash and all, by the bare id that one provider offers, or a route."""
    model = await openai_sdk.models.retrieve(name)

    assert model.id in (name, f"lab/{name}")
    assert model.object == "model"


async def test_openai_looks_up_nobody(openai_sdk: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await openai_sdk.models.retrieve("lab/absent")
    assert caught.value.code == "model_not_found"


async def test_anthropic_lists(anthropic_sdk: AsyncAnthropic) -> None:
    """Page after page, twenty at a time, unless the caller wants another number."""
    first = await anthropic_sdk.models.list()
    listed = [model async for model in first]
    in_sevens = [model async for model in await anthropic_sdk.models.list(limit=7)]

    assert (len(first.data), first.has_more) == (20, True)
    assert of_lab(listed) == NAMES
    assert listed == in_sevens
    assert listed[0].id == "fast"
    assert {model.type for model in listed} == {"model"}


async def test_anthropic_pages_backwards(anthropic_sdk: AsyncAnthropic) -> None:
    forwards = [model.id async for model in await anthropic_sdk.models.list()]
    last = forwards[-1]

    page = await anthropic_sdk.models.list(before_id=last, limit=10)
    pages = [[model.id for model in page.data]]
    while page.has_more:
        page = await page.get_next_page()
        pages.append([model.id for model in page.data])

    assert [len(ids) for ids in pages][:-1] == [10] * (len(pages) - 1)
    assert [id for ids in reversed(pages) for id in ids] == forwards[:-1]


@pytest.mark.parametrize("name", ["lab/model-07", "model-07", "fast"])
async def test_anthropic_looks_up(anthropic_sdk: AsyncAnthropic, name: str) -> None:
    model = await anthropic_sdk.models.retrieve(name)

    assert model.id in (name, f"lab/{name}")
    assert (model.type, model.lifecycle) == ("model", "active")
    assert model.created_at == datetime.fromtimestamp(0, UTC), "unknown"


async def test_anthropic_looks_up_nobody(anthropic_sdk: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        await anthropic_sdk.models.retrieve("lab/absent")
