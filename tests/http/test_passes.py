"""Keys for agents: good for one session's model calls, and for nothing else."""

from __future__ import annotations

import pytest

from rhetor.http.passes import PREFIX, Passes, digest
from rhetor.telemetry.logs import Redactor
from rhetor.testing import Upstream
from tests.conftest import MakeGateway, settings

CHAT = {"model": "oai/m", "messages": [{"role": "user", "content": "hi"}]}


def test_one_for_each_session() -> None:
    passes = Passes(lambda: "http://127.0.0.1:8003")
    first, second = passes.give("ses_1", "ann"), passes.give("ses_1", "ann")
    assert digest(first.token) not in passes.given
    assert passes.given[digest(second.token)].session == "ses_1"
    passes.revoke("ses_1")
    passes.revoke("ses_1")
    assert not passes.given


def test_no_log_shows_one() -> None:
    token = Passes(lambda: "").give("ses_1", "").token
    assert token.startswith(PREFIX)
    assert token not in Redactor().text(f"called with {token} and failed")
    assert token not in repr(Passes(lambda: "").give("ses_1", ""))


@pytest.mark.parametrize("tokens", [{}, {"ann": "env:ANN"}], ids=["open", "with tokens"])
async def test_it_is_good_for_model_calls_only(
    make_gateway: MakeGateway, upstream: Upstream, tokens: dict[str, str]
) -> None:
    gateway = await make_gateway(settings(upstream, server={"tokens": tokens}), {"ANN": "secret-of-ann"})
    access = gateway.app.house.passes.give("ses_1", "ann")
    shown = {"authorization": f"Bearer {access.token}"}
    upstream.says("hello")

    status, reply = await gateway.post("/v1/chat/completions", CHAT, headers=shown)
    assert status == 200, reply
    assert (await gateway.get("/v1/models", headers=shown))[0] == 200
    for method, path in (("GET", "/v1/sessions"), ("POST", "/api/v1/reload"), ("GET", "/api/v1/trips")):
        async with gateway.session.request(method, gateway.url + path, headers=shown) as refused:
            assert refused.status == 403, path

    gateway.app.house.passes.revoke("ses_1")
    status, _ = await gateway.post("/v1/chat/completions", CHAT, headers=shown)
    assert status == (401 if tokens else 200)


async def test_its_calls_are_booked_on_the_session(make_gateway: MakeGateway, upstream: Upstream) -> None:
    gateway = await make_gateway(settings(upstream))
    access = gateway.app.house.passes.give("ses_1", "ann")
    upstream.says("hello")
    await gateway.post("/v1/chat/completions", CHAT, headers={"x-api-key": access.token})
    (trip,) = await gateway.booked()
    assert trip["session"] == "ses_1"
    assert trip["principal"] == "ann"
