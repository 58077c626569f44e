"""Sessions over HTTP: begun, led, watched, suspended, resumed and ended, by their owner only."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Ability, Condition
from rhetor.tasks import spawn
from tests.conftest import MakeGateway
from tests.http.conversing import ANN, BOB, TOKENS, Sessions, admit, following, house, text, types
from tests.http.conversing import sessions as sessions  # the fixture
from tests.sessions.scripted import Gate, Scripted, asks, breaks, fails, moves, says, uses, waits

UNKNOWN = "ses_" + "0" * 24
RESUMED: dict[str, Any] = {"messages": {"resume": True}}


async def test_a_session_is_begun_and_takes_messages(sessions: Sessions) -> None:
    begun = await sessions.said("POST", "/v1/sessions", {"backend": "scripted", "title": "Greetings"}, 201)
    assert (begun["state"], begun["turn"], begun["object"]) == ("idle", 0, "session")
    assert (begun["backend"], begun["title"]) == ("scripted", "Greetings")
    id = begun["id"]
    sent = await sessions.send(id, "hello")
    assert (sent["again"], sent["session"]["turn"]) == (False, 1)
    session = await sessions.until(id, "idle")
    assert session["turn"] == 1
    log = await sessions.log(id)
    assert text(log) == "You said: hello"
    assert [event["seq"] for event in log] == [*range(1, len(log) + 1)]
    (user,) = (event for event in log if event["type"] == "user")
    assert (user["content"], user["data"]["message_id"], user["seq"]) == (
        "hello",
        sent["message_id"],
        sent["seq"],
    )


async def test_the_first_message_may_come_with_it(sessions: Sessions) -> None:
    for message in ("hello", {"text": "hello", "message_id": "m-1"}):
        id = await sessions.begin(message)  # type: ignore[arg-type]
        assert text(await sessions.log(id)) == "You said: hello"


@pytest.mark.promise("J55")
async def test_what_it_was_begun_with_reaches_the_agent(make_gateway: MakeGateway, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    sessions = await house(make_gateway, sessions={"directories": [str(tmp_path)], "environment": ["CI"]})
    await sessions.begin(
        "hello",
        model="offline/echo",
        system="be short",
        directory=str(work),
        max_turns=3,
        temperature=0.5,
        max_tokens=100,
        permissions="plan",
        environment={"CI": "1"},
    )
    setup = sessions.backend.last.setup
    assert (setup.model, setup.system, setup.directory) == ("offline/echo", "be short", work)
    assert (setup.max_turns, setup.temperature, setup.max_tokens) == (3, 0.5, 100)
    assert (setup.permissions, dict(setup.environment)) == ("plan", {"CI": "1"})


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PATH", "ANTHROPIC_BASE_URL", "CIX"])
async def test_variables_that_nobody_allowed_are_refused(make_gateway: MakeGateway, name: str) -> None:
    """They would run other programs than the agent, or send its calls elsewhere."""
    sessions = await house(make_gateway, sessions={"environment": ["CI"]})
    given = {"CI": "1", name: "x"}
    reply = await sessions.ask("POST", "/v1/sessions", {"backend": "scripted", "environment": given})
    assert (reply.status, reply.json["param"]) in ((400, "environment"), (403, "environment")), reply.body
    assert name in reply.json["error"]
    id = await sessions.begin("one")
    for path, body in (("messages", {"message": "two"}), ("resume", {})):
        await sessions.said("POST", f"/v1/sessions/{id}/suspend")
        reply = await sessions.ask(
            "POST", f"/v1/sessions/{id}/{path}", {**body, "environment": given, **RESUMED.get(path, {})}
        )
        assert reply.status in (400, 403), reply.body
        await sessions.said("POST", f"/v1/sessions/{id}/resume")
    await sessions.speak(id, "three")
    assert dict(sessions.backend.last.setup.environment) == {}


async def test_nobody_sets_the_environment_of_somebody_elses_agent(make_gateway: MakeGateway) -> None:
    sessions = await house(make_gateway, sessions={"environment": ["CI"]}, **TOKENS)
    sessions.headers = ANN
    id = (await sessions.said("POST", "/v1/sessions", {"backend": "scripted"}, 201))["id"]
    await sessions.said("POST", f"/v1/sessions/{id}/suspend")
    foreign = await sessions.ask("POST", f"/v1/sessions/{id}/resume", {"environment": {"CI": "bob"}}, BOB)
    assert foreign.status == 404
    await sessions.said(
        "POST", f"/v1/sessions/{id}/messages", {"message": "hi", "resume": True, "wait": True}
    )
    assert dict(sessions.backend.last.setup.environment) == {}


@pytest.mark.promise("J55")
async def test_a_turn_ends_when_its_time_is_over(sessions: Sessions) -> None:
    sessions.backend.next(says("one"), waits())
    id = await sessions.begin(timeout_s=0.05)
    ended = await sessions.speak(id)
    assert (ended["reason"], ended["text"]) == ("timeout", "one")
    (error,) = (event for event in ended["events"] if event["type"] == "error")
    assert error["data"]["code"] == "total_timeout"


async def test_sent_twice_with_a_key_it_is_one(sessions: Sessions) -> None:
    key, given = {"Idempotency-Key": "k1"}, {"backend": "scripted", "message": "hello"}
    first = await sessions.ask("POST", "/v1/sessions", given, key)
    again = await sessions.ask("POST", "/v1/sessions", given, key)
    other = await sessions.ask("POST", "/v1/sessions", given, {"Idempotency-Key": "k2"})
    assert (first.status, again.status) == (201, 201)
    assert first.json["id"] == again.json["id"] != other.json["id"]
    await sessions.until(first.json["id"], "idle")
    assert (await sessions.get(first.json["id"]))["turn"] == 1
    long = await sessions.ask("POST", "/v1/sessions", given, {"Idempotency-Key": "k" * 300})
    assert (long.status, long.json["param"]) == (400, "Idempotency-Key")


async def test_a_message_that_comes_again_is_one(sessions: Sessions) -> None:
    id = await sessions.begin()
    first = await sessions.speak(id, "hello", message_id="m-1")
    again = await sessions.send(id, "hello", message_id="m-1")
    assert (again["again"], again["seq"], again["session"]["turn"]) == (True, first["seq"], 1)
    heard = await sessions.speak(id, "hello", message_id="m-1")
    assert (heard["text"], heard["reason"]) == (first["text"], "end")
    assert heard["events"] == first["events"]


@pytest.mark.parametrize("key", ["message", "text", "content"])
async def test_waiting_for_the_end_of_a_turn(sessions: Sessions, key: str) -> None:
    sessions.backend.next(
        says("one "), uses("Bash", {"command": "ls"}, "README"), says("two", message_id="m2")
    )
    id = await sessions.begin()
    ended = await sessions.said("POST", f"/v1/sessions/{id}/messages", {key: "go", "wait": True})
    assert (ended["text"], ended["reason"], ended["complete"]) == ("one two", "end", True)
    happened = [type for type in types(ended["events"]) if type != "status_change"]
    assert happened == ["user", "assistant", "tool_use", "tool_result", "assistant"]
    assert ended["session"]["state"] == "idle"


@pytest.mark.promise("J37")
async def test_tools_and_their_results_are_told(sessions: Sessions) -> None:
    sessions.backend.next(uses("Bash", {"command": "ls"}, "README", is_error=False))
    id = await sessions.begin()
    events = (await sessions.speak(id))["events"]
    (used,) = (event for event in events if event["type"] == "tool_use")
    (came,) = (event for event in events if event["type"] == "tool_result")
    assert used["data"] == {"id": "t1", "name": "Bash", "input": {"command": "ls"}}
    assert (came["content"], came["data"]) == ("README", {"id": "t1", "name": "Bash", "is_error": False})


@pytest.mark.promise("J38")
async def test_the_directory_is_tracked(sessions: Sessions) -> None:
    sessions.backend.next(moves("/tmp/elsewhere", before="/tmp"))
    id = await sessions.begin()
    events = (await sessions.speak(id))["events"]
    (moved,) = (event for event in events if event["type"] == "directory_change")
    assert moved["data"] == {"directory": "/tmp/elsewhere", "before": "/tmp"}
    assert (await sessions.get(id))["current_directory"] == "/tmp/elsewhere"


@pytest.mark.promise("J39")
async def test_a_second_message_goes_to_the_same_conversation(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    await sessions.speak(id, "two")
    (conversation,) = sessions.backend.conversations
    assert [said.text for said in conversation.said] == ["one", "two"]


# Approvals.


async def test_an_agent_that_asks_waits_for_the_answer(sessions: Sessions) -> None:
    sessions.backend.next(says("may I? "), asks("a1", "Bash", command="rm -r x"), says("done"))
    id = await sessions.begin()
    assert await sessions.waiting(id) == "a1"
    session = await sessions.get(id)
    (asked,) = session["waiting_for"]
    assert (asked["tool"], asked["input"], asked["always"]) == ("Bash", {"command": "rm -r x"}, True)
    answered = await sessions.said(
        "POST",
        f"/v1/sessions/{id}/approvals/a1",
        {"decision": "allow", "input": {"command": "ls"}, "always": True},
    )
    assert (answered["state"], answered["waiting_for"]) == ("active", [])
    await sessions.until(id, "idle")
    verdict = sessions.backend.last.verdicts["a1"]
    assert (verdict.decision, verdict.input, verdict.always) == ("allow", {"command": "ls"}, True)
    assert text(await sessions.log(id)) == "may I? done"


async def test_an_answer_may_be_no(sessions: Sessions) -> None:
    sessions.backend.next(asks("a1"), says("then not"))
    id = await sessions.begin()
    await sessions.waiting(id)
    await sessions.said(
        "POST", f"/v1/sessions/{id}/approvals/a1", {"decision": "deny", "message": "too risky"}
    )
    await sessions.until(id, "idle")
    verdict = sessions.backend.last.verdicts["a1"]
    assert (verdict.decision, verdict.message) == ("deny", "too risky")


async def test_what_is_not_asked_cannot_be_answered(sessions: Sessions) -> None:
    sessions.backend.next(asks("a1"))
    id = await sessions.begin()
    await sessions.waiting(id)
    for request_id in ("a2", "%00", "a" * 300):
        reply = await sessions.ask("POST", f"/v1/sessions/{id}/approvals/{request_id}", {"decision": "allow"})
        assert reply.status == 409, reply.body
        assert reply.json["state"] == "waiting_input"
    await sessions.said("POST", f"/v1/sessions/{id}/approvals/a1", {"decision": "allow"})
    await sessions.until(id, "idle")
    assert (await sessions.ask("POST", f"/v1/sessions/{id}/approvals/a1", {"decision": "deny"})).status == 409


# Interruption, suspension, the end.


@pytest.mark.promise("J43")
async def test_what_the_state_does_not_allow_is_a_conflict_that_names_it(sessions: Sessions) -> None:
    gate = Gate()
    sessions.backend.next(waits(gate))
    id = await sessions.begin()
    path = f"/v1/sessions/{id}"

    async def refused(what: str, state: str, body: Any = None) -> None:
        reply = await sessions.ask("POST", f"{path}/{what}", body)
        assert (reply.status, reply.json["code"], reply.json["state"]) == (409, "conflict", state), reply.body
        assert state in reply.json["error"]

    await refused("interrupt", "idle")
    await refused("resume", "idle")
    await sessions.send(id)
    await sessions.until(id, "active")
    await refused("messages", "active", {"message": "and this?"})
    await refused("resume", "active")
    gate.open()
    await sessions.until(id, "idle")
    await sessions.said("POST", f"{path}/suspend")
    again = await sessions.said("POST", f"{path}/suspend")  # whose reply was lost asks again
    assert again["session_id"] == id
    await refused("messages", "suspended", {"message": "are you there?"})
    await sessions.said("DELETE", path)
    await refused("suspend", "terminated")
    await refused("resume", "terminated")
    await refused("messages", "terminated", {"message": "are you there?", "resume": True})


async def test_a_turn_can_be_interrupted(sessions: Sessions) -> None:
    sessions.backend.next(says("one "), waits())
    id = await sessions.begin()
    sent = await sessions.send(id)
    async with following(sessions, id) as stream:
        await stream.until("assistant")
    asked = await sessions.said("POST", f"/v1/sessions/{id}/interrupt", status=202)
    assert asked["id"] == id
    await sessions.until(id, "idle")
    (ended,) = (e for e in await sessions.log(id, sent["seq"]) if e["data"].get("to") == "idle")
    assert ended["data"]["reason"] == "interrupted"
    assert (await sessions.speak(id, "still there?"))["text"] == "You said: still there?"


@pytest.mark.promise("J20")
@pytest.mark.promise("J21")
async def test_a_session_is_suspended_and_goes_on(sessions: Sessions) -> None:
    id = await sessions.begin("one", environment={})
    path = f"/v1/sessions/{id}"
    state = await sessions.said("POST", f"{path}/suspend")
    assert (state["version"], state["session_id"], state["backend"]) == (1, id, "scripted")
    assert state["native_id"] == f"native_{id}"
    assert not {"environment", "token", "owner"} & state.keys()
    assert sessions.backend.open_ones == []
    assert (await sessions.get(id))["state"] == "suspended"
    resumed = await sessions.said("POST", f"{path}/resume", {"state": state})
    assert resumed["state"] == "idle"
    await sessions.speak(id, "two")
    assert sessions.backend.last.setup.native_id == f"native_{id}"
    assert [event["content"] for event in await sessions.log(id) if event["type"] == "user"] == ["one", "two"]


async def test_a_suspended_session_goes_on_with_a_message_that_says_so(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    await sessions.said("POST", f"/v1/sessions/{id}/suspend")
    assert (await sessions.speak(id, "two", resume=True))["text"] == "You said: two"


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"session_id": UNKNOWN}, 409, "state.session_id"),
        ({"native_id": "another"}, 409, "state.native_id"),
        ({"backend": "chat"}, 409, "state.backend"),
        ({"last_seq": 10_000}, 409, "state.last_seq"),
        ({"version": 99}, 400, "state.version"),
        ({"version": 0}, 400, "state.version"),
        ({"version": "1"}, 400, "state"),
    ],
)
async def test_a_state_that_does_not_fit_is_refused(
    sessions: Sessions, changes: dict[str, Any], status: int, param: str
) -> None:
    """And nothing is lost: the session is as it was."""
    id = await sessions.begin("one")
    state = await sessions.said("POST", f"/v1/sessions/{id}/suspend")
    before = await sessions.get(id)
    reply = await sessions.ask("POST", f"/v1/sessions/{id}/resume", {"state": {**state, **changes}})
    assert (reply.status, reply.json["param"]) == (status, param), reply.body
    assert await sessions.get(id) == before
    await sessions.said("POST", f"/v1/sessions/{id}/resume", {"state": state})


@pytest.mark.promise("J06")
async def test_a_session_that_is_ended_can_still_be_read(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    for _ in range(2):  # once more changes nothing
        ended = await sessions.said("DELETE", f"/v1/sessions/{id}?reason=finished")
        assert ended["state"] == "terminated"
    assert sessions.backend.open_ones == []
    log = await sessions.log(id)
    assert log[-1]["data"] == {"from": "idle", "to": "terminated", "reason": "finished"}
    listed = await sessions.said("GET", f"/v1/sessions/{id}/events")
    assert listed["ended"] is True


async def test_a_session_that_is_forgotten_is_gone(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    folder = Path((await sessions.get(id))["directory"])
    assert folder.is_dir()
    gone = await sessions.said("DELETE", f"/v1/sessions/{id}?forget=true")
    assert gone == {"id": id, "object": "session.deleted", "deleted": True}
    assert (await sessions.ask("GET", f"/v1/sessions/{id}")).status == 404
    assert (await sessions.ask("DELETE", f"/v1/sessions/{id}?forget=true")).status == 404
    assert not folder.exists()
    assert sessions.backend.forgotten == [f"native_{id}"]


@pytest.mark.promise("J25")
async def test_old_sessions_are_cleaned_up_and_counted(sessions: Sessions) -> None:
    old = [await sessions.begin("one"), await sessions.begin()]
    gate = Gate()
    sessions.backend.next(waits(gate))
    busy = await sessions.begin()
    await sessions.send(busy)
    await sessions.until(busy, "active")
    none = await sessions.said("POST", "/v1/sessions/cleanup?max_age_s=3600")
    assert none == {"total": 0, "by_backend": {}}
    assert await sessions.said("POST", "/v1/sessions/cleanup?max_age_s=0") == {
        "total": 2,
        "by_backend": {"scripted": 2},
    }
    for id in old:
        assert (await sessions.ask("GET", f"/v1/sessions/{id}")).status == 404
    gate.open()
    await sessions.until(busy, "idle")


# Failures.


@pytest.mark.promise("J35")
async def test_an_agent_that_breaks_fails_its_session_which_can_go_on(sessions: Sessions) -> None:
    sessions.backend.next(says("one"), breaks("out of memory"))
    id = await sessions.begin()
    ended = await sessions.speak(id)
    assert (ended["reason"], ended["session"]["state"]) == ("failed", "failed")
    (error,) = (event for event in ended["events"] if event["type"] == "error")
    assert (error["content"], error["data"]["origin"]) == ("out of memory", "scripted")
    reply = await sessions.ask("POST", f"/v1/sessions/{id}/messages", {"message": "hello?"})
    assert (reply.status, reply.json["state"]) == (409, "failed")
    assert (await sessions.speak(id, "hello?", resume=True))["text"] == "You said: hello?"


async def test_a_turn_that_fails_leaves_the_session_idle(sessions: Sessions) -> None:
    sessions.backend.next(fails("the model is overloaded"))
    id = await sessions.begin()
    ended = await sessions.speak(id)
    assert (ended["reason"], ended["session"]["state"]) == ("error", "idle")


async def test_an_agent_that_cannot_be_started(sessions: Sessions) -> None:
    sessions.backend.refusal = RhetorError("no such program", Code.UNAVAILABLE, origin="scripted")
    id = await sessions.begin()
    ended = await sessions.speak(id)
    assert (ended["reason"], ended["session"]["state"]) == ("failed", "failed")


@pytest.mark.promise("J30")
async def test_a_backend_that_is_not_well_is_named(sessions: Sessions) -> None:
    sessions.backend.condition = Condition(healthy=False, error="scripted is not installed: install it")
    reply = await sessions.ask("POST", "/v1/sessions", {"backend": "scripted"})
    assert (reply.status, reply.json["code"], reply.json["provider"]) == (503, "unavailable", "scripted")
    assert "install it" in reply.json["error"]


@pytest.mark.promise("J29")
async def test_a_model_that_nobody_offers(make_gateway: MakeGateway) -> None:
    sessions = await house(make_gateway, Scripted(models=["offline/echo"]))
    for model in ("offline/other", "gpt-99"):
        reply = await sessions.ask("POST", "/v1/sessions", {"backend": "scripted", "model": model})
        assert (reply.status, reply.json["code"]) == (404, "model_not_found")
        assert reply.json["provider"] == "scripted"
        assert model in reply.json["error"]
    reply = await sessions.ask("POST", "/v1/sessions", {"backend": "chat", "model": "gpt-99"})
    assert (reply.status, reply.json["code"]) == (404, "model_not_found")


@pytest.mark.promise("J24")
async def test_more_sessions_than_a_backend_may_have(make_gateway: MakeGateway) -> None:
    sessions = await house(make_gateway, Scripted(max_sessions=2))
    gate = Gate()
    for _ in range(2):
        sessions.backend.next(waits(gate))
        id = await sessions.begin()
        await sessions.send(id)
        await sessions.until(id, "active")
    third = await sessions.ask("POST", "/v1/sessions", {"backend": "scripted", "message": "me too"})
    assert (third.status, third.json["code"], third.json["provider"]) == (503, "pool_full", "scripted")
    assert "max_sessions" in third.json["error"]
    assert int(third.headers["retry-after"]) >= 1
    gate.open()
    await sessions.until(id, "idle")


@pytest.mark.promise("J42")
async def test_sessions_of_a_backend_run_beside_each_other(sessions: Sessions) -> None:
    gate = Gate()
    ids = []
    for n in range(5):
        sessions.backend.next(says(f"{n} "), waits(gate), says("done"))
        ids.append(await sessions.begin())
        await sessions.send(ids[-1])
        await sessions.until(ids[-1], "active")
    gate.open()
    for n, id in enumerate(ids):
        await sessions.until(id, "idle")
        assert text(await sessions.log(id)) == f"{n} done"


# Lists and backends.


@pytest.mark.promise("J22")
async def test_lists_are_filtered_and_paged(sessions: Sessions) -> None:
    other = Scripted("other")
    admit(sessions.gateway, other)
    ids = [await sessions.begin() for _ in range(3)]
    foreign = (await sessions.said("POST", "/v1/sessions", {"backend": "other"}, 201))["id"]
    await sessions.said("DELETE", f"/v1/sessions/{ids[0]}")

    async def listed(query: str) -> tuple[list[str], int, bool]:
        said = await sessions.said("GET", f"/v1/sessions?{query}")
        assert said["object"] == "list"
        return [each["id"] for each in said["data"]], said["total"], said["has_more"]

    assert await listed("") == ([ids[0], foreign, ids[2], ids[1]], 4, False)
    assert await listed("backend=other") == ([foreign], 1, False)
    assert await listed("backend=nobody") == ([], 0, False)
    assert await listed("state=idle&backend=scripted") == ([ids[2], ids[1]], 2, False)
    assert await listed("state=terminated,suspended") == ([ids[0]], 1, False)
    assert await listed("state=terminated&state=idle&limit=2") == ([ids[0], foreign], 4, True)
    assert await listed("limit=2&offset=2") == ([ids[2], ids[1]], 4, False)


@pytest.mark.parametrize(
    "query",
    ["state=sleepy", "limit=0", "limit=1001", "limit=x", "offset=-1", "limit=1e3", "limit=" + "9" * 99],
)
async def test_lists_that_cannot_be(sessions: Sessions, query: str) -> None:
    reply = await sessions.ask("GET", f"/v1/sessions?{query}")
    assert (reply.status, reply.json["param"]) == (400, query.partition("=")[0])


async def test_backends_tell_what_they_can(sessions: Sessions) -> None:
    await sessions.begin("one")
    sessions.backend.condition = Condition(healthy=False, version="2.0", binary="/bin/x", error="too old")
    listed = (await sessions.said("GET", "/v1/sessions/backends"))["data"]
    by_name = {each["name"]: each for each in listed}
    assert by_name["scripted"] == {
        "name": "scripted", "abilities": sorted(Ability), "models": [], "default_model": "",
        "max_sessions": 10, "live": 1, "healthy": False, "version": "2.0", "binary": "/bin/x",
        "error": "too old",
    }  # fmt: skip
    assert by_name["chat"]["healthy"] is True


@pytest.mark.promise("J16")
@pytest.mark.promise("J17")
async def test_the_choice_is_explained(sessions: Sessions) -> None:
    chosen = await sessions.said("POST", "/v1/sessions/choose", {"capabilities": ["file_operations"]})
    assert (chosen["backend"], list(chosen["dropped"])) == ("scripted", ["chat"])
    assert "file_operations" in chosen["dropped"]["chat"]
    requirements = {"capabilities": ["tools", "file_operations"]}
    begun = await sessions.said("POST", "/v1/sessions", {"requirements": requirements}, 201)
    assert (begun["backend"], begun["selection"]["backend"]) == ("scripted", "scripted")
    for wrong in ({"capabilities": ["flying"]}, {"capability": ["tools"]}, {"capabilities": "tools"}):
        assert (await sessions.ask("POST", "/v1/sessions/choose", wrong)).status == 400


# Who may.


async def test_what_is_somebody_elses_does_not_exist(make_gateway: MakeGateway) -> None:
    sessions = await house(make_gateway, **TOKENS)
    begun = await sessions.ask("POST", "/v1/sessions", {"backend": "scripted"}, ANN)
    id = begun.json["id"]
    calls = [
        ("GET", f"/v1/sessions/{id}"), ("DELETE", f"/v1/sessions/{id}"),
        ("DELETE", f"/v1/sessions/{id}?forget=true"),
        ("GET", f"/v1/sessions/{id}/events"), ("GET", f"/v1/sessions/{id}/events?follow=true"),
        ("GET", f"/v1/sessions/{id}/export"), ("GET", f"/v1/sessions/{id}/stats"),
        ("POST", f"/v1/sessions/{id}/interrupt"), ("POST", f"/v1/sessions/{id}/suspend"),
        ("POST", f"/v1/sessions/{id}/resume"), ("POST", f"/v1/sessions/{id}/summarize"),
        ("DELETE", f"/v1/sessions/{id}/context"),
    ]  # fmt: skip
    bodies = {
        f"/v1/sessions/{id}/messages": {"message": "hi"},
        f"/v1/sessions/{id}/approvals/a": {"decision": "allow"},
    }
    for method, path in [*calls, *(("POST", path) for path in bodies)]:
        assert (await sessions.ask(method, path, bodies.get(path), BOB)).status == 404, path
        assert (await sessions.ask(method, path, bodies.get(path))).status == 401, path
    assert (await sessions.ask("GET", "/v1/sessions", headers=BOB)).json["data"] == []
    assert (await sessions.ask("POST", "/v1/sessions/cleanup?max_age_s=0", headers=BOB)).json["total"] == 0
    assert (await sessions.ask("GET", f"/v1/sessions/{id}", headers=ANN)).json["state"] == "idle"


@pytest.mark.parametrize(
    "id",
    ["x", "backends", "cleanup", "choose", UNKNOWN, "ses_" + "A" * 24, "ses_%00", "..", "%2e%2e", "a" * 2000],
)
async def test_sessions_that_there_are_not(sessions: Sessions, id: str) -> None:
    for method, path in (("DELETE", ""), ("GET", "/events"), ("POST", "/interrupt"), ("POST", "/suspend")):
        reply = await sessions.ask(method, f"/v1/sessions/{id}{path}")
        assert reply.status in (404, 405), (method, path, reply.body)


async def test_an_agent_cannot_answer_its_own_questions(sessions: Sessions) -> None:
    """The key that it has is for its model calls only."""
    sessions.backend.next(asks("a1"))
    id = await sessions.begin()
    await sessions.waiting(id)
    key = {"x-api-key": sessions.backend.last.setup.access.token}
    for method, path in (
        ("POST", f"/v1/sessions/{id}/approvals/a1"),
        ("GET", "/v1/sessions"),
        ("POST", "/v1/sessions"),
    ):
        reply = await sessions.ask(method, path, {"decision": "allow"} if method == "POST" else None, key)
        assert reply.status == 403, reply.body
    assert (await sessions.get(id))["state"] == "waiting_input"


async def test_a_caller_that_stops_waiting_does_not_stop_the_turn(sessions: Sessions) -> None:
    gate = Gate()
    sessions.backend.next(says("one "), waits(gate), says("two"))
    id = await sessions.begin()
    url = f"{sessions.gateway.url}/v1/sessions/{id}/messages"
    caller = spawn(sessions.gateway.session.post(url, json={"message": "go", "wait": True}), "caller")
    async with asyncio.timeout(5):
        await gate.reached.wait()
    caller.cancel()
    await asyncio.wait([caller])
    gate.open()
    await sessions.until(id, "idle")
    assert text(await sessions.log(id)) == "one two"
