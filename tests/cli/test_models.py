"""`rhetor models`: what a running gateway offers."""

from __future__ import annotations

import pytest

from rhetor.testing import Upstream
from rhetor.testing.nowhere import refused
from tests.cli.conftest import Rhetor
from tests.conftest import Gateway, MakeGateway, settings


@pytest.fixture
async def lab(make_gateway: MakeGateway, upstream: Upstream) -> Gateway:
    """A gateway with a provider, two models and a route."""
    provider = {"wire": "openai", "base_url": upstream.base_url, "models": ["small", "large"]}
    routes = {"fast": {"targets": ["lab/small"]}}
    return await make_gateway(settings(providers={"lab": provider}, routes=routes))


async def test_routes_and_models_one_on_a_line(rhetor: Rhetor, lab: Gateway) -> None:
    finished = await rhetor("models", "--url", lab.url)
    assert (finished.code, finished.err) == (0, "")
    names = [line.split()[0] for line in finished.out.splitlines()]
    assert names[:3] == ["fast", "lab/small", "lab/large"]
    assert "offline/echo" in names


async def test_a_filter(rhetor: Rhetor, lab: Gateway) -> None:
    finished = await rhetor("models", "lab/", environ={"RHETOR_URL": lab.url})
    assert finished.out == "lab/small\nlab/large\n"


async def test_nothing_that_fits_is_said(rhetor: Rhetor, lab: Gateway) -> None:
    finished = await rhetor("models", "klingon", "--url", lab.url)
    assert (finished.code, finished.out) == (1, "")
    assert finished.err == "✗ no model's name contains 'klingon'\n"


async def test_no_gateway_is_a_sentence_and_a_remedy(rhetor: Rhetor) -> None:
    with refused() as url:
        finished = await rhetor("models", "--url", url)
    assert finished.code == 1
    assert finished.err == (
        f"✗ cannot connect: Connection refused\n"
        f"  is the gateway running at {url}? start it with `rhetor up`\n"
    )


async def test_an_address_needs_no_scheme(rhetor: Rhetor, lab: Gateway) -> None:
    assert (await rhetor("models", "--url", lab.url.removeprefix("http://"))).code == 0


async def test_a_token_is_asked_for_by_name(rhetor: Rhetor, make_gateway: MakeGateway) -> None:
    gateway = await make_gateway(settings(server={"tokens": {"me": "env:T"}}), {"T": "t0ken"})
    finished = await rhetor("models", "--url", gateway.url)
    assert finished.code == 1
    assert "a token is needed" in finished.err
    assert finished.err.endswith("  set RHETOR_AUTH_TOKEN, or give --token\n")
    assert (await rhetor("models", "--url", gateway.url, "--token", "t0ken")).code == 0
    environ = {"RHETOR_URL": gateway.url, "RHETOR_AUTH_TOKEN": "t0ken"}
    assert (await rhetor("models", environ=environ)).code == 0
