"""What an account opens beside its own chats."""

from __future__ import annotations

import pytest

from rhetor.testing import Upstream
from tests.conftest import MakeGateway
from tests.http.chat.platform import PASSWORD, opened
from tests.http.test_chat import GUARDED, TOKEN


@pytest.mark.promise("P15")
async def test_an_account_may_see_the_providers_and_nobody_without_a_token(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    platform = await opened(make_gateway, upstream, **GUARDED)
    operator = platform.with_token(TOKEN)
    body = {"username": "ada", "password": PASSWORD}
    status, told = await operator.ask("POST", "/api/v1/auth/register", body)
    assert status == 201
    ada = platform.with_token(told["token"])
    for path in ("/api/v1/providers", "/api/llm/api/v1/providers"):
        for person, expected in (
            (ada, 200),
            (operator, 200),
            (platform.stranger, 401),
            (platform.with_token("ey.nothing.good"), 403),
        ):
            assert (await person.ask("GET", path))[0] == expected, path
    assert (await ada.ask("GET", "/v1/sessions"))[0] == 401, "and nothing else"
    await ada.ask("POST", "/api/v1/auth/logout")
    assert (await ada.ask("GET", "/api/v1/providers"))[0] == 403
