"""Contexts over HTTP: read, written, searched, summed up and forgotten, by their owner only."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson
import pytest

from rhetor.testing import Upstream, fails, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import Reply, read, tekton_wrong

PREFIXES = pytest.mark.parametrize("prefix", ["", "/api/v1", "/api/llm", "/api/llm/api/v1"])
TALK = [
    {"role": "user", "content": "What is the tallest mountain?"},
    {"role": "assistant", "content": "Mount Everest."},
    {"role": "user", "content": "And the deepest lake?"},
    {"role": "assistant", "content": "Lake Baikal."},
]
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
MODEL = "model=oai/m"


async def ask(
    gateway: Gateway, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> Reply:
    data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
    async with gateway.session.request(method, gateway.url + path, data=data, headers=headers) as reply:
        return await read(reply)


async def said(gateway: Gateway, method: str, path: str, body: Any = None) -> dict[str, Any]:
    reply = await ask(gateway, method, path, body)
    assert reply.status == 200, reply.body
    answered: dict[str, Any] = reply.json
    return answered


async def begin(gateway: Gateway, id: str = "geo", messages: Any = TALK) -> None:
    await said(gateway, "POST", f"/contexts/{id}/messages", {"messages": messages})


@PREFIXES
async def test_what_is_written_can_be_read(gateway: Gateway, prefix: str) -> None:
    written = await said(gateway, "POST", f"{prefix}/contexts/geo/messages", {"messages": TALK})
    assert (written["success"], written["count"], written["dropped"]) == (True, 4, [])
    found = await said(gateway, "GET", f"{prefix}/contexts/geo")
    assert (found["context_id"], found["count"]) == ("geo", 4)
    assert [{key: each[key] for key in ("role", "content")} for each in found["messages"]] == TALK
    assert [each["id"] for each in found["messages"]] == written["ids"]
    assert all(each["timestamp"] for each in found["messages"])
    (listed,) = (await said(gateway, "GET", f"{prefix}/contexts"))["contexts"]
    assert (listed["context_id"], listed["message_count"]) == ("geo", 4)
    assert listed["last_updated"] >= listed["created_at"]


async def test_one_message_is_a_body_too(gateway: Gateway) -> None:
    message = {"role": "User", "content": "hi", "metadata": {"source": "engram"}, "mood": "sunny"}
    written = await said(gateway, "POST", "/contexts/geo/messages", message)
    assert (written["count"], written["dropped"]) == (1, ["messages[0].mood"])
    (plain,) = (await said(gateway, "GET", "/contexts/geo"))["messages"]
    assert (plain["role"], "metadata" in plain) == ("user", False)
    (full,) = (await said(gateway, "GET", "/contexts/geo?include_metadata=true"))["messages"]
    assert full["metadata"] == {"source": "engram"}


async def test_what_is_no_text_is_kept_as_well(gateway: Gateway) -> None:
    """`content` is text all the same, for readers who know nothing else."""
    picture = [{"type": "text", "text": "what is this?"}, PICTURE]
    messages = [
        {"role": "user", "content": picture},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    await begin(gateway, messages=messages)
    seen, called, answered = (await said(gateway, "GET", "/contexts/geo"))["messages"]
    assert (seen["content"], seen["parts"]) == ("what is this?", picture)
    assert (called["content"], called["tool_calls"]) == ("", [CALL])
    assert (answered["content"], answered["tool_call_id"]) == ("sunny", "c1")


async def test_only_the_last_messages_are_read(gateway: Gateway) -> None:
    await begin(gateway, messages=[{"role": "user", "content": str(n)} for n in range(30)])
    found = await said(gateway, "GET", "/contexts/geo")
    assert [each["content"] for each in found["messages"]] == [str(n) for n in range(10, 30)]
    found = await said(gateway, "GET", "/contexts/geo?limit=2")
    assert [each["content"] for each in found["messages"]] == ["28", "29"]


async def test_the_newest_context_comes_first(gateway: Gateway) -> None:
    for id in ("a", "b", "c", "a"):
        await begin(gateway, id)
    listed = (await said(gateway, "GET", "/contexts?limit=2"))["contexts"]
    assert [(each["context_id"], each["message_count"]) for each in listed] == [("a", 8), ("c", 4)]


async def test_words_are_found_whatever_their_case(gateway: Gateway) -> None:
    await begin(gateway)
    await begin(gateway, "other")
    found = await said(gateway, "POST", "/contexts/geo/search?query=LAKE")
    assert (found["context_id"], found["query"], found["count"]) == ("geo", "LAKE", 2)
    assert [each["content"] for each in found["results"]] == ["Lake Baikal.", "And the deepest lake?"]
    for path, body in (("?query=lake&limit=1", None), ("", {"query": "lake", "limit": 1})):
        found = await said(gateway, "POST", f"/contexts/geo/search{path}", body)
        assert [each["content"] for each in found["results"]] == ["Lake Baikal."]
    assert (await said(gateway, "POST", "/contexts/geo/search?query=river"))["results"] == []


async def test_what_is_forgotten_is_gone(gateway: Gateway) -> None:
    await begin(gateway)
    assert await said(gateway, "DELETE", "/contexts/geo") == {"success": True, "context_id": "geo"}
    assert (await ask(gateway, "GET", "/contexts/geo")).status == 404
    assert (await said(gateway, "GET", "/contexts"))["contexts"] == []


@pytest.mark.parametrize("id", ["terma:session-1", "a b", "a/b", "ünï", "%2e", "search"])
async def test_an_id_is_any_text(gateway: Gateway, id: str) -> None:
    path = quote(id, safe="")
    await begin(gateway, path)
    assert [each["context_id"] for each in (await said(gateway, "GET", "/contexts"))["contexts"]] == [id]
    assert (await said(gateway, "GET", f"/contexts/{path}"))["count"] == 4


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/contexts/none"),
        ("DELETE", "/contexts/none"),
        ("POST", "/contexts/none/search?query=x"),
        ("POST", "/contexts/none/summarize"),
    ],
)
async def test_where_nothing_is_noted_nothing_is_found(gateway: Gateway, method: str, path: str) -> None:
    reply = await ask(gateway, method, path)
    assert reply.status == 404
    assert tekton_wrong(reply.json).kind == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "body", "param"),
    [
        ("GET", "?limit=0", None, "limit"),
        ("GET", "?limit=1001", None, "limit"),
        ("GET", "?limit=-1", None, "limit"),
        ("GET", f"?limit={'9' * 5000}", None, "limit"),
        ("GET", "?limit=%D9%A1", None, "limit"),
        ("GET", "?include_metadata=perhaps", None, "include_metadata"),
        ("POST", "/search", None, "query"),
        ("POST", "/search?query=%20", None, "query"),
        ("POST", "/search", {"query": 1}, "query"),
        ("POST", "/search", {"query": "x", "limit": 0}, "limit"),
        ("POST", "/search", b"{", None),
        ("POST", "/messages", b"", None),
        ("POST", "/messages", {}, "messages[0].role"),
        ("POST", "/messages", {"messages": "x"}, "messages"),
        ("POST", "/messages", {"messages": []}, "messages"),
        ("POST", "/messages", {"messages": [TALK[0], {"role": "owner"}]}, "messages[1].role"),
        ("POST", "/messages", {"messages": [TALK[0], {"role": "user", "content": 1}]}, "messages[1].content"),
        ("POST", "/messages", {"role": "user", "content": "x", "metadata": 1}, "messages[0].metadata"),
        ("POST", "/summarize?max_tokens=none", None, "max_tokens"),
        ("POST", "/summarize", {"max_tokens": 0}, "max_tokens"),
        ("POST", "/summarize", {"model": 1}, "model"),
    ],
)
async def test_nonsense_is_named_by_its_field(
    gateway: Gateway, method: str, path: str, body: Any, param: str | None
) -> None:
    await begin(gateway)
    reply = await ask(gateway, method, f"/contexts/geo{path}", body)
    assert reply.status == 400
    assert tekton_wrong(reply.json).param == param
    assert (await said(gateway, "GET", "/contexts/geo"))["count"] == 4


async def test_bytes_that_are_no_text_do_no_harm(gateway: Gateway) -> None:
    await begin(gateway)
    for path in ("/contexts/geo/search?query=%ff", "/contexts/geo/search?query=%ed%a0%80"):
        assert (await ask(gateway, "POST", path)).status in (200, 400)
    for id in ("%ff", "%ed%a0%80", "%00", "%0d%0a"):
        assert (await ask(gateway, "POST", f"/contexts/{id}/messages", TALK[0])).status in (200, 400)
        assert (await ask(gateway, "GET", f"/contexts/{id}")).status in (200, 400, 404)
    assert (await ask(gateway, "GET", "/contexts")).status == 200


@pytest.mark.parametrize("depth", [200, 240, 248, 250, 252, 254, 1000])
async def test_what_is_nested_without_end_is_refused_or_can_be_read(gateway: Gateway, depth: int) -> None:
    nested = b'{"role":"user","content":"x","metadata":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    written = await ask(gateway, "POST", "/contexts/deep/messages", nested)
    assert written.status in (200, 400), written.body
    found = await ask(gateway, "GET", "/contexts/deep?include_metadata=true")
    assert found.status == (200 if written.status == 200 else 404)


async def test_what_is_too_large_to_be_kept_is_refused(gateway: Gateway) -> None:
    await begin(gateway)
    messages = [{"role": "user", "content": ""}] * 10_000  # each fills memory, however short it is
    reply = await ask(gateway, "POST", "/contexts/geo/messages", {"messages": messages})
    assert reply.status == 413
    assert reply.json["code"] == "request_too_large"
    assert (await said(gateway, "GET", "/contexts/geo"))["count"] == len(TALK)


async def test_a_context_that_grows_without_end_costs_no_other(gateway: Gateway) -> None:
    await begin(gateway, "small")
    await begin(gateway, "large", [{"role": "user", "content": "the first"}])
    for n in range(40):
        await begin(gateway, "large", [{"role": "user", "content": f"{n}" + "x" * 1_000_000}])
    assert (await said(gateway, "GET", "/contexts/small"))["count"] == len(TALK)
    (last,) = (await said(gateway, "GET", "/contexts/large?limit=1"))["messages"]
    assert last["content"].startswith("39")
    assert not (await said(gateway, "POST", "/contexts/large/search?query=the+first"))["results"]


async def test_a_name_without_end_is_refused(gateway: Gateway) -> None:
    reply = await ask(gateway, "GET", f"/contexts/{'x' * 1001}")
    assert (reply.status, tekton_wrong(reply.json).param) == (400, "id")


async def test_nobody_finds_what_is_somebody_elses(make_gateway: MakeGateway, upstream: Upstream) -> None:
    server = {"tokens": {"ann": "env:ANN", "bob": "env:BOB"}}
    gateway = await make_gateway(settings(upstream, server=server), {"ANN": "ann-token", "BOB": "bob-token"})
    ann, bob = ({"x-api-key": f"{name}-token", "x-component-id": "terma"} for name in ("ann", "bob"))
    await ask(gateway, "POST", "/contexts/geo/messages", TALK[0], ann)
    assert (await ask(gateway, "GET", "/contexts", headers=bob)).json["contexts"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/search?query=x"), ("POST", "/summarize")):
        assert (await ask(gateway, method, f"/contexts/geo{path}", headers=bob)).status == 404
    await ask(gateway, "POST", "/contexts/geo/messages", TALK[1], bob)
    assert (await ask(gateway, "GET", "/contexts/geo", headers=ann)).json["count"] == 1
    assert (await ask(gateway, "GET", "/contexts/geo")).status == 401


class TestSummary:
    async def test_it_is_a_generation_like_any_other(self, gateway: Gateway, upstream: Upstream) -> None:
        upstream.next(says("Mountains and lakes."))
        await begin(gateway)
        summary = await said(gateway, "POST", f"/contexts/geo/summarize?{MODEL}&max_tokens=99")
        assert (summary["summary"], summary["content"]) == ("Mountains and lakes.", "Mountains and lakes.")
        assert (summary["context_id"], summary["provider"], summary["model"]) == ("geo", "oai", "m")
        assert summary["meta"]["attempts"][0]["outcome"] == "ok"
        assert summary["usage"]["total_tokens"] == 18
        seen = upstream.requests[0].json
        assert [message["role"] for message in seen["messages"]] == ["system", "user"]
        assert "user: And the deepest lake?\n\nassistant: Lake Baikal." in seen["messages"][1]["content"]
        assert seen["max_completion_tokens"] == 99
        (trip,) = await gateway.booked()
        assert (trip["door"], trip["outcome"]) == ("contexts", "ok")

    async def test_it_is_not_noted_in_the_context(self, gateway: Gateway) -> None:
        await begin(gateway)
        await said(gateway, "POST", f"/contexts/geo/summarize?{MODEL}")
        assert (await said(gateway, "GET", "/contexts/geo"))["count"] == 4

    async def test_the_body_says_what_any_chat_says(self, gateway: Gateway, upstream: Upstream) -> None:
        asked = {"provider_id": "ant", "model_id": "m", "options": {"temperature": 0.1}}
        await begin(gateway)
        await said(gateway, "POST", "/contexts/geo/summarize", asked)
        seen = upstream.requests[0].json
        assert (seen["model"], seen["temperature"], seen["max_tokens"]) == ("m", 0.1, 150)

    async def test_options_and_instructions_count(self, gateway: Gateway, upstream: Upstream) -> None:
        asked = {"system_prompt": "In French.", "options": {"max_tokens": 77}}
        await begin(gateway)
        await said(gateway, "POST", f"/contexts/geo/summarize?{MODEL}", asked)
        seen = upstream.requests[0].json
        assert (seen["messages"][0]["content"], seen["max_completion_tokens"]) == ("In French.", 77)

    async def test_calls_and_pictures_are_read_aloud(self, gateway: Gateway, upstream: Upstream) -> None:
        messages = [
            {"role": "user", "content": [PICTURE]},
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ]
        await begin(gateway, messages=messages)
        await said(gateway, "POST", f"/contexts/geo/summarize?{MODEL}")
        told = upstream.requests[0].json["messages"][1]["content"]
        assert told == "user: [image]\n\nassistant: [calls weather: {}]\n\ntool: sunny"

    async def test_of_a_long_context_it_tells_the_last(self, gateway: Gateway, upstream: Upstream) -> None:
        """As much as the model takes, which nobody knows of this one."""
        await begin(gateway, messages=[{"role": "user", "content": f"{n} {'x' * 1600}"} for n in range(30)])
        summary = await said(gateway, "POST", f"/contexts/geo/summarize?{MODEL}")
        told = upstream.requests[0].json["messages"][1]["content"].split("\n\n")
        assert told[-1].startswith("user: 29 ")
        assert len(told) == 9
        assert summary["meta"]["dropped"] == ["context: 21 earlier messages"]

    async def test_a_provider_that_fails_is_an_error(self, gateway: Gateway, upstream: Upstream) -> None:
        upstream.next(fails(400, "no"))
        await begin(gateway)
        reply = await ask(gateway, "POST", f"/contexts/geo/summarize?{MODEL}")
        assert reply.status == 400
        assert "no" in tekton_wrong(reply.json).message
