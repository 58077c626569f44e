"""The client of sessions, and a gateway whose agent does as it is told."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest

import tekton_llm_client as tekton
from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Condition
from tekton_llm_client.sessions import (
    ApprovalRequest,
    ModelNotSupportedError,
    ProviderError,
    ProviderUnavailableError,
    SessionConfig,
    SessionError,
    SessionEvent,
    SessionsClient,
    SessionStatus,
    StreamEventType,
    Verdict,
)
from tests.client.cable import Cable
from tests.client.scripted import ScriptedGateway
from tests.client.sessions.frames import ID, session
from tests.conftest import MakeGateway, free_port
from tests.http import conversing
from tests.http.conversing import ANN, TOKENS, Sessions
from tests.sessions.scripted import Gate, Scripted, asks, breaks, fails, moves, says, uses, waits

UNKNOWN = "ses_" + "0" * 24


@pytest.fixture(autouse=True)
async def patience() -> AsyncIterator[None]:
    async with asyncio.timeout(20):
        yield


def types(events: list[SessionEvent]) -> list[str]:
    return [str(event.type) for event in events if event.type != "status_change"]


async def test_a_conversation(client: SessionsClient, backend: Scripted) -> None:
    backend.next(says("Hello ", "there."))
    begun = await client.create_session(backend="scripted", title="Greetings", metadata={"a": 1})
    assert (begun.state, begun.backend, begun.title, begun.metadata) == (
        "idle",
        "scripted",
        "Greetings",
        {"a": 1},
    )
    assert not begun.in_turn

    events = [event async for event in client.converse(begun.id, "Hi!")]
    assert (
        "".join(event.content for event in events if event.type is StreamEventType.ASSISTANT)
        == "Hello there."
    )
    assert events[-1].ends_turn
    assert (events[-1].reason, events[-1].session_id, events[-1].turn) == ("end", begun.id, 1)

    answer = await client.ask(begun.id, "And now?")
    assert (answer.text, answer.reason) == ("You said: And now?", "end")
    assert answer.seq == answer.events[-1].seq
    found = await client.get_session(begun.id)
    assert (found.turn, found.state, found["last_seq"]) == (2, SessionStatus.IDLE, answer.seq)


async def test_a_turn_can_be_awaited(client: SessionsClient) -> None:
    begun = await client.create_session(backend="scripted")
    turn = client.converse(begun.id, "Hi!", "m-1")
    assert (await turn).text == "You said: Hi!"
    assert turn.sent is not None
    assert turn.sent.message_id == "m-1"
    assert client.send_and_stream == client.converse


async def test_a_session_that_begins_with_a_message(client: SessionsClient) -> None:
    begun = await client.create_session("Hi!", provider="scripted")
    events = []
    async for event in client.stream(begun.id):
        events.append(event)
        if event.ends_turn:
            break
    assert types(events) == ["user", "assistant"]
    assert [event.seq for event in events] == [*range(1, len(events) + 1)]
    assert await client.events(begun.id) == events
    assert await client.events(begun.id, after=2) == events[2:]


async def test_settings_reach_the_agent(client: SessionsClient, backend: Scripted) -> None:
    config = SessionConfig(model="offline/echo", max_turns=3, timeout_seconds=60, system_prompt="be short")
    begun = await client.create_session("Hi!", backend="scripted", config=config, temperature=0.0)
    assert (begun.model, begun.max_turns, begun.timeout_s, begun.system) == (
        "offline/echo",
        3,
        60,
        "be short",
    )
    assert begun.temperature == 0.0
    await anext(event async for event in client.stream(begun.id) if event.ends_turn)
    assert (backend.last.setup.max_turns, backend.last.setup.system) == (3, "be short")


async def test_a_message_is_taken_once(client: SessionsClient) -> None:
    begun = await client.create_session(backend="scripted")
    first = await client.send(begun.id, "Hi!", "m-1")
    again = await client.send(begun.id, "Hi!", "m-1")
    assert (first.again, again.again, again.seq) == (False, True, first.seq)
    assert (await client.ask(begun.id, "Hi!", "m-1")).text == "You said: Hi!"
    assert (await client.get_session(begun.id)).turn == 1


async def test_a_session_is_begun_once(client: SessionsClient) -> None:
    first = await client.create_session(backend="scripted", key="once")
    again = await client.create_session(backend="scripted", key="once")
    assert first.id == again.id
    assert len(await client.list_sessions()) == 1


async def test_what_an_agent_asks_is_answered(client: SessionsClient, backend: Scripted) -> None:
    backend.next(asks("a1", command="ls"), asks("a2", command="rm"), says("done"))
    begun = await client.create_session(backend="scripted")
    resolved = []
    async for event in client.converse(begun.id, "Go!"):
        if (request := event.approval) is not None:
            waiting = await client.get_session(begun.id)
            assert (waiting.state, waiting.waiting_for[0].request_id) == ("waiting_input", request.request_id)
            if request.input == {"command": "ls"}:
                await client.approve(begun.id, request.request_id, always=True)
            else:
                await client.deny(begun.id, request.request_id, "never")
        if event.type == StreamEventType.APPROVAL_RESOLVED:
            resolved.append(event.content)
    assert resolved == ["allow", "deny"]
    assert (backend.last.verdicts["a1"].always, backend.last.verdicts["a2"].message) == (True, "never")


@pytest.mark.parametrize(
    ("said", "decision", "message"),
    [
        (True, "allow", None),
        (False, "deny", None),
        ("use npm", "deny", "use npm"),
        (Verdict("allow", input={"command": "true"}), "allow", None),
    ],
)
async def test_who_asks_may_answer_for_all(
    client: SessionsClient, backend: Scripted, said: Any, decision: str, message: str | None
) -> None:
    asked: list[ApprovalRequest] = []

    async def answer(request: ApprovalRequest) -> Any:
        asked.append(request)
        return said

    backend.next(asks("a1", command="ls"), says("done"))
    begun = await client.create_session(backend="scripted")
    assert (await client.ask(begun.id, "Go!", on_approval=answer)).text == "done"
    verdict = backend.last.verdicts["a1"]
    assert (verdict.decision, verdict.message) == (decision, message)
    assert (asked[0].tool, asked[0].input, asked[0].always) == ("Bash", {"command": "ls"}, True)


async def test_an_answer_that_is_none(client: SessionsClient, backend: Scripted) -> None:
    backend.next(asks("a1"))
    begun = await client.create_session(backend="scripted")
    with pytest.raises(TypeError, match="answered by True, False, a text or a Verdict"):
        await client.ask(begun.id, "Go!", on_approval=lambda request: 42)


async def test_a_turn_is_interrupted(client: SessionsClient, backend: Scripted) -> None:
    backend.next(says("one"), waits())
    begun = await client.create_session(backend="scripted")
    turn = client.converse(begun.id, "Count!")
    async for event in turn:
        if event.type == StreamEventType.ASSISTANT:
            assert (await client.interrupt(begun.id)).id == begun.id
    assert (await client.events(begun.id))[-1].reason == "interrupted"
    assert (await client.get_session(begun.id)).state == "idle"


async def test_an_interrupted_turn_has_an_answer(client: SessionsClient, backend: Scripted) -> None:
    gate = Gate()
    backend.next(says("one"), waits(gate))
    begun = await client.create_session(backend="scripted")
    asking = asyncio.get_running_loop().create_task(client.ask(begun.id, "Count!"))
    await gate.reached.wait()
    await client.interrupt(begun.id)
    answer = await asking
    assert (answer.text, answer.reason) == ("one", "interrupted")


async def test_a_turn_that_fails_is_an_error(client: SessionsClient, backend: Scripted) -> None:
    backend.next(says("well"), fails("the model is overloaded"))
    begun = await client.create_session(backend="scripted")
    with pytest.raises(ProviderUnavailableError, match="overloaded") as raised:
        await client.ask(begun.id, "Go!")
    assert (raised.value.provider, raised.value.session_id, raised.value.code) == (
        "scripted", begun.id, "overloaded",
    )  # fmt: skip
    assert (await client.ask(begun.id, "And now?")).reason == "end"


async def test_a_backend_that_breaks_is_an_error_and_can_be_resumed(
    client: SessionsClient, backend: Scripted
) -> None:
    backend.next(says("well"), breaks("it fell over"))
    begun = await client.create_session(backend="scripted")
    with pytest.raises(ProviderError, match="fell over"):
        await client.ask(begun.id, "Go!")
    assert (await client.get_session(begun.id)).state == "failed"
    assert (await client.ask(begun.id, "And now?", resume=True)).text == "You said: And now?"


async def test_suspended_and_resumed(client: SessionsClient) -> None:
    begun = await client.create_session(backend="scripted")
    await client.ask(begun.id, "Hi!")
    state = await client.suspend(begun.id)
    assert (state["session_id"], state["version"], "environment" in state) == (begun.id, 1, False)
    with pytest.raises(SessionError, match="suspended") as raised:
        await client.send(begun.id, "Hello?")
    assert (raised.value.state, raised.value.status, raised.value.session_id) == ("suspended", 409, begun.id)
    assert (await client.resume(begun.id, state)).state == "idle"
    assert (await client.ask(begun.id, "Hello?")).text == "You said: Hello?"


async def test_a_foreign_state_is_refused(client: SessionsClient) -> None:
    begun, other = [await client.create_session(backend="scripted") for _ in range(2)]
    state = await client.suspend(begun.id)
    await client.suspend(other.id)
    with pytest.raises(SessionError, match="another session"):
        await client.resume(other.id, state)
    with pytest.raises(tekton.InvalidRequestError, match="version 99"):
        await client.resume(begun.id, {**state, "version": 99})


async def test_terminated_and_forgotten(client: SessionsClient) -> None:
    begun = await client.create_session(backend="scripted")
    await client.ask(begun.id, "Hi!")
    assert (await client.terminate(begun.id, "enough")).state == SessionStatus.TERMINATED
    events = [event async for event in client.stream(begun.id)]
    assert (events[-1].ends_session, events[-1].reason) == (True, "enough")
    assert [event async for event in client.stream(begun.id, after=events[-1].seq)] == []
    await client.forget(begun.id)
    with pytest.raises(SessionError) as raised:
        await client.get_session(begun.id)
    assert (raised.value.status, raised.value.session_id) == (404, begun.id)


async def test_lists(client: SessionsClient) -> None:
    ids = [(await client.create_session(backend="scripted")).id for _ in range(3)]
    chat = await client.create_session(model="offline/echo")
    await client.suspend(ids[0])
    assert {session.id for session in await client.list_sessions()} == {*ids, chat.id}
    assert [session.id for session in await client.list_sessions(backend="chat")] == [chat.id]
    assert [session.id for session in await client.list_sessions("suspended")] == [ids[0]]
    some = await client.list_sessions(["idle", "suspended"], limit=3)
    assert (len(some), some.total, some.has_more) == (3, 4, True)


async def test_what_there_is(client: SessionsClient, backend: Scripted) -> None:
    backend.condition = Condition(healthy=False, error="it is not installed: install it")
    found = {each.name: each for each in await client.backends()}
    assert (found["chat"].healthy, found["scripted"].healthy) == (True, False)
    assert found["scripted"].error == "it is not installed: install it"
    assert "tools" in found["scripted"].abilities


async def test_who_would_be_chosen(client: SessionsClient) -> None:
    choice = await client.choose({"capabilities": ["tools"], "load_balancing": True})
    assert choice.backend == "scripted"
    assert choice.reasons
    begun = await client.create_session_with_auto_selection("Hi!", {"capabilities": ["tools"]})
    assert (begun.backend, begun.selection is not None) == ("scripted", True)
    with pytest.raises(tekton.InvalidRequestError, match="no such capability"):
        await client.choose({"capabilities": ["levitation"]})


async def test_any_model_will_do(client: SessionsClient) -> None:
    begun = await client.create_session(model="auto", requirements={"cost_optimization": True})
    assert begun.model


async def test_exported_counted_and_cleaned_up(client: SessionsClient) -> None:
    begun = await client.create_session(backend="scripted")
    await client.ask(begun.id, "Hi there!")
    assert "Hi there!" in await client.export(begun.id, "md")
    assert '"Hi there!"' in await client.export(begun.id)
    assert (await client.stats(begun.id))["turns"] == 1
    cleaned = await client.cleanup(0)
    assert (cleaned.total, cleaned.by_backend) == (1, {"scripted": 1})
    assert await client.list_sessions() == []


async def test_a_chat_can_be_summed_up_and_forget(client: SessionsClient) -> None:
    begun = await client.create_session(model="offline/echo")
    await client.ask(begun.id, "Hi there!")
    assert (await client.clear_context(begun.id)).id == begun.id
    assert (await client.summarize(begun.id)).id == begun.id


# What is refused.


async def test_an_unknown_session(client: SessionsClient) -> None:
    for call in (client.get_session, client.interrupt, client.suspend, client.resume, client.terminate):
        with pytest.raises(SessionError, match=r"no (such )?session") as raised:
            await call(UNKNOWN)
        assert (raised.value.session_id, raised.value.status) == (UNKNOWN, 404)
    with pytest.raises(SessionError):
        await client.ask(UNKNOWN, "Hi!")


@pytest.mark.promise("J29", "J30")
async def test_a_model_that_is_not_offered(make_gateway: MakeGateway) -> None:
    house = await conversing.house(make_gateway, Scripted(models=["offline/echo"]))
    async with SessionsClient("comp", house.gateway.url) as client:
        with pytest.raises(ModelNotSupportedError, match="gpt-7") as raised:
            await client.create_session("Hi!", backend="scripted", model="gpt-7")
    assert (raised.value.provider, raised.value.status) == ("scripted", 404)
    assert isinstance(raised.value, tekton.InvalidRequestError)
    assert isinstance(raised.value, ProviderError)


async def test_no_such_backend(client: SessionsClient) -> None:
    with pytest.raises(ProviderError, match="nobody") as raised:
        await client.create_session(backend="nobody")
    assert raised.value.provider == "nobody"


@pytest.mark.promise("J24")
async def test_too_many_sessions_are_told_at_once(make_gateway: MakeGateway) -> None:
    backend = Scripted(max_sessions=1)
    house = await conversing.house(make_gateway, backend)
    async with SessionsClient("comp", house.gateway.url) as client:
        backend.next(waits())
        await client.create_session("Wait!", backend="scripted")
        with pytest.raises(ProviderUnavailableError) as raised:
            await client.create_session("Me too!", backend="scripted")
    assert (raised.value.status, raised.value.provider) == (503, "scripted")


async def test_an_agent_that_cannot_be_opened(client: SessionsClient, backend: Scripted) -> None:
    backend.refusal = RhetorError("no program 'agent': install it", Code.UNAVAILABLE, origin="scripted")
    begun = await client.create_session(backend="scripted")
    with pytest.raises(ProviderUnavailableError, match="install it") as raised:
        await client.ask(begun.id, "Hi!")
    assert raised.value.provider == "scripted"


async def test_tokens(make_gateway: MakeGateway) -> None:
    house = await conversing.house(make_gateway, **TOKENS)
    token = ANN["Authorization"].removeprefix("Bearer ")
    async with (
        SessionsClient("comp", house.gateway.url, auth_token="wrong") as stranger,
        SessionsClient("comp", house.gateway.url, auth_token=token) as ann,
        SessionsClient("comp", house.gateway.url, auth_token="b" * 20) as bob,
    ):
        with pytest.raises(tekton.AuthenticationError):
            await stranger.list_sessions()
        begun = await ann.create_session(backend="scripted")
        assert len(await ann.list_sessions()) == 1
        with pytest.raises(SessionError, match=r"no (such )?session"):
            await bob.get_session(begun.id)


async def test_no_gateway() -> None:
    async with SessionsClient("comp", f"http://127.0.0.1:{free_port()}", max_retries=0) as client:
        with pytest.raises(tekton.ConnectionError, match="no gateway at"):
            await client.list_sessions()


@pytest.mark.parametrize("config", [42, {"colour": "red"}])
async def test_a_configuration_that_is_none(client: SessionsClient, config: Any) -> None:
    with pytest.raises(tekton.InvalidRequestError, match="config: "):
        await client.create_session(config=config)


async def test_what_is_not_json(client: SessionsClient) -> None:
    with pytest.raises(tekton.InvalidRequestError, match="cannot be sent as JSON"):
        await client.create_session(metadata={"a": object()})


def test_errors_can_be_copied() -> None:
    error = ModelNotSupportedError("no", "claude", "ses_1", state="idle", status=404, code="model_not_found")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (ModelNotSupportedError, "no")
    assert vars(again) == vars(error)


# What survives.


async def test_a_connection_that_is_cut_while_events_come(house: Sessions, backend: Scripted) -> None:
    """Nothing is missing and nothing comes twice, however often."""
    gates = [Gate() for _ in range(4)]
    steps = [step for gate in gates for step in (*says("a", "b"), *waits(gate))]
    backend.next(steps, says("c"))
    async with Cable(house.gateway.url) as cable, SessionsClient("comp", cable.url) as client:
        begun = await client.create_session(backend="scripted")
        events: list[SessionEvent] = []
        heard = asyncio.Event()

        async def listen() -> None:
            async for event in client.converse(begun.id, "Go!"):
                events.append(event)
                heard.set()

        listening = asyncio.get_running_loop().create_task(listen())
        for gate in gates:
            await heard.wait()
            cable.cut()
            gate.open()
            heard.clear()
        await listening
        assert events == (await client.events(begun.id))[-len(events) :]
        assert "".join(e.content for e in events if e.type == "assistant") == "abababab" + "c"
        assert cable.connections > len(gates) / 2


async def cut(request: Any) -> Any:
    request.transport.abort()
    raise ConnectionResetError


async def test_a_message_whose_reply_was_lost_is_sent_again(
    scripted: ScriptedGateway, sessions: SessionsClient
) -> None:
    sent = {"session": session(state="active", turn=1), "message_id": "m", "seq": 2, "again": True}
    scripted.then(cut).says(202, sent)
    assert (await sessions.send(ID, "Hi!")).again
    first, second = (body for _, body in scripted.requests)
    assert first == second
    assert first["message_id"]


async def test_a_session_whose_reply_was_lost_is_begun_once(
    scripted: ScriptedGateway, sessions: SessionsClient
) -> None:
    scripted.then(cut).says(201, session())
    await sessions.create_session("Hi!")
    first, second = (request.headers["idempotency-key"] for request, _ in scripted.requests)
    assert first == second
    assert scripted.requests[0][1] == scripted.requests[1][1]


async def test_what_was_done_before_its_reply_was_lost_is_done(
    scripted: ScriptedGateway, sessions: SessionsClient
) -> None:
    conflict = {"error": "no such approval request is open", "code": "conflict", "state": "active"}
    scripted.then(cut).says(409, conflict).says(200, session(state="active"))
    assert (await sessions.approve(ID, "a1")).state == "active"
    assert [request.method for request, _ in scripted.requests] == ["POST", "POST", "GET"]


async def test_what_was_not_done_is_an_error(scripted: ScriptedGateway, sessions: SessionsClient) -> None:
    conflict = {
        "error": "cannot resume: the session is terminated",
        "code": "conflict",
        "state": "terminated",
    }
    scripted.then(cut).says(409, conflict).says(200, session(state="terminated"))
    with pytest.raises(SessionError, match="terminated") as raised:
        await sessions.resume(ID)
    assert raised.value.state == "terminated"


async def test_forgotten_before_its_reply_was_lost(
    scripted: ScriptedGateway, sessions: SessionsClient
) -> None:
    scripted.then(cut).says(404, {"error": "no such session", "code": "not_found"})
    scripted.ended.clear()
    with pytest.raises(SessionError):
        await sessions.get_session(ID)


@pytest.mark.parametrize("body", [b"[]", b"nonsense", b'{"id": 1}'])
async def test_a_reply_that_is_none(scripted: ScriptedGateway, sessions: SessionsClient, body: bytes) -> None:
    async def answer(_request: Any) -> Any:
        from aiohttp import web

        return web.Response(body=body, content_type="application/json")

    scripted.then(answer)
    with pytest.raises(tekton.AdapterError, match="reply is"):
        await sessions.get_session(ID)


async def test_files_and_folders(client: SessionsClient, backend: Scripted) -> None:
    backend.next(uses("Bash", {"command": "cd src"}, "ok"), moves("/src"))
    begun = await client.create_session(backend="scripted")
    answer = await client.ask(begun.id, "Go!")
    assert types(list(answer.events)) == ["tool_use", "tool_result", "directory_change"]
    assert (await client.get_session(begun.id)).current_directory == "/src"
