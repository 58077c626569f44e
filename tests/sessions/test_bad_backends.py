"""Bad agents and bad input at a real gateway's doors: each is a clear error, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rhetor.services import minder
from rhetor.sessions import session as owner
from rhetor.sessions.claude_code import backend, conversation
from rhetor.store.sql.folder import DATABASE
from tests.conftest import Gateway, MakeGateway, MakeProcess, settings
from tests.http.conversing import Sessions, following
from tests.sessions.claude_code.fakes import fake
from tests.sessions.scripted import Scripted

pytestmark = pytest.mark.usefixtures("no_leaks")

AGENT = "claude_code"
ONCE = """
if "--version" in sys.argv:
    print("2.1.197 (Claude Code)")
    sys.exit(0)
marker = os.path.join(os.environ["HOME"], "was-here")
if os.path.exists(marker):
    calm()
open(marker, "w").close()
"""
"""The first one of a session does what follows; those that come later answer `hello`."""
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
LARGE = """
begin(); turn()
block = {"type": "tool_use", "id": "t1", "name": "Write", "input": {"content": "x" * 6_000_000}}
say(type="assistant", message={"id": "m1", "role": "assistant", "model": "small", "content": [block]})
answer("written")
hear()
"""
FLOOD = """
begin(); turn()
for _ in range(1000):
    sys.stderr.write("x" * 10_000 + "\\n")
sys.exit(3)
"""
BAD = {
    "garbage at once": ("while True: print('garbage')", "protocol_error", "nobody understands"),
    "garbage in a turn": (
        "begin(); turn()\nwhile True: print('garbage')", "protocol_error", "nobody understands",
    ),
    "a line without an end": (
        "begin(); turn()\nwhile True: sys.stdout.write('x' * 65536)", "protocol_error", "a line of more than",
    ),
    "never writes": ("time.sleep(600)", "unavailable", "did not answer within"),
    "dies at once": ("sys.exit('no licence')", "unavailable", "no licence"),
    "floods stderr and dies": (FLOOD, "unavailable", "ended with status 3"),
    "closes its output": ("begin(); turn(); os.close(1); time.sleep(600)", "unavailable", "closed its"),
    "dies while it asks": ("begin(); turn(); ask(); sys.exit(4)", "unavailable", "ended with status 4"),
    "never ends its turn": (DEAF + "begin(); turn(); time.sleep(600)", "unavailable", "did not end its turn"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a busy machine does not wait for one that never comes."""
    monkeypatch.setattr(backend, "OPEN_S", 1.0)
    monkeypatch.setattr(owner, "STOP_S", 0.3)
    monkeypatch.setattr(conversation, "LEAVE_S", 0.2)
    monkeypatch.setattr(conversation, "KILL_GRACE_S", 0.2)


@pytest.fixture
async def nobody_left(tmp_path: Path) -> AsyncIterator[None]:
    """Whatever was started in this test's folder is gone with its gateway."""
    yield
    left = [pid for pid in minder.pids() if str(tmp_path) in minder.environment_of(pid).get("HOME", "")]
    assert not left, f"processes left behind: {left}"


async def with_agent(make_gateway: MakeGateway, folder: Path, body: str, **more: Any) -> Sessions:
    """A gateway whose agent is this program."""
    setting = {AGENT: {"enabled": True, "command": fake(folder, ONCE + body)}}
    store = {"folder": str(folder / "store")}
    gateway = await make_gateway(settings(sessions=setting, store=store, **more))
    return speaking_to(gateway)


def speaking_to(gateway: Gateway) -> Sessions:
    return Sessions(gateway, Scripted(AGENT))


async def lives(sessions: Sessions) -> None:
    """Everything else goes on as before."""
    assert (await sessions.ask("GET", "/ready")).status == 200
    call = {"model": "offline/echo", "messages": [{"role": "user", "content": "hi"}]}
    assert (await sessions.ask("POST", "/v1/chat/completions", call)).status == 200


