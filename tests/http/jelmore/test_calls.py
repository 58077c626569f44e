"""Sessions as Jelmore's callers hold them, over each of its versions' REST calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from aiohttp import WSServerHandshakeError

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Ability, Condition
from rhetor.sessions.event import Event, EventType
from rhetor.testing import Upstream
from rhetor.wire.jelmore import EVENT_TYPES
from tests.conftest import MakeGateway
from tests.http.conversing import ANN, BOB, TOKENS, Sessions, Stream, admit, house
from tests.sessions.scripted import Gate, Scripted, asks, breaks, moves, says, uses, waits

ROOT = "/api/v1/sessions"
UNKNOWN = "ses_" + "0" * 24


@pytest.fixture
async def jelmore(make_gateway: MakeGateway) -> Sessions:
    """A gateway whose `claude` does as it is told."""
    return await house(make_gateway, Scripted("claude_code"))


async def create(jelmore: Sessions, query: str = "Hello Claude", **more: Any) -> dict[str, Any]:
    """A session whose first turn is over."""
    begun: dict[str, Any] = await jelmore.said("POST", ROOT, {"query": query, **more})
    await jelmore.until(begun["session_id"], "idle", "failed")
    return begun


@asynccontextmanager
async def streaming(jelmore: Sessions, id: str, query: str = "") -> AsyncIterator[Stream]:
    reply = await jelmore.gateway.session.get(f"{jelmore.gateway.url}{ROOT}/{id}/stream{query}")
    try:
        yield Stream(reply)
    finally:
        reply.close()


async def told(stream: Stream, count: int) -> list[dict[str, Any]]:
    """So many events, as a caller reads them that looks at `data` alone."""
    events = []
    while len(events) < count:
        frame = await stream.frame()
        assert frame is not None
        (data,) = (line for line in frame.split(b"\n") if line.startswith(b"data: "))
        events.append(orjson.loads(data.removeprefix(b"data: ")))
    return events


# Beginning.


@pytest.mark.promise("J04")
@pytest.mark.promise("J07")
async def test_a_session_begins_with_a_query(jelmore: Sessions) -> None:
    gate = Gate()
    jelmore.backend.next(says("hi "), waits(gate))
    begun = await jelmore.said(
        "POST", ROOT, {"query": "Hello Claude", "provider": "claude", "model": "offline/echo"}
    )
    assert begun["status"] in ("active", "idle")
    assert (begun["provider"], begun["model"], begun["query"]) == ("claude", "offline/echo", "Hello Claude")
    assert begun["id"] == begun["session_id"]
    assert all(isinstance(begun[name], str) for name in ("created_at", "current_directory", "last_activity"))
    assert jelmore.backend.last.said[0].text == "Hello Claude"
    gate.open()
    await jelmore.until(begun["session_id"], "idle")


async def test_the_branch_v1_gets_its_status(jelmore: Sessions) -> None:
    """It answered 201, and is known by the fields that only it had."""
    reply = await jelmore.ask("POST", ROOT, {"query": "hi", "user_id": "u1", "timeout_minutes": 5})
    assert (reply.status, reply.json["user_id"], reply.json["dropped"]) == (201, "u1", ["timeout_minutes"])


@pytest.mark.promise("J15")
async def test_each_provider_by_its_name(jelmore: Sessions) -> None:
    opencode = Scripted("opencode")
    admit(jelmore.gateway, opencode)
    await create(jelmore, provider="claude")
    begun = await create(jelmore, provider="opencode", model="offline/echo")
    assert (begun["provider"], begun["model"]) == ("opencode", "offline/echo")
    assert (len(jelmore.backend.conversations), len(opencode.conversations)) == (1, 1)
    assert (await create(jelmore, provider="chat"))["provider"] == "chat"
    unknown = await jelmore.ask("POST", ROOT, {"query": "hi", "provider": "gemini"})
    assert (unknown.status, unknown.json["detail"]) == (
        404,
        "Provider 'gemini' not found; there are chat, claude, opencode",
    )


@pytest.mark.promise("J16")
@pytest.mark.promise("J17")
async def test_the_chosen_one_has_what_is_asked_for(jelmore: Sessions) -> None:
    admit(jelmore.gateway, Scripted("opencode", abilities=frozenset({Ability.TOOLS, Ability.STREAMING})))
    config = {
        "capabilities": ["tools", "file_operations"],
        "load_balancing": True,
        "cost_optimization": False,
    }
    for provider in ({}, {"provider": "auto"}):
        assert (await create(jelmore, config=config, **provider))["provider"] == "claude"
    impossible = await jelmore.ask("POST", ROOT, {"query": "hi", "config": {"capabilities": ["flying"]}})
    assert (impossible.status, impossible.json["detail"][0]["loc"][-1]) == (422, "capabilities")
    assert "flying" in impossible.json["detail"][0]["msg"]


async def test_who_demands_nothing_gets_the_agent(jelmore: Sessions) -> None:
    """Also with the defaults of its settings spelt out, as its own clients send them."""
    config = {"max_turns": 10, "timeout_seconds": 300, "load_balancing": True, "cost_optimization": False}
    assert (await create(jelmore, config=config))["provider"] == "claude"
    assert (await create(jelmore, config={"capabilities": []}, provider="auto"))["provider"] == "claude"


async def test_a_vendor_as_the_provider_is_a_chat_with_its_model(jelmore: Sessions) -> None:
    begun = await create(jelmore, provider="offline", model="echo")
    assert (begun["provider"], begun["model"]) == ("chat", "offline/echo")
    usual = await create(jelmore, provider="offline")
    assert usual["status"] in ("active", "idle")


@pytest.mark.promise("J18")
async def test_sessions_are_spread_according_to_load(make_gateway: MakeGateway) -> None:
    jelmore = await house(make_gateway, Scripted("claude_code", max_sessions=10))
    admit(jelmore.gateway, other := Scripted("opencode", max_sessions=10))
    gate = Gate()
    for backend in (jelmore.backend, other):
        for _ in range(10):
            backend.next(waits(gate))
    requirements = {"load_balancing": True, "capabilities": ["tools"]}
    for n in range(10):
        await jelmore.said("POST", ROOT, {"query": f"Task {n}", "requirements": requirements})
    assert (len(jelmore.backend.conversations), len(other.conversations)) == (5, 5)
    gate.open()


@pytest.mark.promise("J19")
async def test_auto_and_cheap(make_gateway: MakeGateway, upstream: Upstream) -> None:
    models = ["gpt-4o", "gpt-4o-mini"]
    openai = {"base_url": f"{upstream.base_url}/v1", "key": "env:TEST_KEY", "models": models}
    jelmore = await house(make_gateway, Scripted("claude_code"), providers={"openai": openai})
    await jelmore.gateway.app.discovered.wait()
    requirements = {"cost_optimization": True, "model": "auto", "max_tokens": 1000}
    begun = await create(jelmore, "Simple task", requirements=requirements)
    assert begun["model"] == "openai/gpt-4o-mini"
    named = await create(jelmore, "Hard task", requirements={**requirements, "model": "gpt-4o"})
    assert named["model"] == "gpt-4o"


@pytest.mark.promise("J29")
@pytest.mark.promise("J52")
async def test_a_model_that_nobody_offers(jelmore: Sessions) -> None:
    reply = await jelmore.ask("POST", ROOT, {"query": "hi", "provider": "claude", "model": "invalid-model"})
    assert (reply.status, reply.json["error"]["code"]) == (400, "model_not_found")
    assert reply.json["error"]["provider"] == "claude"
    assert "invalid-model" in reply.json["detail"]


@pytest.mark.promise("J24")
@pytest.mark.promise("J52")
async def test_more_sessions_than_there_may_be(make_gateway: MakeGateway) -> None:
    jelmore = await house(make_gateway, Scripted("claude_code", max_sessions=1))
    gate = Gate()
    jelmore.backend.next(waits(gate))
    begun = await jelmore.said("POST", ROOT, {"query": "hi"})
    reply = await jelmore.ask("POST", ROOT, {"query": "hi", "provider": "claude"})
    assert (reply.status, reply.json["error"]["provider"]) == (503, "claude")
    assert reply.headers["retry-after"]
    gate.open()
    await jelmore.until(begun["session_id"], "idle")


@pytest.mark.promise("J52")
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"query": 5}', b'{"query": "hi", "config": 5}'])
async def test_a_body_that_cannot_be_processed(jelmore: Sessions, body: bytes) -> None:
    reply = await jelmore.ask("POST", ROOT, body)
    assert (reply.status, reply.json["detail"][0]["loc"][0]) == (422, "body")
    assert reply.json["error"]["code"] == "invalid_request"


@pytest.mark.promise("J35")
async def test_an_agent_that_does_not_start(jelmore: Sessions) -> None:
    jelmore.backend.refusal = RhetorError("no such program", Code.UNAVAILABLE)
    begun = await jelmore.said("POST", ROOT, {"query": "hi"})
    assert begun["status"] == "failed"
    jelmore.backend.condition = Condition(healthy=False, error="claude is not installed")
    reply = await jelmore.ask("POST", ROOT, {"query": "hi"})
    assert (reply.status, reply.json["error"]["provider"]) == (503, "claude")


# Looking.


@pytest.mark.promise("J08")
@pytest.mark.promise("J22")
async def test_lists(jelmore: Sessions) -> None:
    admit(jelmore.gateway, Scripted("opencode"))
    one = await create(jelmore)
    two = await create(jelmore, provider="opencode")
    gone = await create(jelmore)
    await jelmore.said("DELETE", f"{ROOT}/{gone['id']}")

    async def listed(query: str) -> tuple[list[str], int]:
        said = await jelmore.said("GET", f"{ROOT}{query}")
        return [each["id"] for each in said["sessions"]], said["total_count"]

    assert await listed("") == ([two["id"], one["id"]], 2)
    assert await listed("?provider=claude") == ([one["id"]], 1)
    assert await listed("?provider=opencode") == ([two["id"]], 1)
    assert await listed("?status=terminated") == ([gone["id"]], 1)
    assert await listed("?limit=1") == ([two["id"]], 2)
    assert (await jelmore.ask("GET", f"{ROOT}?provider=gemini")).status == 404
    assert (await jelmore.ask("GET", f"{ROOT}?status=sleepy")).status == 400


async def test_the_sessions_of_one_user(jelmore: Sessions) -> None:
    for user in ("u1", "u2", "u1"):
        await jelmore.said("POST", ROOT, {"query": "hi", "user_id": user}, 201)
    said = await jelmore.said("GET", f"{ROOT}?user_id=u1&limit=1")
    assert (len(said["sessions"]), said["total_count"]) == (1, 2)
    assert said["sessions"][0]["user_id"] == "u1"


@pytest.mark.promise("J09")
async def test_the_older_list_is_a_bare_array(jelmore: Sessions) -> None:
    begun = await create(jelmore)
    (only,) = await jelmore.said("GET", "/api/v1/legacy/sessions")
    assert only.keys() == {
        "id", "status", "current_directory", "created_at", "last_activity", "output_buffer_size",
    }  # fmt: skip
    assert (only["id"], only["status"]) == (begun["id"], "idle")


@pytest.mark.promise("J14")
async def test_older_and_newer_calls_are_served_side_by_side(jelmore: Sessions) -> None:
    """Whoever moves does so call by call, and back."""
    begun = await create(jelmore)
    id = begun["id"]
    older = await jelmore.said("GET", "/api/v1/legacy/sessions")
    newer = (await jelmore.said("GET", ROOT))["sessions"]
    ours = (await jelmore.said("GET", "/v1/sessions"))["data"]
    assert [older[0]["id"], newer[0]["id"], ours[0]["id"]] == [id, id, id]
    assert older[0].items() <= newer[0].items()
    await jelmore.speak(id, "from the newest")
    await jelmore.said("POST", f"{ROOT}/{id}/messages", {"message": "from the older"})


async def test_one_session(jelmore: Sessions) -> None:
    begun = await create(jelmore)
    shown = await jelmore.said("GET", f"{ROOT}/{begun['id']}")
    assert shown["status"] == "idle"
    assert shown["output_buffer_size"] == len(await jelmore.log(begun["id"]))
    assert shown.keys() >= {"id", "model", "current_directory", "created_at", "last_activity", "metadata"}


@pytest.mark.promise("J52")
@pytest.mark.parametrize("id", [UNKNOWN, "x", "0f8fad5b-d9cb-469f-a165-70867728950e"])
async def test_a_session_that_there_is_not(jelmore: Sessions, id: str) -> None:
    calls = [
        ("GET", "", None), ("DELETE", "", None), ("POST", "/messages", {"message": "hi"}),
        ("POST", "/input", {"input_text": "y"}), ("GET", "/stream", None), ("GET", "/output", None),
        ("POST", "/suspend", None), ("POST", "/resume", {"state": {}}),
    ]  # fmt: skip
    for method, path, body in calls:
        reply = await jelmore.ask(method, f"{ROOT}/{id}{path}", body)
        assert (reply.status, reply.json["detail"]) == (404, "Session not found"), path


# Speaking.


@pytest.mark.promise("J39")
async def test_a_session_takes_more_than_one_message(jelmore: Sessions) -> None:
    begun = await create(jelmore)
    said = await jelmore.said("POST", f"{ROOT}/{begun['id']}/messages", {"message": "and now?"})
    assert (said["success"], said["session_id"]) == (True, begun["id"])
    await jelmore.until(begun["id"], "idle")
    assert [said.text for said in jelmore.backend.last.said] == ["Hello Claude", "and now?"]
    wrong = await jelmore.ask("POST", f"{ROOT}/{begun['id']}/messages", {"text": "hi"})
    assert (wrong.status, wrong.json["detail"][0]["loc"]) == (422, ["body", "message"])


@pytest.mark.promise("J43")
@pytest.mark.promise("J54")
async def test_input_is_taken_while_it_is_waited_for(jelmore: Sessions) -> None:
    jelmore.backend.next(asks("a1", "Bash", command="rm"), asks("a2"), says("done"))
    begun = await jelmore.said("POST", ROOT, {"query": "clean up"})
    id = begun["session_id"]
    await jelmore.until(id, "waiting_input")
    first = await jelmore.said("POST", f"{ROOT}/{id}/input", {"input_text": "yes"})
    assert (first["success"], first["session_id"], first["message"]) == (True, id, "Input sent")
    while "a2" not in [each["request_id"] for each in (await jelmore.get(id))["waiting_for"]]:
        await jelmore.until(id, "waiting_input")
    await jelmore.said("POST", f"{ROOT}/{id}/input", {"input": "not that one"})
    await jelmore.until(id, "idle")
    verdicts = jelmore.backend.last.verdicts
    assert (verdicts["a1"].decision, verdicts["a2"].decision) == ("allow", "deny")
    assert verdicts["a2"].message == "not that one"
    late = await jelmore.ask("POST", f"{ROOT}/{id}/input", {"input_text": "yes"})
    assert (late.status, late.json["status"]) == (409, "idle")
    assert late.json["detail"] == "Session is not waiting for input (current status: idle)"
    assert late.json["error"]["provider"] == "claude"


@pytest.mark.promise("J20")
@pytest.mark.promise("J21")
async def test_suspended_and_resumed(jelmore: Sessions) -> None:
    begun = await create(jelmore)
    id = begun["id"]
    suspended = await jelmore.said("POST", f"{ROOT}/{id}/suspend")
    assert (suspended["session_id"], suspended["state"]["session_id"]) == (id, id)
    assert suspended["suspended_at"]
    assert jelmore.backend.open_ones == []
    again = await jelmore.said("POST", f"{ROOT}/{id}/suspend")
    assert again["state"]["session_id"] == id
    foreign = {**suspended["state"], "session_id": UNKNOWN}
    assert (await jelmore.ask("POST", f"{ROOT}/{id}/resume", {"state": foreign})).status == 409
    assert (await jelmore.ask("POST", f"{ROOT}/{id}/resume", {"state": []})).status == 422
    resumed = await jelmore.said("POST", f"{ROOT}/{id}/resume", {"state": suspended["state"]})
    assert (resumed["success"], resumed["status"]) == (True, "idle")
    await jelmore.said("POST", f"{ROOT}/{id}/suspend")
    await jelmore.said("POST", f"{ROOT}/{id}/messages", {"message": "go on"})
    await jelmore.until(id, "idle")
    assert jelmore.backend.last.setup.native_id == f"native_{id}"


@pytest.mark.promise("J06")
async def test_terminated(jelmore: Sessions) -> None:
    begun = await create(jelmore)
    path = f"{ROOT}/{begun['id']}"
    for _ in range(2):
        gone = await jelmore.said("DELETE", f"{path}?reason=bored")
        assert (gone["success"], gone["session_id"]) == (True, begun["id"])
    assert jelmore.backend.open_ones == []
    assert (await jelmore.said("GET", path))["status"] == "terminated"
    assert (await jelmore.ask("POST", f"{path}/messages", {"message": "hi"})).status == 409
    assert (await jelmore.log(begun["id"]))[-1]["data"]["reason"] == "bored"


# Hearing.


@pytest.mark.promise("J05")
@pytest.mark.promise("J36")
@pytest.mark.promise("J51")
async def test_events_are_json_and_valid(jelmore: Sessions) -> None:
    jelmore.backend.next(
        [Event(EventType.THINKING, "hm", {"message_id": "m0"})],
        says("hello\nworld"), uses("Write", {"path": "x"}, "ok"), moves("/tmp"), asks("a1"), breaks("gone"),
    )  # fmt: skip
    begun = await jelmore.said("POST", ROOT, {"query": "hi"})
    id = begun["session_id"]
    await jelmore.until(id, "waiting_input")
    await jelmore.said("POST", f"{ROOT}/{id}/input", {"input_text": "y"})
    await jelmore.until(id, "failed")
    log = await jelmore.log(id)
    async with streaming(jelmore, id) as stream:
        assert stream.reply.headers["content-type"] == "text/event-stream"
        events = await told(stream, len(log))
    assert {event["event_type"] for event in events} == EVENT_TYPES
    for event, logged in zip(events, log, strict=True):
        assert event["session_id"] == id
        assert (event["content"], event["timestamp"], event["seq"]) == (
            logged["content"], logged["at"], logged["seq"],
        )  # fmt: skip
        same = logged["type"] in EVENT_TYPES
        assert event["metadata"] == (logged["data"] if same else {"type": logged["type"], **logged["data"]})
    (used,) = (event for event in events if event["event_type"] == "tool_use")
    assert (used["metadata"]["name"], used["metadata"]["input"]) == ("Write", {"path": "x"})


async def test_a_stream_goes_on_where_it_broke_off(jelmore: Sessions) -> None:
    begun = await create(jelmore)
    log = await jelmore.log(begun["id"])
    async with streaming(jelmore, begun["id"], "?after=2") as stream:
        assert [event["seq"] for event in await told(stream, len(log) - 2)] == [*range(3, len(log) + 1)]
        await jelmore.said("DELETE", f"{ROOT}/{begun['id']}")
        (last,) = await told(stream, 1)
        assert (last["event_type"], last["content"]) == ("status_change", "terminated")
        assert await stream.frame() is None
    last_seen = {"Last-Event-ID": str(last["seq"])}
    assert (await jelmore.ask("GET", f"{ROOT}/{begun['id']}/stream", headers=last_seen)).status == 204


async def test_what_was_said_so_far(jelmore: Sessions) -> None:
    jelmore.backend.next(says("hello ", "there"))
    begun = await create(jelmore)
    said = await jelmore.said("GET", f"{ROOT}/{begun['id']}/output")
    assert (said["output"], said["output_length"], said["status"]) == ("hello there", 11, "idle")
    assert (len(said["events"]), said["has_more"]) == (said["last_seq"], False)
    some = await jelmore.said("GET", f"{ROOT}/{begun['id']}/output?limit=2")
    rest = await jelmore.said("GET", f"{ROOT}/{begun['id']}/output?after={some['last_seq']}")
    assert (some["has_more"], some["events"] + rest["events"]) == (True, said["events"])


# Who may.


async def test_what_is_somebody_elses_does_not_exist(make_gateway: MakeGateway) -> None:
    jelmore = await house(make_gateway, Scripted("claude_code"), **TOKENS)
    id = (await jelmore.ask("POST", ROOT, {"query": "hi"}, {"x-api-key": "a" * 20})).json["id"]
    assert (await jelmore.ask("GET", f"{ROOT}/{id}", headers=BOB)).status == 404
    nobody = await jelmore.ask("GET", f"{ROOT}/{id}")
    assert nobody.status == 401
    assert "token" in nobody.json["detail"]
    assert (await jelmore.ask("GET", ROOT, headers=BOB)).json["sessions"] == []
    assert (await jelmore.ask("GET", ROOT, headers=ANN)).json["total_count"] == 1


@pytest.mark.promise("J51")
async def test_a_browser_that_comes_again_to_the_same_address(jelmore: Sessions) -> None:
    id = (await create(jelmore))["id"]
    url = f"{jelmore.gateway.url}{ROOT}/{id}/stream?after=1"
    reply = await jelmore.gateway.session.get(url, headers={"Last-Event-ID": "3"})
    stream = Stream(reply)
    assert (await told(stream, 1))[0]["seq"] == 4
    reply.close()


@pytest.mark.parametrize("path", ["stream", "ws"])
async def test_a_place_that_there_is_not(jelmore: Sessions, path: str) -> None:
    id = (await create(jelmore))["id"]
    url = f"{jelmore.gateway.url}{ROOT}/{id}/{path}?after=999"
    with pytest.raises(WSServerHandshakeError) as refused:
        await jelmore.gateway.session.ws_connect(url)
    assert refused.value.status == 400
