"""Whoever is refused before a door lets them in is told so in their language."""

from __future__ import annotations

import pytest

from tests.conftest import Gateway
from tests.http.doors import http, raw


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/sessions/x/none", 404),
        ("PATCH", "/api/v1/sessions", 405),
        ("GET", "/api/v1/maintenance/cleanup", 405),
        ("POST", "/api/v1/status", 405),
        ("GET", "/api/v1/providers/x/health", 405),
    ],
)
async def test_jelmores_callers_are_refused_in_their_language(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    reply = await raw(gateway.url, http(method, path))
    assert reply.status == status
    assert isinstance(reply.json["detail"], str)
    assert isinstance(reply.json["error"], dict)