async def nobody_lives(sessions: Sessions) -> None:
    """What it held is given back, soon after it was told."""
    async with asyncio.timeout(10):
        while True:
            listed = (await sessions.said("GET", "/v1/sessions/backends"))["data"]
            if not sum(each["live"] for each in listed):
                return
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("nobody_left")
@pytest.mark.parametrize("what", BAD)
async def test_an_agent_that_fails_is_told_and_its_session_goes_on(
    make_gateway: MakeGateway, tmp_path: Path, what: str
) -> None:
    body, code, words = BAD[what]
    sessions = await with_agent(make_gateway, tmp_path, body)
    id = await sessions.begin(timeout_s=0.5 if "turn;" in what or "never ends" in what else 30)
    async with following(sessions, id) as reader:
        await sessions.send(id, "hello?")
        session = await sessions.until(id, "failed")
        log = await sessions.log(id)
        *_, error, change = log
        assert (error["type"], error["data"]["code"]) == ("error", code), log
        assert words in error["content"]
        assert len(error["content"]) < 1000
        assert error["data"].get("origin") == AGENT
        assert (change["type"], change["content"]) == ("status_change", "failed")
        assert [event["seq"] for event in log] == [*range(1, len(log) + 1)]
        assert [event["content"] for event in log if event["type"] == "user"] == ["hello?"]
        assert session["waiting_for"] == []
        await nobody_lives(sessions)
        await lives(sessions)

        said = await sessions.speak(id, "and now?", resume=True)

        assert (said["text"], said["reason"]) == ("hello", "end")
        await sessions.said("DELETE", f"/v1/sessions/{id}")
        assert await reader.rest() == await sessions.log(id)


