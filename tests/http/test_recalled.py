"""History: what was said in a context is told again to who asks for it, and what is said now is noted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from rhetor.core.content import Image, Text, ToolResult, ToolUse, Url
from rhetor.core.request import Message, Role
from rhetor.http import recalled
from rhetor.http.recalled import latest, with_history, without_unanswered
from rhetor.pipeline import keeping
from rhetor.store.base import Entry
from rhetor.store.memory import MemoryTranscripts
from rhetor.testing import Gate, Upstream, calls, cuts, fails, hangs, says
from tests.conftest import Gateway, MakeGateway, settings
from tests.http.doors import Reply, read
from tests.http.following import until

CHAT, STREAM = "/api/v1/chat", "/api/v1/chat/stream"
PATHS = pytest.mark.parametrize("path", [CHAT, STREAM], ids=["whole", "streamed"])
ASKED: dict[str, Any] = {
    "provider_id": "oai",
    "model_id": "m",
    "context_id": "geo",
    "options": {"history": True},
}
BOTH_WAYS = pytest.mark.parametrize("provider", ["oai", "ant"])


async def ask(
    gateway: Gateway, text: str, path: str = CHAT, headers: dict[str, str] | None = None, **said: Any
) -> Reply:
    messages = said.pop("messages", [{"role": "user", "content": text}])
    body = orjson.dumps({**ASKED, "messages": messages, **said})
    async with gateway.session.post(gateway.url + path, data=body, headers=headers) as reply:
        return await read(reply)


async def told(gateway: Gateway, id: str = "geo", query: str = "") -> list[dict[str, Any]]:
    """What is noted in a context."""
    status, body = await gateway.get(f"/contexts/{id}{query}")
    messages: list[dict[str, Any]] = body["messages"] if status == 200 else []
    return messages


async def words(gateway: Gateway, id: str = "geo") -> list[str]:
    return [message["content"] for message in await told(gateway, id)]


def heard(upstream: Upstream, nth: int = -1) -> list[Any]:
    """What the provider was told, system prompts and all."""
    return [(message["role"], message["content"]) for message in upstream.requests[nth].json["messages"]]


@PATHS
async def test_the_second_question_knows_of_the_first(
    gateway: Gateway, upstream: Upstream, path: str
) -> None:
    upstream.next(says("Mount Everest."), says("8849 m."))
    await ask(gateway, "The tallest mountain?", path)
    reply = await ask(gateway, "How tall?", path)
    assert reply.status == 200
    assert heard(upstream) == [
        ("user", "The tallest mountain?"),
        ("assistant", "Mount Everest."),
        ("user", "How tall?"),
    ]
    assert await words(gateway) == ["The tallest mountain?", "Mount Everest.", "How tall?", "8849 m."]


@PATHS
async def test_a_context_is_only_a_tag_unless_history_is_asked_for(
    gateway: Gateway, upstream: Upstream, path: str
) -> None:
    for options in ({}, {"history": False}, {"history": None}):
        await ask(gateway, "hi", path, options=options)
        assert heard(upstream) == [("user", "hi")]
    assert await told(gateway) == []


async def test_what_was_just_told_is_there(gateway: Gateway) -> None:
    """Noted before its caller hears the ending: who asks again at once is understood."""
    body = orjson.dumps({**ASKED, "messages": [{"role": "user", "content": "hi"}]})
    async with gateway.session.post(gateway.url + STREAM, data=body) as reply:
        async for line in reply.content:
            if b'"done":true' in line:
                break
        assert await words(gateway) == ["hi", "hello world"]


async def test_the_system_prompt_stays_in_front_and_is_not_noted(
    gateway: Gateway, upstream: Upstream
) -> None:
    await ask(gateway, "one", system_prompt="Be brief.")
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "two"}]
    await ask(gateway, "", system_prompt="Be brief.", messages=messages)
    assert [text for _, text in heard(upstream)] == ["Be brief.", "Be kind.", "one", "hello world", "two"]
    assert await words(gateway) == ["one", "hello world", "two", "hello world"]


async def test_a_number_says_how_far_back(gateway: Gateway, upstream: Upstream) -> None:
    for n in range(3):
        await ask(gateway, str(n))
    await ask(gateway, "new", options={"history": 2})
    assert [text for _, text in heard(upstream)] == ["2", "hello world", "new"]
    reply = await ask(gateway, "none", options={"history": 0})
    assert heard(upstream) == [("user", "none")]
    assert len(await told(gateway)) == 10, "it is noted all the same"
    assert "dropped" not in reply.json["meta"]


async def test_of_a_model_that_nobody_knows_it_asks_little(gateway: Gateway, upstream: Upstream) -> None:
    """4,000 tokens, or 20 messages; and says what it left out."""
    notes = [{"role": role, "content": f"{n}"} for n in range(15) for role in ("user", "assistant")]
    await gateway.post("/contexts/geo/messages", {"messages": notes})
    reply = await ask(gateway, "new")
    assert [text for _, text in heard(upstream)] == [*(str(n) for n in range(5, 15) for _ in "ab"), "new"]
    assert reply.json["meta"]["dropped"] == ["history: 10 earlier messages"]
    await gateway.post("/contexts/long/messages", {"role": "user", "content": "x" * 17_000})
    reply = await ask(gateway, "new", context_id="long")
    assert heard(upstream) == [("user", "new")]
    assert reply.json["meta"]["dropped"] == ["history: 1 earlier messages"]


async def test_of_a_model_that_is_known_it_asks_what_it_takes(
    make_gateway: MakeGateway, upstream: Upstream
) -> None:
    anthropic = {"base_url": upstream.base_url, "key": "env:TEST_KEY", "models": ["claude-haiku-4-5"]}
    gateway = await make_gateway(settings(upstream, providers={"anthropic": anthropic}))
    await gateway.app.describe()
    context_tokens = gateway.app.registry.snapshot.catalog.offers["anthropic/claude-haiku-4-5"].context_tokens
    assert context_tokens is not None
    notes = [{"role": "user", "content": f"{n:03} " + "x" * 3996} for n in range(context_tokens // 1000)]
    await gateway.post("/contexts/geo/messages", {"messages": notes})
    await ask(gateway, "new", provider_id="anthropic", model_id="claude-haiku-4-5", options={"history": True})
    sent = orjson.dumps(upstream.requests[-1].json["messages"]).decode()
    expected = context_tokens * 3 // 4 // 1000
    assert sent.count("x" * 3996) in (expected - 1, expected)
    assert notes[-1]["content"] in sent


@BOTH_WAYS
async def test_calls_and_their_results_are_told_again(
    gateway: Gateway, upstream: Upstream, provider: str
) -> None:
    upstream.next(calls(("weather", {"city": "Paris"})), says("Sunny."), says("Yes."))
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    about: dict[str, Any] = {"provider_id": provider, "tools": [tool]}
    call = (await ask(gateway, "Paris?", **about)).json["tool_calls"][0]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "sun"}
    await ask(gateway, "", messages=[result], **about)
    reply = await ask(gateway, "Sure?", **about)
    assert reply.json["content"] == "Yes."
    assert len(upstream.requests[-1].json["messages"]) == 5
    assert call["id"] in orjson.dumps(upstream.requests[-1].json["messages"][1]).decode()
    assert [message["role"] for message in await told(gateway)] == [
        *("user", "assistant", "tool", "assistant", "user", "assistant")
    ]


async def test_another_provider_is_told_the_same(gateway: Gateway, upstream: Upstream) -> None:
    await ask(gateway, "one")
    await ask(gateway, "two", provider_id="ant")
    assert len(upstream.requests[-1].json["messages"]) == 3


@BOTH_WAYS
async def test_a_call_that_nobody_answered_does_not_spoil_its_context(
    gateway: Gateway, upstream: Upstream, provider: str
) -> None:
    """Providers refuse a conversation with such a call."""
    upstream.next(calls(("weather", {})), says("Sunny."))
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    await ask(gateway, "The weather?", tools=tools, provider_id=provider)
    reply = await ask(gateway, "Never mind.", provider_id=provider)
    assert reply.status == 200
    assert [role for role, _ in heard(upstream)] in (
        ["user", "user"],
        ["user"],
    )  # Anthropic's turns are joined
    assert b"tool_use" not in upstream.requests[-1].body
    assert "history: 1 tool calls without results" in reply.json["meta"]["dropped"]


async def test_a_recording_counts_the_history_that_it_holds(gateway: Gateway, upstream: Upstream) -> None:
    messages = [{"role": "user", "content": "long " * 2_000}, {"role": "assistant", "content": "yes"}]
    await gateway.post("/contexts/geo/messages", {"messages": messages})
    gate = Gate()
    upstream.always(says("a b").but(hangs(gate, after=1)))
    recordings, detached = gateway.app.house.recordings, {"x-rhetor-detach": "60"}
    async with asyncio.TaskGroup() as asking:
        for id in ("geo", "other"):
            asking.create_task(ask(gateway, "hi", STREAM, detached, context_id=id))
        await until(lambda: len(recordings.listed) == 2)
        with_history, without = sorted((it.held_bytes for it in recordings.listed.values()), reverse=True)
        gate.open()
    assert with_history > without + 2 * len("long " * 2_000)


async def test_what_is_noted_knows_where_it_came_from(gateway: Gateway) -> None:
    reply = await ask(gateway, "hi", component="terma")
    asked, said = await told(gateway, query="?include_metadata=1")
    assert asked["metadata"] == {"generation_id": reply.json["meta"]["generation_id"], "component": "terma"}
    assert (said["metadata"]["finish_reason"], said["metadata"]["model"]) == ("stop", "m")


@PATHS
@pytest.mark.parametrize("step", [fails(400), says("one two").but(cuts(after=1))], ids=["refused", "cut"])
async def test_what_failed_is_not_noted(gateway: Gateway, upstream: Upstream, path: str, step: Any) -> None:
    upstream.always(step)
    await ask(gateway, "hi", path)
    assert await told(gateway) == []


async def test_who_leaves_has_said_nothing(gateway: Gateway, upstream: Upstream) -> None:
    upstream.next(says("one two").but(hangs(after=1)))
    body = orjson.dumps({**ASKED, "messages": [{"role": "user", "content": "hi"}]})
    async with gateway.session.post(gateway.url + STREAM, data=body) as reply:
        await reply.content.readline()
        reply.close()
    await upstream.requests[0].ended()
    assert await told(gateway) == []


async def test_who_was_cut_off_finds_it_noted_once(gateway: Gateway, upstream: Upstream) -> None:
    gate = Gate()
    upstream.next(says("one two").but(hangs(gate, after=1)))
    body = orjson.dumps({**ASKED, "messages": [{"role": "user", "content": "hi"}], "resume_s": 30})
    async with gateway.session.post(gateway.url + STREAM, data=body) as reply:
        id = reply.headers["x-rhetor-generation-id"]
        await reply.content.readline()
        reply.close()
    gate.open()
    async with gateway.session.get(f"{gateway.url}/v1/generations/{id}/events") as rest:
        assert b"[DONE]" in await rest.read()
    assert await words(gateway) == ["hi", "one two"]


async def test_the_same_request_twice_is_noted_once(gateway: Gateway, upstream: Upstream) -> None:
    for _ in range(2):
        assert (await ask(gateway, "hi", headers={"Idempotency-Key": "k"})).json["content"] == "hello world"
    assert len(upstream.requests) == 1
    assert await words(gateway) == ["hi", "hello world"]


async def test_nobody_is_told_what_is_somebody_elses(make_gateway: MakeGateway, upstream: Upstream) -> None:
    """A context belongs to a token; the component's name is no token."""
    server = {"tokens": {"ann": "env:ANN", "bob": "env:BOB"}}
    gateway = await make_gateway(settings(upstream, server=server), {"ANN": "ann-token", "BOB": "bob-token"})
    for name in ("ann", "bob"):
        headers = {"x-api-key": f"{name}-token", "x-component-id": "terma"}
        await ask(gateway, name, headers=headers)
        assert heard(upstream) == [("user", name)]


