"""What operators and newcomers ask: health, metrics, the newest trips, and why somebody was chosen."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rhetor import __version__
from rhetor.routing.breaker import IN_A_ROW
from rhetor.testing import Gate, Upstream, cuts, fails, hangs
from tests.conftest import Gateway, MakeGateway, MakeProcess, settings
from tests.http.doors import ANTHROPIC_MESSAGES, HELLO, OPENAI_CHAT, TEKTON_STREAM, http, raw, tekton_wrong
from tests.http.old_clients import OldSocket

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "text/plain;version=0.0.4;q=0.4,*/*;q=0.1"
)


# Health and readiness.


@pytest.mark.parametrize("path", ["/health", "/api/v1/health", "/api/llm/api/v1/health"])
async def test_health(gateway: Gateway, path: str) -> None:
    """What Tekton's components tell each other."""
    status, said = await gateway.get(path)
    assert status == 200
    assert (said["status"], said["component"], said["version"]) == ("healthy", "rhetor", __version__)
    assert said["port"] == gateway.app.house.port
    assert said["uptime"] >= 0
    providers = said["details"]["providers"]
    assert (providers["oai"], providers["ant"], providers["groq"]) == (True, True, False)


async def test_alone_with_the_offline_provider(make_gateway: MakeGateway) -> None:
    """It lives, and answers, but an operator should look."""
    gateway = await make_gateway(settings())
    status, said = await gateway.get("/health")
    assert (status, said["status"]) == (200, "degraded")
    assert (await gateway.get("/ready"))[0] == 200
    status, said = await gateway.post(OPENAI_CHAT.path, {"model": "auto", "messages": HELLO})
    assert status == 200


async def test_not_ready_while_shutting_down(gateway: Gateway) -> None:
    status, said = await gateway.get("/ready")
    assert (status, said["ready"]) == (200, True)
    gateway.app.house.closing = True
    status, said = await gateway.get("/ready")
    assert (status, said["ready"]) == (503, False)
    assert (await gateway.get("/health"))[0] == 200


# Metrics.


async def samples(gateway: Gateway) -> dict[str, float]:
    """Every sample of a scrape, as Prometheus reads it."""
    async with gateway.session.get(gateway.url + "/metrics", headers={"accept": PROMETHEUS}) as reply:
        assert reply.content_type == "text/plain"
        text = await reply.text()
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics_count_what_happens(make_gateway: MakeGateway, upstream: Upstream) -> None:
    route = {"targets": ["oai/m", "ant/m"]}
    gateway = await make_gateway(settings(upstream, routes={"fast": route}))
    await gateway.post(OPENAI_CHAT.path, OPENAI_CHAT.body())
    upstream.next(fails(503))
    await gateway.post(ANTHROPIC_MESSAGES.path, ANTHROPIC_MESSAGES.body(model="fast"))
    upstream.next(cuts(after=1))
    async with gateway.session.post(gateway.url + TEKTON_STREAM.path, json=TEKTON_STREAM.body()) as reply:
        await reply.read()
    await gateway.booked(3)
    counted = await samples(gateway)

    def count(name: str, **labels: str) -> float:
        return counted[f"{name}{sorted(labels.items())}"]

    chat = {"capability": "text-to-text"}
    assert count("rhetor_requests_total", door="openai", outcome="ok", **chat) == 1
    assert count("rhetor_requests_total", door="anthropic", outcome="ok", **chat) == 1
    assert count("rhetor_requests_total", door="tekton", outcome="connection_lost", **chat) == 1
    assert count("rhetor_attempts_total", provider="oai", outcome="unavailable") == 1
    assert count("rhetor_fallbacks_total", provider="ant") == 1
    assert count("rhetor_request_seconds_count", door="tekton", stream="true") == 1
    assert count("rhetor_first_event_seconds_count", provider="oai") == 2
    assert count("rhetor_tokens_total", provider="ant", model="other", direction="output") == 7
    assert count("rhetor_provider_up", provider="oai") == 1
    assert count("rhetor_provider_up", provider="groq") == 0
    assert count("rhetor_build_info", version=__version__) == 1


