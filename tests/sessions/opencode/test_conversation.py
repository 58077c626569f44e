"""Messages and answers reach the server, and what it does about them is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import Asked, Event, Setup, TurnEnded, Verdict
from rhetor.sessions.opencode import conversation as module
from rhetor.sessions.opencode.backend import OpenCode
from tests.sessions.conformance import Say, Talk, converse, is_piece, talk

MakeSetup = Callable[..., Setup]
Calls = Callable[[str], list[Any]]


async def ask_of(opened: Talk) -> Asked:
    while not isinstance(happening := await opened.next(), Asked):
        pass
    return happening


async def test_a_message_goes_out_with_model_and_system(
    backend: OpenCode, setup: MakeSetup, calls: Calls
) -> None:
    await converse(backend, setup("answer", system="be brief", model="oai/small"), ["hello"])
    assert calls("prompt_async") == [
        {
            "agent": "build",
            "model": {"providerID": "rhetor", "modelID": "oai/small"},
            "parts": [{"type": "text", "text": "hello"}],
            "system": "be brief",
        }
    ]


@pytest.mark.parametrize(
    ("verdict", "reply"),
    [
        (Verdict("allow"), {"reply": "once"}),
        (Verdict("allow", always=True), {"reply": "always"}),
        (Verdict("allow", input={"command": "echo hi; echo there", "description": "d"}), {"reply": "once"}),
        (Verdict("deny", "not now"), {"reply": "reject", "message": "not now"}),
        (Verdict("deny"), {"reply": "reject", "message": module.DENIED}),
    ],
)
async def test_an_answer_goes_out(
    verdict: Verdict, reply: Any, backend: OpenCode, setup: MakeSetup, calls: Calls
) -> None:
    await converse(backend, setup("command"), [Say("go", verdict=lambda asked: verdict)])
    assert calls("reply") == [reply]


async def test_another_input_is_not_what_runs(backend: OpenCode, setup: MakeSetup, calls: Calls) -> None:
    """It cannot be changed, so nothing runs, and the question is still open."""
    async with talk(backend, setup("command")) as opened:
        await opened.send("go")
        asked = await ask_of(opened)
        with pytest.raises(RhetorError) as raised:
            await opened.conversation.answer(asked.request_id, Verdict("allow", input={"command": "ls"}))
        assert raised.value.code is Code.UNSUPPORTED
        assert calls("reply") == []
        opened.grammar.on_answered(asked.request_id)
        await opened.conversation.answer(asked.request_id, Verdict("deny"))
        await the_end(opened)


async def test_an_answer_to_what_nobody_asks_any_more_goes_nowhere(
    backend: OpenCode, setup: MakeSetup, calls: Calls
) -> None:
    async with talk(backend, setup("answer")) as opened:
        await opened.conversation.answer("per_unknown", Verdict("allow"))
        await opened.say("hello")
    assert calls("reply") == []


async def test_an_answer_that_comes_too_late_is_no_harm(backend: OpenCode, setup: MakeSetup) -> None:
    (turn,) = await converse(backend, setup("command", misbehaves="forgets questions"), ["go"])
    assert turn.ended == TurnEnded("end")


async def the_end(opened: Talk) -> TurnEnded:
    while not isinstance(happening := await opened.next(), TurnEnded):
        pass
    return happening


async def test_an_interrupt_goes_out_and_what_was_said_is_told(
    backend: OpenCode, setup: MakeSetup, calls: Calls
) -> None:
    turn, again = await converse(
        backend, setup("aborted", "answer"), [Say("go", interrupt_at=is_piece), "again"]
    )
    assert (turn.text, turn.ended) == ("one two", TurnEnded("interrupted"))
    assert calls("abort") == [{}]
    assert again.text == "hello there, dear friend"


async def test_between_turns_there_is_nothing_to_interrupt(
    backend: OpenCode, setup: MakeSetup, calls: Calls
) -> None:
    async with talk(backend, setup("answer")) as opened:
        await opened.conversation.interrupt()
        await opened.say("hello")
    assert calls("abort") == []


async def test_a_message_that_is_refused_ends_its_turn(backend: OpenCode, setup: MakeSetup) -> None:
    turn, again = await converse(backend, setup("answer", "refused", misbehaves="refuses"), ["one", "two"])
    assert turn.ended.error is not None
    assert "not like this" in turn.ended.error.message
    assert again.ended.reason == "error"


async def test_a_list_that_nobody_understands_is_an_error(backend: OpenCode, setup: MakeSetup) -> None:
    with pytest.raises(RhetorError, match="no JSON") as raised:
        await backend.open(setup("answer", misbehaves="garbled list"))
    assert raised.value.code is Code.PROTOCOL


async def test_a_server_that_dies_in_a_turn_is_an_error(backend: OpenCode, setup: MakeSetup) -> None:
    async with talk(backend, setup("answer", misbehaves="dies in a turn")) as opened:
        await opened.send("hello")
        with pytest.raises(RhetorError, match="ended with 3"):
            await the_end(opened)


async def test_a_server_that_falls_silent_can_be_closed(backend: OpenCode, setup: MakeSetup) -> None:
    async with talk(backend, setup("answer", misbehaves="falls silent")) as opened:
        await opened.send("hello")
        await asyncio.wait_for(opened.close(), 5.0)
    assert not any(isinstance(it, Event) and it.type == "assistant" for it in opened.told)


async def test_an_agent_that_says_it_is_idle_and_nothing_more_ends_the_turn(
    backend: OpenCode, setup: MakeSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLE_S", 0.3)
    async with talk(backend, setup("answer", misbehaves="idles")) as opened:
        turn = await opened.say("hello")
    assert turn.ended.error is not None
    assert turn.ended.error.code is Code.PROTOCOL