@pytest.mark.parametrize("value", ["yes", -1, 1.5, [], {}])
async def test_history_is_yes_no_or_a_number(gateway: Gateway, value: Any) -> None:
    for said, param in (
        ({"history": value}, "history"),
        ({"options": {"history": value}}, "options.history"),
    ):
        reply = await ask(gateway, "hi", **said)
        assert (reply.status, reply.json["param"]) == (400, param)


async def test_history_of_nothing_is_none(gateway: Gateway) -> None:
    reply = await ask(gateway, "hi", context_id=None)
    assert (reply.status, reply.json["param"]) == (400, "context_id")


class _Store:
    """A store in trouble."""

    def __init__(self, real: Any, **broken: Any) -> None:
        self._real = real
        self.__dict__.update(broken)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def _hangs(*_: Any) -> Sequence[Entry]:
    await asyncio.Event().wait()
    return []


async def _fails(*_: Any) -> Sequence[Entry]:
    raise OSError("the disk of the house")


@PATHS
async def test_a_store_that_cannot_note_costs_nobody_the_reply(
    gateway: Gateway, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeping, "KEEP_S", 0.05)
    house = gateway.app.house
    house.transcripts = _Store(house.transcripts, append=_hangs)
    reply = await ask(gateway, "hi", path)
    assert reply.status == 200
    assert b"error" not in reply.body
    await until(lambda: "reply not kept" in caplog.text)