async def test_what_is_under_way_is_seen(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(hangs(gate))
    async with OldSocket(gateway.url) as socket:
        socket.say({"type": "GENERATE", "request_id": "r", "prompt": "q", "model": "oai/m"})
        await upstream.request()
        now = await samples(gateway)
        assert (now["rhetor_trips_in_flight[]"], now["rhetor_websockets_open[]"]) == (1, 1)
        gate.open()
        await socket.hear()
    async with asyncio.timeout(5):
        while (now := await samples(gateway))["rhetor_websockets_open[]"]:
            await asyncio.sleep(0)
    assert now["rhetor_trips_in_flight[]"] == 0


async def test_metrics_as_json(gateway: Gateway) -> None:
    """For pages and people without a Prometheus; the numbers are the same."""
    await gateway.post(OPENAI_CHAT.path, OPENAI_CHAT.body())
    await gateway.booked()
    scraped = await samples(gateway)
    for asked in ({"params": {"format": "json"}}, {"headers": {"accept": "application/json"}}):
        async with gateway.session.get(gateway.url + "/metrics", **asked) as reply:
            assert reply.content_type == "application/json"
            said = await reply.json()
        told = {
            f"{sample['name']}{sorted(sample['labels'].items())}": sample["value"]
            for family in said.values()
            for sample in family
        }
        assert told.keys() == {name for name in scraped if "_created" not in name}
        assert told["rhetor_requests_total" + str(OK_AT_OPENAI)] == 1


OK_AT_OPENAI = [("capability", "text-to-text"), ("door", "openai"), ("outcome", "ok")]


async def test_names_that_callers_make_up_are_no_labels(gateway: Gateway) -> None:
    """A thousand models that nobody has heard of are one line."""
    for n in range(20):
        await gateway.post(OPENAI_CHAT.path, OPENAI_CHAT.body(model=f"oai/made-up-{n}"))
        await gateway.post(OPENAI_CHAT.path, OPENAI_CHAT.body(model=f"made-up-{n}"))
    await gateway.booked(40)
    assert not [name for name in await samples(gateway) if "made-up" in name]


# Trips.


async def test_the_newest_trips(gateway: Gateway, upstream: Upstream) -> None:
    for n in range(5):
        await gateway.post(OPENAI_CHAT.path, OPENAI_CHAT.body(model=f"oai/{n}"))
    trips = await gateway.booked(5)
    assert [trip["model"] for trip in trips] == [f"oai/{n}" for n in reversed(range(5))]
    assert {trip["served_by"] for trip in trips} == {trip["model"] for trip in trips}
    newest = trips[0]
    assert newest["attempts"] == [{"target": "oai/4", "outcome": "ok", "ms": newest["attempts"][0]["ms"]}]
    assert re.match(r"\d{4}-\d\d-\d\dT", newest["at"])
    assert newest["total_ms"] >= newest["first_event_ms"] >= 0
    _, two = await gateway.get("/api/v1/trips?limit=2")
    assert two["trips"] == trips[:2]


async def test_how_many_trips(gateway: Gateway) -> None:
    await gateway.post(OPENAI_CHAT.path, OPENAI_CHAT.body())
    await gateway.booked()
    for limit in ("0", "-5", "9" * 30):
        status, said = await gateway.get(f"/api/v1/trips?limit={limit}")
        assert (status, len(said["trips"])) == (200, 1)
    for limit in ("all", "", "1e3"):
        status, said = await gateway.get(f"/api/v1/trips?limit={limit}")
        assert (status, tekton_wrong(said).param) == (400, "limit")


# Why somebody was chosen.


async def test_a_route_explained(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """Who would be tried, in order, and why the others would not; nobody is asked."""
    route = {"targets": ["groq/llama", "oai/m", "ant/m"]}
    gateway = await make_gateway(settings(upstream, routes={"fast": route}))
    status, said = await gateway.get("/api/v1/routes/explain?model=fast")
    assert (status, said["route"]) == (200, "fast")
    assert [entry["target"] for entry in said["targets"]] == ["oai/m", "ant/m"]
    assert all(entry["reason"] for entry in said["targets"])
    (left_out,) = said["left_out"]
    assert left_out["target"] == "groq/llama"
    assert "GROQ_API_KEY" in left_out["reason"]
    _, said = await gateway.get("/api/v1/routes/explain?model=fast&capability=embeddings")
    assert [entry["target"] for entry in said["targets"]] == ["oai/m"]
    assert upstream.requests == []
    assert (await gateway.get("/api/v1/trips"))[1]["trips"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404),
        ("model=oai/m", 200),
        ("model=nobody/m", 404),
        ("model=oai/m&capability=mind-reading", 400),
        ("model=groq/llama", 503),
        ("model=%ff%00", 404),
    ],
)
async def test_what_cannot_be_explained(gateway: Gateway, query: str, status: int) -> None:
    reply = await raw(gateway.url, http("GET", f"/api/v1/routes/explain?{query}"))
    assert reply.status == status
    if status != 200:
        assert tekton_wrong(reply.json).message


