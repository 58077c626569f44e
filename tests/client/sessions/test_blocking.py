"""Sessions for code without an event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tekton_llm_client.sessions import ApprovalRequest, ProviderError, SessionError, SessionsClient
from tekton_llm_client.sessions.blocking import BlockingSessionsClient
from tests.http.conversing import Sessions
from tests.sessions.scripted import Scripted, asks, fails, says, waits


async def test_a_program_without_a_loop(house: Sessions, backend: Scripted) -> None:
    def program() -> None:
        with SessionsClient.sync("comp", house.gateway.url) as sessions:
            begun = sessions.create_session(backend="scripted", title="Sync")
            events = list(sessions.converse(begun.id, "Hi!"))
            assert "".join(event.content for event in events if event.type == "assistant") == "You said: Hi!"
            assert sessions.ask(begun.id, "And now?").text == "You said: And now?"
            assert sessions.converse(begun.id, "And then?").answer().reason == "end"
            assert [session.title for session in sessions.list_sessions()] == ["Sync"]
            with sessions.stream(begun.id, after=1) as stream:
                assert next(iter(stream)).seq == 2
            state = sessions.suspend(begun.id)
            assert sessions.resume(begun.id, state).state == "idle"
            assert sessions.get_session(begun.id).turn == 3
            assert len(sessions.backends()) == 2
            sessions.terminate(begun.id)
            assert sessions.events(begun.id)[-1].ends_session
            assert list(sessions.stream(begun.id))[-1].ends_session
            with pytest.raises(SessionError, match="terminated"):
                sessions.send(begun.id, "Hello?")
            sessions.forget(begun.id)

    await asyncio.to_thread(program)


async def test_another_thread_approves_and_interrupts(house: Sessions, backend: Scripted) -> None:
    backend.next(asks("a1"), says("one"), waits())

    def program() -> None:
        with SessionsClient.sync("comp", house.gateway.url) as sessions:
            begun = sessions.create_session(backend="scripted")
            for event in sessions.converse(begun.id, "Go!"):
                if (request := event.approval) is not None:
                    act(lambda id=request.request_id: sessions.approve(begun.id, id))
                if event.type == "assistant":
                    act(lambda: sessions.interrupt(begun.id))
            assert event.reason == "interrupted"

    def act(what: object) -> None:
        assert callable(what)
        thread = threading.Thread(target=what)
        thread.start()
        thread.join()

    await asyncio.to_thread(program)


async def test_questions_and_failures(house: Sessions, backend: Scripted) -> None:
    asked: list[ApprovalRequest] = []

    def allow(request: ApprovalRequest) -> bool:
        asked.append(request)
        return True

    backend.next(asks("a1", command="ls"), says("done"))
    backend.next(fails("too busy"))

    def program() -> None:
        with SessionsClient.sync("comp", house.gateway.url) as sessions:
            begun = sessions.create_session(backend="scripted")
            assert sessions.ask(begun.id, "Go!", on_approval=allow).text == "done"
            with pytest.raises(ProviderError, match="too busy"):
                sessions.ask(begun.id, "Go on!")

    await asyncio.to_thread(program)
    assert [request.input for request in asked] == [{"command": "ls"}]


def test_every_call_of_the_client_is_there() -> None:
    calls = {name for name, value in vars(SessionsClient).items() if callable(value) and name[0] != "_"}
    assert calls <= set(dir(BlockingSessionsClient))
    assert BlockingSessionsClient.suspend.__doc__ == SessionsClient.suspend.__doc__