@PATHS
async def test_a_reply_that_is_too_large_to_be_noted_is_told_all_the_same(
    gateway: Gateway, upstream: Upstream, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    house = gateway.app.house
    house.transcripts = MemoryTranscripts(house.clock, transcript_bytes=5_000)
    upstream.always(says("long " * 2_000))
    reply = await ask(gateway, "hi", path)
    assert reply.status == 200
    assert b"error" not in reply.body
    assert await words(gateway) == []
    (warning,) = [it for it in caplog.records if it.message == "reply not kept"]
    assert "cannot be kept: at most 5000 fit" in vars(warning)["reason"]


async def test_a_store_that_cannot_be_read_is_an_error(
    gateway: Gateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better than an answer that has forgotten everything."""
    monkeypatch.setattr(recalled, "READ_S", 0.05)
    house = gateway.app.house
    house.transcripts = _Store(house.transcripts, read=_hangs)
    reply = await ask(gateway, "hi")
    assert (reply.status, reply.json["code"]) == (503, "unavailable")
    assert upstream.requests == []


async def test_a_store_that_fails_is_an_error_without_its_words(
    gateway: Gateway, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    house = gateway.app.house
    house.transcripts = _Store(house.transcripts, read=_fails)
    reply = await ask(gateway, "hi")
    assert (reply.status, reply.json["code"]) == (503, "unavailable")
    assert b"disk" not in reply.body
    assert [record.exc_info is not None for record in caplog.records] == [True]
    assert upstream.requests == []


def said(role: Role, text: str = "four") -> Message:
    return Message(role, (Text(text),))


USER, ASSISTANT = said(Role.USER), said(Role.ASSISTANT)
CALLED = Message(Role.ASSISTANT, (ToolUse("c", "f", "{}"),))
ANSWERED = Message(Role.TOOL, (ToolResult("c", (Text("four"),)),))


@pytest.mark.parametrize(
    ("messages", "tokens", "most", "left"),
    [
        ([USER, ASSISTANT] * 3, 100, None, 6),
        ([USER, ASSISTANT] * 3, 4, None, 4),
        ([USER, ASSISTANT] * 3, 3, None, 2),
        ([USER, ASSISTANT] * 3, 100, 2, 2),
        ([USER, ASSISTANT] * 3, 100, 3, 2),
        ([USER, ASSISTANT] * 3, 0, None, 0),
        ([USER, ASSISTANT] * 3, -5, None, 0),
        ([USER, CALLED, ANSWERED, ASSISTANT, USER, ASSISTANT], 100, 4, 2),
        ([Message(Role.USER, (Image(Url("http://x/a.png")),)), USER], 999, None, 1),
        ([], 100, None, 0),
    ],
)
def test_the_window_begins_with_a_user(
    messages: list[Message], tokens: int, most: int | None, left: int
) -> None:
    assert latest(messages, tokens, most) == messages[len(messages) - left :]


OTHER = Message(Role.ASSISTANT, (Text("four"), ToolUse("c", "f", "{}"), ToolUse("d", "f", "{}")))


@pytest.mark.parametrize(
    ("earlier", "new", "left", "unanswered"),
    [
        ([USER, CALLED, ANSWERED, ASSISTANT], [USER], [USER, CALLED, ANSWERED, ASSISTANT], 0),
        ([USER, CALLED], [ANSWERED, USER], [USER, CALLED], 0),
        ([USER, CALLED], [USER], [USER], 1),
        ([USER, CALLED], [USER, ANSWERED], [USER], 1),
        ([USER, CALLED, USER, CALLED, ANSWERED], [USER], [USER, USER, CALLED, ANSWERED], 1),
        (
            [USER, OTHER, ANSWERED],
            [USER],
            [USER, Message(Role.ASSISTANT, OTHER.parts[:2]), ANSWERED],
            1,
        ),
        ([USER, OTHER, ANSWERED], [Message(Role.TOOL, (ToolResult("d", ()),))], [USER, OTHER, ANSWERED], 0),
        ([], [USER], [], 0),
    ],
)
def test_no_call_is_told_without_its_result(
    earlier: list[Message], new: list[Message], left: list[Message], unanswered: int
) -> None:
    assert without_unanswered(earlier, new) == (left, unanswered)


def test_history_comes_after_what_leads_a_conversation() -> None:
    system = said(Role.SYSTEM)
    assert with_history([system, USER, system], [ASSISTANT]) == (system, ASSISTANT, USER, system)
    assert with_history([USER], [ASSISTANT]) == (ASSISTANT, USER)
    assert with_history([system], [USER]) == (system, USER)
