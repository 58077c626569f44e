"""A session as a file and in numbers, and what a chat remembers."""

from __future__ import annotations

import pytest

from tests.http.conversing import Sessions, text
from tests.http.conversing import sessions as sessions  # the fixture
from tests.sessions.scripted import says, uses


async def chat(sessions: Sessions, *messages: str) -> str:
    id: str = (await sessions.said("POST", "/v1/sessions", {"backend": "chat", "title": "A chat"}, 201))["id"]
    for message in messages:
        await sessions.speak(id, message)
    return id


@pytest.mark.parametrize(
    ("query", "kind", "name", "part"),
    [
        ("", "application/json", "json", b'"content":"You said: h\xc3\xa9llo"'),
        ("?format=json", "application/json", "json", b'"object":"session"'),
        ("?format=txt", "text/plain", "txt", b"USER: h\xc3\xa9llo"),
        ("?format=md", "text/markdown", "md", b"## User\n\n> h\xc3\xa9llo"),
    ],
)
async def test_a_session_as_a_file(sessions: Sessions, query: str, kind: str, name: str, part: bytes) -> None:
    id = await sessions.begin("héllo")
    reply = await sessions.ask("GET", f"/v1/sessions/{id}/export{query}")
    assert (reply.status, reply.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
    assert reply.headers["content-disposition"] == f'attachment; filename="{id}.{name}"'
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert part in reply.body


async def test_a_format_that_there_is_not(sessions: Sessions) -> None:
    id = await sessions.begin()
    reply = await sessions.ask("GET", f"/v1/sessions/{id}/export?format=pdf")
    assert (reply.status, reply.json["param"]) == (400, "format")


async def test_a_session_in_numbers(sessions: Sessions) -> None:
    sessions.backend.next(says("a", "b"), uses("Bash", {"command": "ls"}, "x"))
    id = await sessions.begin()
    await sessions.speak(id)
    told = await sessions.said("GET", f"/v1/sessions/{id}/stats")
    assert (told["turns"], told["user_messages"], told["assistant_messages"]) == (1, 1, 1)
    assert (told["tools"], told["session_id"], told["state"]) == ({"Bash": 1}, id, "idle")
    assert told["events"] == (await sessions.get(id))["last_seq"]


async def test_a_chat_forgets_what_its_log_keeps(sessions: Sessions) -> None:
    id = await chat(sessions, "one", "two")
    assert (await sessions.said("DELETE", f"/v1/sessions/{id}/context"))["state"] == "idle"
    assert "You said: two" in text(await sessions.log(id))
    await sessions.speak(id, "three")


async def test_a_chat_with_nothing_old_is_not_summed_up(sessions: Sessions) -> None:
    id = await chat(sessions, "one")
    told = await sessions.said("POST", f"/v1/sessions/{id}/summarize")
    assert (told["id"], told["summarized"]) == (id, 0)
    assert told["tokens_before"] == told["tokens_after"] > 0


async def test_only_chats_have_a_context_of_ours(sessions: Sessions) -> None:
    id = await sessions.begin("one")
    for method, path in (("POST", "summarize"), ("DELETE", "context")):
        reply = await sessions.ask(method, f"/v1/sessions/{id}/{path}")
        assert (reply.status, reply.json["code"]) == (400, "unsupported")
