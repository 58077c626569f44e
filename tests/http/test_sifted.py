"""The list of models as callers want it."""

from __future__ import annotations

import pytest

from rhetor.core.capability import Capability, Feature
from rhetor.core.errors import BadRequest
from rhetor.core.usage import Price
from rhetor.http.offered import offered
from rhetor.http.sifted import sifted
from rhetor.routing.health import Health
from rhetor.testing import Upstream
from rhetor.testing.clock import FakeClock
from tests.conftest import MakeGateway, settings
from tests.routing.stock import attempt, candidate, catalog, offer, provider, route

DRAWS = frozenset({Capability.TEXT_TO_IMAGE})
STOCK = catalog(
    provider("lab"),
    provider("cloud"),
    offer("lab/small", price=Price(100_000, 400_000), features=frozenset({Feature.TOOLS}), created_s=300),
    offer("lab/gift:free", price=Price(0, 0), tags=frozenset({"coding"}), created_s=100),
    offer(
        "cloud/big", price=Price(9_000_000, 9_000_000), tags=frozenset({"coding", "agents"}), created_s=200
    ),
    offer("cloud/brush", capabilities=DRAWS, price=Price(0, 0, image_micros=40_000)),
    offer("cloud/unknown"),
    route("fast", "lab/small"),
)


@pytest.mark.promise("M25")
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"free": "1"}, ["lab/gift:free"]),
        ({"free": "0", "provider": "lab"}, ["lab/small"]),
        ({"capability": "text-to-image"}, ["cloud/brush"]),
        ({"feature": "tools"}, ["fast", "lab/small"]),
        ({"strength": "coding, Agents"}, ["cloud/big"]),
        ({"tag": "coding"}, ["lab/gift:free", "cloud/big"]),
        ({"price": "premium"}, ["cloud/big"]),
        ({"sort": "latest", "provider": "lab,cloud", "tag": "coding"}, ["cloud/big", "lab/gift:free"]),
        ({"sort": "price", "provider": "lab"}, ["lab/gift:free", "lab/small"]),
        ({"sort": "speed", "capability": "text-to-text", "provider": "lab"}, ["lab/small", "lab/gift:free"]),
        ({"sort": "name", "provider": "cloud"}, ["cloud/big", "cloud/brush", "cloud/unknown"]),
    ],
)
def test_what_is_asked_for(asked: dict[str, str], expected: list[str]) -> None:
    health = Health(FakeClock())
    attempt(health, candidate("lab/small"), None, first_event_s=0.2)
    attempt(health, candidate("lab/gift:free"), None, first_event_s=0.9)
    assert [it.id for it in sifted(offered(STOCK), asked, health, 0.0)] == expected


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"free": "maybe"}, "free: expected 1 or 0, got 'maybe'"),
        ({"sort": "beauty"}, "sort: expected one of speed, price, latest, name"),
        ({"price": "dear"}, "price: expected one of free, cheap, premium"),
    ],
)
def test_a_word_that_nobody_knows(asked: dict[str, str], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        sifted(offered(STOCK), asked, Health(FakeClock()), 0.0)


async def test_over_http(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(
        settings(
            upstream,
            providers={
                "oai": {
                    "wire": "openai",
                    "base_url": f"{upstream.base_url}/v1",
                    "models": ["claude-opus-5", "other"],
                }
            },
        )
    )
    _, said = await gateway.get("/v1/models?strength=coding")
    assert [model["id"] for model in said["data"]] == ["oai/claude-opus-5"]
    status, said = await gateway.get("/v1/models?free=perhaps")
    assert status == 400
    assert said["error"]["param"] == "free"
