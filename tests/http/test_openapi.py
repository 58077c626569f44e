"""The OpenAPI document and the discovery answer: valid, and complete against what is really served."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rhetor import __version__
from rhetor.http.server import application, table
from tests.conftest import Gateway

METHODS = {"get", "post", "put", "patch", "delete", "head", "options", "trace"}


@pytest.fixture
async def document(gateway: Gateway) -> dict[str, Any]:
    async with gateway.session.get(gateway.url + "/openapi.json") as reply:
        assert reply.content_type == "application/json"
        said: dict[str, Any] = await reply.json()
        return said


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


async def test_it_is_valid(document: dict[str, Any]) -> None:
    """What the specification demands of the parts that are used: https://spec.openapis.org/oas/v3.1.0.html."""
    assert document.keys() <= {"openapi", "info", "paths", "components", "servers", "tags", "security"}
    assert re.fullmatch(r"3\.1\.\d", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"] == __version__
    schemes = document["components"]["securitySchemes"]
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert path.startswith("/"), where
        assert method in METHODS, where
        declared = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"]
        assert declared == re.findall(r"{([^}]*)}", path), where
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] in ("path", "query", "header"), where
            assert parameter["schema"], where
            assert parameter["in"] != "path" or parameter["required"] is True, where
        assert operation["responses"], where
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d|default", status), where
            assert response["description"], where
        for requirement in operation.get("security", ()):
            assert requirement.keys() <= schemes.keys(), where
        if "requestBody" in operation:
            assert all(kind["schema"] for kind in operation["requestBody"]["content"].values()), where
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"\w+", id) for id in ids)


async def test_it_is_complete(gateway: Gateway, document: dict[str, Any]) -> None:
    """Everything that the router serves is told, and nothing else; HEAD goes without saying."""
    router = application(gateway.app.house).router
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in router.routes()
        if route.resource is not None and route.method not in ("HEAD", "OPTIONS", "*")
    }
    assert {(method, path) for path, method, _ in operations(document)} == served


async def test_everything_is_explained(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert len(operation["summary"]) > 10, f"{method} {path}"
        assert "\n" not in operation["summary"]


async def test_what_needs_a_token_says_so(document: dict[str, Any]) -> None:
    public = {
        (entry.method.lower(), re.sub(r":[^}]*}", "}", entry.path))
        for entry in table()
        if entry.public and not entry.asks
    }
    for path, method, operation in operations(document):
        assert ("security" not in operation) is ((method, path) in public), f"{method} {path}"


BODILESS = (
    *("/cancel", "/reload", "/ws-ticket", "/logout"),
    *("/interrupt", "/suspend", "/cleanup", "/health"),
    *("/sessions/{id}/summarize", "/services/{name}/start", "/services/{name}/stop"),
    "/services/{name}/restart",
)
UPGRADES = ("/ws", "/ws/generate", "/ws/chat", "/v1/sessions/{id}/events", "/api/v1/sessions/{id}/stream")


async def test_what_reads_a_body_says_so(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        reads = method in ("post", "put") and not path.endswith(BODILESS)
        assert ("requestBody" in operation) is reads, f"{method} {path}"


async def test_an_upgrade_is_no_ordinary_reply(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        assert ("101" in operation["responses"]) is path.endswith(UPGRADES)


async def test_query_parameters_are_told(document: dict[str, Any]) -> None:
    def told(path: str) -> set[str]:
        given = document["paths"][path]["get"].get("parameters", ())
        return {parameter["name"] for parameter in given if parameter["in"] == "query"}

    assert told("/api/v1/trips") == {"limit"}
    assert told("/api/v1/routes/explain") >= {"model", "capability", "component", "task", "prefer"}
    assert told("/metrics") == {"format"}
    filters = {"capability", "feature", "provider", "tag", "strength", "free", "price", "sort"}
    assert told("/v1/models") == {"limit", "after_id", "before_id"} | filters
    assert told("/health") == set()


async def test_discovery(gateway: Gateway) -> None:
    """What Tekton's components ask a neighbour."""
    status, said = await gateway.get("/api/v1/discovery")
    assert status == 200
    assert (said["component"], said["version"]) == ("rhetor", __version__)
    assert said["description"]
    assert {(entry["method"], entry["path"]) for entry in said["endpoints"]} == {
        (entry.method, entry.path) for entry in table()
    }
    assert all(entry["description"] for entry in said["endpoints"])
    assert {"chat", "stream", "embeddings"} <= set(said["capabilities"])
