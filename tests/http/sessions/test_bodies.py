"""What callers of sessions send is read strictly: each mistake is named, and nothing is begun by it."""

from __future__ import annotations

from typing import Any

import pytest

from rhetor.core.errors import BadRequest
from rhetor.http.sessions.bodies import (
    read_new,
    read_requirements,
    read_resuming,
    read_sending,
    read_verdict,
)
from tests.http.conversing import Sessions
from tests.http.conversing import sessions as sessions  # the fixture

NESTED: Any = {}
for _ in range(300):
    NESTED = {"a": NESTED}

WRONG_SESSIONS: list[tuple[dict[str, Any], str]] = [
    ({"modle": "x"}, "modle"),
    ({"model": 5}, "model"),
    ({"model": "m" * 1001}, "model"),
    ({"model": "m\0"}, "model"),
    ({"backend": ["chat"]}, "backend"),
    ({"backend": "nobody"}, "backend"),
    ({"message": ""}, "message"),
    ({"message": " \n"}, "message"),
    ({"message": "a\0b"}, "message"),
    ({"message": "x" * 1_000_001}, "message"),
    ({"message": {"txt": "hi"}}, "message.txt"),
    ({"message": {"message_id": "m"}}, "message.text"),
    ({"message": {"text": "hi", "message_id": "m" * 201}}, "message.message_id"),
    ({"message": 7}, "message"),
    ({"title": "t" * 201}, "title"),
    ({"system": {}}, "system"),
    ({"directory": 1}, "directory"),
    ({"max_turns": 0}, "max_turns"),
    ({"max_turns": 1.5}, "max_turns"),
    ({"max_turns": True}, "max_turns"),
    ({"max_turns": 1e300}, "max_turns"),
    ({"timeout_s": 0}, "timeout_s"),
    ({"timeout_s": -1}, "timeout_s"),
    ({"timeout_s": "10"}, "timeout_s"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": -0.1}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"permissions": "all"}, "permissions"),
    ({"environment": ["A=1"]}, "environment"),
    ({"environment": {"A": 1}}, "environment.A"),
    ({"environment": {"A=B": "1"}}, "environment"),
    ({"environment": {"A": "x\0"}}, "environment.A"),
    ({"environment": {f"A{n}": "" for n in range(65)}}, "environment"),
    ({"metadata": []}, "metadata"),
    ({"metadata": {"a": "x" * 17_000}}, "metadata"),
    ({"metadata": {"a": ["x\0"]}}, "metadata"),
    ({"requirements": {"speed": 1}}, "requirements.speed"),
    ({"requirements": {"capabilities": [1]}}, "requirements.capabilities[0]"),
    ({"requirements": {"capabilities": ["tools"] * 33}}, "requirements.capabilities"),
    ({"requirements": {"load_balancing": "yes"}}, "requirements.load_balancing"),
    ({"requirements": {"max_tokens": 0}}, "requirements.max_tokens"),
]


@pytest.mark.promise("J52")
async def test_a_session_that_cannot_be_begun_is_refused_with_the_field(sessions: Sessions) -> None:
    for body, param in WRONG_SESSIONS:
        reply = await sessions.ask("POST", "/v1/sessions", body)
        assert (reply.status, reply.json["code"]) == (400, "invalid_request"), (body, reply.body)
        assert reply.json["param"] == param, (body, reply.body)
    assert (await sessions.said("GET", "/v1/sessions"))["total"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a": "\\ud800"}', b"{}" * 2])
async def test_a_body_that_is_no_object(sessions: Sessions, body: bytes) -> None:
    id = await sessions.begin()
    for path in (f"{id}/messages", f"{id}/approvals/a1"):
        assert (await sessions.ask("POST", f"/v1/sessions/{path}", body)).status == 400
    if body:  # else it is a session of whoever answers
        assert (await sessions.ask("POST", "/v1/sessions", body)).status == 400


async def test_what_is_nested_too_deeply(sessions: Sessions) -> None:
    reply = await sessions.ask("POST", "/v1/sessions", b'{"metadata": ' + b'{"a":' * 300 + b"1" + b"}" * 301)
    assert reply.status == 400


def test_strange_fields_are_named_with_those_that_there_are() -> None:
    with pytest.raises(BadRequest, match="unknown: modle, x; there are backend, model, message") as caught:
        read_new({"modle": "a", "x": 1}, "", None)
    assert caught.value.param == "modle"


def test_a_new_session() -> None:
    new = read_new(
        {
            "backend": "chat",
            "model": "m",
            "message": {"text": "hi", "message_id": "m-1"},
            "max_turns": 3.0,
            "timeout_s": 5,
            "permissions": "deny",
            "metadata": {"a": [1, {"b": None}]},
            "requirements": None,
            "title": None,
        },
        "ann",
        "k",
    )
    assert new.message is not None
    assert (new.owner, new.key, new.backend, new.model) == ("ann", "k", "chat", "m")
    assert (new.message.text, new.message.message_id, new.max_turns) == ("hi", "m-1", 3)
    assert (new.permissions, new.metadata, new.requirements) == ("deny", {"a": [1, {"b": None}]}, None)


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({}, "message"),
        ({"message": None}, "message"),
        ({"message": "a", "text": "b"}, "text"),
        ({"message": "a", "stream": True, "wait": True}, "wait"),
        ({"message": "a", "resume": "yes"}, "resume"),
        ({"message": "a", "model": "m"}, "model"),
        ({"message": "a", "message_id": 1}, "message_id"),
    ],
)
def test_messages_that_cannot_be_sent(said: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_sending(said)
    assert caught.value.param == param


def test_messages() -> None:
    given = read_sending({"text": "hi", "message_id": "m-1", "resume": True, "environment": {"A": "1"}})
    assert (given.said.text, given.said.message_id, given.resume) == ("hi", "m-1", True)
    assert (given.environment, given.stream, given.wait) == ({"A": "1"}, None, False)
    assert read_sending({"content": "hi"}).said.message_id.startswith("msg_")


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({}, "decision"),
        ({"decision": "maybe"}, "decision"),
        ({"decision": True}, "decision"),
        ({"decision": "deny", "always": True}, "always"),
        ({"decision": "deny", "input": {}}, "input"),
        ({"decision": "allow", "input": "ls"}, "input"),
        ({"decision": "allow", "reason": "x"}, "reason"),
    ],
)
def test_answers_that_cannot_be_given(said: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_verdict(said)
    assert caught.value.param == param


def test_requirements() -> None:
    usual = read_requirements({})
    assert (usual.model, usual.capabilities) == ("", ())
    assert (usual.load_balancing, usual.cost_optimization) == (True, False)
    given = read_requirements({"capabilities": ["tools"], "load_balancing": False, "max_tokens": 10})
    assert (given.capabilities, given.load_balancing, given.max_tokens) == (("tools",), False, 10)


def test_resuming() -> None:
    assert read_resuming({}).state is None
    assert read_resuming({"state": {"version": 1}, "environment": {}}).state == {"version": 1}
    with pytest.raises(BadRequest):
        read_resuming({"state": "x"})