@pytest.mark.usefixtures("nobody_left")
async def test_an_agent_that_ignores_sigterm_is_suspended_nevertheless(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    sessions = await with_agent(make_gateway, tmp_path, DEAF + "begin(); turn(); time.sleep(600)")
    id = await sessions.begin()
    await sessions.send(id, "hello?")
    async with following(sessions, id) as reader:
        await reader.until("system")
    home = str(tmp_path / "store" / "sessions" / id)
    its = [pid for pid in minder.pids() if home in minder.environment_of(pid).get("HOME", "")]
    assert its
    state = await sessions.said("POST", f"/v1/sessions/{id}/suspend")
    assert [minder.environment_of(pid) for pid in its] == [{}] * len(its)
    await sessions.said("POST", f"/v1/sessions/{id}/resume", {"state": state})
    assert (await sessions.speak(id))["text"] == "hello"


async def test_an_agent_that_says_more_than_a_log_holds(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """What is told of it is cut, and says so."""
    sessions = await with_agent(make_gateway, tmp_path, LARGE)
    id = await sessions.begin()
    said = await sessions.speak(id, "write it")
    assert (said["text"], said["reason"]) == ("written", "end")
    (used,) = (event for event in await sessions.log(id) if event["type"] == "tool_use")
    assert used["data"]["cut"]
    assert len(used["content"]) < 2_000_000


async def test_an_agent_that_is_not_there_any_more(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """And again when it is there again."""
    sessions = await with_agent(make_gateway, tmp_path, "calm()")
    id = await sessions.begin("one")
    await sessions.said("POST", f"/v1/sessions/{id}/suspend")
    (tmp_path / "claude").rename(tmp_path / "moved")

    await sessions.send(id, "two", resume=True)
    await sessions.until(id, "failed")
    error = (await sessions.log(id))[-2]
    assert (error["data"]["code"], error["data"]["origin"]) == ("unavailable", AGENT)
    assert "npm install" in error["content"]
    await lives(sessions)

    (tmp_path / "moved").rename(tmp_path / "claude")
    assert (await sessions.speak(id, "three", resume=True))["text"] == "hello"
    messages = [event["content"] for event in await sessions.log(id) if event["type"] == "user"]
    assert messages == ["one", "two", "three"]


async def test_an_agent_that_was_never_there(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """It is said before anything is begun."""
    setting = {AGENT: {"enabled": True, "command": str(tmp_path / "nowhere")}}
    sessions = speaking_to(await make_gateway(settings(sessions=setting)))
    reply = await sessions.ask("POST", "/v1/sessions", {"backend": AGENT, "message": "hello?"})
    assert (reply.status, reply.json["code"], reply.json["provider"]) == (503, "unavailable", AGENT)
    assert str(tmp_path / "nowhere") in reply.json["error"]
    assert (await sessions.said("GET", "/v1/sessions"))["total"] == 0
    await lives(sessions)


async def test_a_second_gateway_on_a_folder_says_who_has_it(
    make_gateway: MakeGateway, gateway_process: MakeProcess, tmp_path: Path
) -> None:
    """All else works; and when the first one is gone, it has the sessions."""
    kept = settings(store={"folder": str(tmp_path / "kept")})
    first = await gateway_process(kept)
    second = speaking_to(await make_gateway(kept))
    chats = {"backend": "chat", "model": "offline/echo"}
    url, second.gateway.url = second.gateway.url, first.url
    id = (await second.said("POST", "/v1/sessions", {**chats, "message": "hello"}, 201))["id"]
    second.gateway.url = url

    for method, path, body in (
        ("POST", "/v1/sessions", chats),
        ("GET", "/v1/sessions", None),
        ("GET", f"/v1/sessions/{id}", None),
        ("GET", f"/v1/sessions/{id}/events", None),
        ("POST", f"/v1/sessions/{id}/messages", {"message": "mine!"}),
        ("DELETE", f"/v1/sessions/{id}", None),
    ):
        reply = await second.ask(method, path, body)
        assert (reply.status, reply.json["code"]) == (503, "unavailable"), reply.body
        assert f"process {first.process.pid}" in reply.json["error"]
        assert "store.folder" in reply.json["error"]
    await lives(second)

    first.process.kill()
    await first.process.wait()
    assert (await second.get(id))["state"] == "suspended"
    assert (await second.speak(id, "again", resume=True))["reason"] == "end"


async def test_a_newer_gateways_store_is_left_alone(make_gateway: MakeGateway, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    first = speaking_to(await make_gateway(settings(store={"folder": str(folder)})))
    await first.said("POST", "/v1/sessions", {"message": "hello"}, 201)
    await first.gateway.app.stop()
    with sqlite3.connect(folder / DATABASE) as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    before = (folder / DATABASE).read_bytes()

    second = speaking_to(await make_gateway(settings(store={"folder": str(folder)})))

    reply = await second.ask("GET", "/v1/sessions")
    assert (reply.status, reply.json["code"]) == (503, "unavailable")
    assert "newer version" in reply.json["error"]
    await lives(second)
    await second.gateway.app.stop()
    assert (folder / DATABASE).read_bytes() == before


async def test_a_state_of_another_gateway_resumes_nothing(make_gateway: MakeGateway, tmp_path: Path) -> None:
    here, there = [
        speaking_to(await make_gateway(settings(store={"folder": str(tmp_path / name)})))
        for name in ("here", "there")
    ]
    begun = [
        (await each.said("POST", "/v1/sessions", {"message": "hello"}, 201))["id"] for each in (here, there)
    ]
    for each, id in zip((here, there), begun, strict=True):
        await each.until(id, "idle")
        await each.said("POST", f"/v1/sessions/{id}/suspend")
    state = await there.said("POST", f"/v1/sessions/{begun[1]}/suspend")
    for id, status in ((begun[1], 404), (begun[0], 409)):
        reply = await here.ask("POST", f"/v1/sessions/{id}/resume", {"state": state})
        assert reply.status == status, reply.body
    assert (await here.get(begun[0]))["state"] == "suspended"


async def test_of_many_who_speak_at_once_one_is_heard(make_gateway: MakeGateway, tmp_path: Path) -> None:
    sessions = await with_agent(make_gateway, tmp_path, "begin(); turn(); time.sleep(600)")
    id = await sessions.begin()
    path = f"/v1/sessions/{id}/messages"
    replies = await asyncio.gather(*(sessions.ask("POST", path, {"message": f"{n}"}) for n in range(20)))
    assert sorted(reply.status for reply in replies) == [202] + [409] * 19
    (taken,) = [reply.json["message_id"] for reply in replies if reply.status == 202]
    said = [event["data"]["message_id"] for event in await sessions.log(id) if event["type"] == "user"]
    assert said == [taken]
    assert {reply.json["state"] for reply in replies if reply.status == 409} <= {"active", "idle"}