async def test_who_leaves_the_choice_to_us_is_explained_by_the_demands(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    lab = {"oai": {**settings(upstream)["providers"]["oai"], "models": ["m"], "tags": ["eu"]}}
    gateway = await make_gateway(settings(upstream, providers=lab, rules={"task": {"code": "ant/coder"}}))
    _, said = await gateway.get("/api/v1/routes/explain?model=auto&tags=eu&prefer=cost")
    assert [entry["target"] for entry in said["targets"]] == ["oai/m"]
    assert {"target": "offline/echo", "reason": "is not tagged eu"} in said["left_out"]
    _, said = await gateway.get("/api/v1/routes/explain?task=code")
    assert [entry["target"] for entry in said["targets"]] == ["ant/coder"]
    demands = "price=free&strengths=coding&load_balancing=health&speed=fast"
    _, said = await gateway.get(f"/api/v1/routes/explain?model=auto&{demands}")
    assert [entry["target"] for entry in said["targets"]] == ["offline/echo"]  # it alone is known to be free
    for query in ("prefer=beauty", "capabilities=magic", "max_cost=much", "price=dear", "speed=soon"):
        status, said = await gateway.get(f"/api/v1/routes/explain?model=auto&{query}")
        assert status == 400
        assert tekton_wrong(said).message


# How targets are doing.


async def test_the_health_of_targets(gateway: Gateway, upstream: Upstream) -> None:
    """Who was asked is told, with what came of it; whom nobody asked is not."""
    assert (await gateway.get("/api/v1/health/targets"))[1] == {"targets": []}
    ask = {"model": "oai/m", "messages": [{"role": "user", "content": "hi"}]}
    assert (await gateway.post("/v1/chat/completions", ask))[0] == 200
    upstream.next(fails(401))
    await gateway.post("/v1/chat/completions", ask)
    _, said = await gateway.get("/api/v1/health/targets")
    (row,) = said["targets"]
    assert (row["target"], row["breaker"], row["in_flight"], row["key_bad"]) == ("oai/m", "closed", 0, True)
    assert row["first_event_ms"] is not None


async def test_open_breakers_are_counted(make_gateway: MakeGateway, upstream: Upstream) -> None:
    once = {"targets": ["oai/m"], "retries": 0}
    gateway = await make_gateway(settings(upstream, routes={"once": once}))
    ask = {"model": "once", "messages": [{"role": "user", "content": "hi"}]}
    upstream.next(*[fails(503)] * IN_A_ROW)
    for _ in range(IN_A_ROW):
        await gateway.post("/v1/chat/completions", ask)
    async with gateway.session.get(gateway.url + "/metrics") as reply:
        lines = (await reply.text()).splitlines()
    assert 'rhetor_breaker_open{provider="oai"} 1.0' in lines
    assert 'rhetor_breaker_open{provider="ant"} 0.0' in lines


# Reloading.


async def test_reloading(make_gateway: MakeGateway, upstream: Upstream, tmp_path: Path) -> None:
    """All of the file counts from now on, or nothing of it; what is under way ends as it began."""
    given = settings(upstream)
    gateway = await make_gateway(given)
    gate = Gate()
    upstream.next(hangs(gate, after=1))
    async with OldSocket(gateway.url) as socket:
        socket.say({"type": "STREAM", "request_id": "r", "prompt": "q", "model": "oai/m"})
        await socket.hear()
        file = tmp_path / "rhetor.yaml"
        file.write_text(yaml.safe_dump({**given, "routes": {"fast": {"targets": ["nobody/m", "oai"]}}}))
        status, said = await gateway.post("/api/v1/reload", {})
        assert status == 400
        assert "routes.fast.targets[0]" in tekton_wrong(said).message
        assert "routes.fast.targets[1]" in tekton_wrong(said).message
        assert (await gateway.get("/v1/models/fast"))[0] == 404

        file.write_text(yaml.safe_dump({**given, "routes": {"fast": {"targets": ["ant/m"]}}}))
        assert await gateway.post("/api/v1/reload", {}) == (200, {"reloaded": True})
        status, said = await gateway.post(OPENAI_CHAT.path, OPENAI_CHAT.body(model="fast"))
        assert (status, said["model"]) == (200, "m")
        gate.open()
        assert (await socket.hear())["chunk"] == " world"


async def test_a_route_to_nobody_is_told_at_the_start(
    gateway_process: MakeProcess, upstream: Upstream
) -> None:
    """With its place in the file, before a single request could find out."""
    with pytest.raises(AssertionError, match=r"routes\.fast\.targets\[0\].*nobody"):
        await gateway_process(settings(upstream, routes={"fast": {"targets": ["nobody/m"]}}))


# The page.


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/console/console.js", "text/javascript"),
        ("/console/console.css", "text/css"),
        ("/static/js/tekton-llm-client.js", "text/javascript"),
        ("/static/js/tekton-llm-client.mjs", "text/javascript"),
        ("/console/base.css", "text/css"),
        ("/console/page.js", "text/javascript"),
        ("/console/sessions.html", "text/html"),
        ("/static/js/tekton-llm-sessions.js", "text/javascript"),
        ("/static/js/tekton-llm-sessions.mjs", "text/javascript"),
        ("/static/js/tekton-llm-media.js", "text/javascript"),
        ("/static/js/tekton-llm-media.mjs", "text/javascript"),
        ("/static/js/rhetor-chat.js", "text/javascript"),
    ],
)
async def test_the_page_and_what_it_is_made_of(gateway: Gateway, path: str, kind: str) -> None:
    """No page of others may frame it, and it loads nothing from elsewhere."""
    async with gateway.session.get(gateway.url + path) as reply:
        assert (reply.status, reply.content_type, reply.charset) == (200, kind, "utf-8")
        policy = reply.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        text = await reply.text()
    elsewhere: list[Any] = re.findall(r"(?:src|href)=\"(?:https?:)?//[^\"]*", text)
    assert elsewhere == []


@pytest.mark.parametrize("path", ["/console/secrets.toml", "/console/index.html", "/static/js/console.js"])
async def test_nothing_else_is_handed_out(gateway: Gateway, path: str) -> None:
    status, said = await gateway.get(path)
    assert status == 404
    assert tekton_wrong(orjson.loads(orjson.dumps(said))).message
