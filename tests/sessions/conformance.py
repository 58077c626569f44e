"""What every backend must keep: the grammar of happenings, and how conversations end.

    turns = await converse(backend, setup, [Say("hello"), Say("use the tool", verdict=allow)])
    assert turns[0].text == "hello world"

`Talk` is an open conversation whose happenings are held to the grammar as they come. `BackendContract` is the
suite: a subclass says in fixtures how its backend is made, and what its upstream shall answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import (
    Access,
    Asked,
    Backend,
    Bound,
    Conversation,
    Happening,
    Permissions,
    Said,
    Setup,
    TurnEnded,
    Verdict,
    Withdrawn,
)
from rhetor.sessions.event import Event, EventType
from rhetor.store.base import LoggedEvent
from rhetor.tasks import spawn, stop
from rhetor.testing import Step, Upstream, fails, hangs, says

WITHIN_S = 30.0  # a real agent on a busy machine; only a broken promise takes this long
CLOSES_WITHIN_S = 15.0

Answer = Callable[[Asked], "Verdict | None"]


def allow(asked: Asked) -> Verdict:
    return Verdict("allow")


def deny(asked: Asked) -> Verdict:
    return Verdict("deny", "not here")


@dataclass(frozen=True, kw_only=True)
class Say:
    """One message, and what is done while its turn goes on."""

    text: str = field(kw_only=False)
    verdict: Answer = allow
    """How approval requests are answered; None leaves one unanswered."""
    interrupt_at: Callable[[Happening], bool] | None = None
    """The turn is interrupted at the first happening that this is true of."""


@dataclass
class Turn:
    """What was told of one message."""

    happenings: list[Happening] = field(default_factory=list)

    @property
    def ended(self) -> TurnEnded:
        last = self.happenings[-1]
        assert isinstance(last, TurnEnded)
        return last

    @property
    def text(self) -> str:
        return "".join(it.content for it in self.events(EventType.ASSISTANT))

    @property
    def asked(self) -> list[Asked]:
        return [it for it in self.happenings if isinstance(it, Asked)]

    def events(self, *types: EventType) -> list[Event]:
        """Those of these types; without any: all."""
        return [it for it in self.happenings if isinstance(it, Event) and (not types or it.type in types)]


class Grammar:
    """Holds happenings to what `sessions/backend.py` promises."""

    def __init__(self) -> None:
        self.native_id: str | None = None
        self.in_turn = False
        self._asked: set[str] = set()
        self._open: set[str] = set()
        self._tools: dict[str, bool] = {}

    def on_sent(self) -> None:
        assert not self.in_turn, "the test sends into a turn"
        self.in_turn = True

    def on_answered(self, request_id: str) -> None:
        self._open.discard(request_id)

    def on_told(self, happening: Happening) -> None:
        match happening:
            case Bound(native_id):
                assert native_id, "bound to no id"
                assert self.native_id in (None, native_id), f"bound twice: {self.native_id}, {native_id}"
                self.native_id = native_id
                return
            case _:
                assert self.in_turn, f"told outside a turn: {happening}"
        match happening:
            case TurnEnded(reason, error):
                assert (reason == "error") == (error is not None), f"{reason} with {error!r}"
                assert self.native_id is not None, "a turn ended before the conversation was bound"
                assert not self._open, f"asked and neither answered nor withdrawn: {self._open}"
                self.in_turn = False
            case Asked(request_id):
                assert request_id, "asked without an id"
                assert request_id not in self._asked, f"asked twice: {request_id}"
                self._asked.add(request_id)
                self._open.add(request_id)
            case Withdrawn(request_id):
                assert request_id in self._open, f"withdrawn but not open: {request_id}"
                self._open.discard(request_id)
            case Event():
                self._on_event(happening)

    def _on_event(self, event: Event) -> None:
        match event.type:
            case EventType.ASSISTANT | EventType.THINKING:
                assert event.content, "an empty piece"
                assert event.data.get("message_id"), f"a piece of no message: {event}"
            case EventType.TOOL_USE:
                id = str(event.data["id"])
                assert id not in self._tools, f"used twice: {id}"
                assert event.data["name"], "a tool without a name"
                self._tools[id] = False
            case EventType.TOOL_RESULT:
                id = str(event.data["id"])
                assert self._tools.get(id) is False, f"a result of nothing, or a second one: {id}"
                assert isinstance(event.data["is_error"], bool)
                self._tools[id] = True
            case EventType.FILE_CHANGE:
                assert event.content == event.data["path"]
                assert event.data["kind"] in ("create", "edit", "delete")
            case EventType.DIRECTORY_CHANGE:
                assert event.content == event.data["directory"]
            case EventType.USER | EventType.STATUS_CHANGE | EventType.USAGE:
                raise AssertionError(f"not a backend's to say: {event}")
            case EventType.APPROVAL_REQUEST | EventType.APPROVAL_RESOLVED:
                raise AssertionError(f"said with Asked and Withdrawn: {event}")


class Talk:
    """An open conversation. Its happenings are read all the time, as a session does."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.grammar = Grammar()
        self.told: list[Happening] = []
        self.sent = 0
        self._queue: asyncio.Queue[Happening | BaseException | None] = asyncio.Queue()
        self._reading = spawn(self._read(), "read happenings")

    @property
    def native_id(self) -> str:
        assert self.grammar.native_id is not None, "not bound"
        return self.grammar.native_id

    async def say(self, say: Say | str) -> Turn:
        """Send a message and hear its turn to the end."""
        say = Say(say) if isinstance(say, str) else say
        turn = Turn()
        async with asyncio.timeout(WITHIN_S):
            await self.send(say.text)
            interrupted = False
            while True:
                happening = await self.next()
                turn.happenings.append(happening)
                if isinstance(happening, TurnEnded):
                    return turn
                if not interrupted and say.interrupt_at is not None and say.interrupt_at(happening):
                    interrupted = True
                    await self.conversation.interrupt()
                elif isinstance(happening, Asked) and (verdict := say.verdict(happening)) is not None:
                    self.grammar.on_answered(happening.request_id)
                    await self.conversation.answer(happening.request_id, verdict)

    async def send(self, text: str) -> None:
        self.sent += 1
        self.grammar.on_sent()
        await self.conversation.send(Said(text, f"msg_{self.sent:024x}"))

    async def next(self) -> Happening:
        """The next happening, once it is there; raises what the backend broke with."""
        async with asyncio.timeout(WITHIN_S):
            item = await self._queue.get()
        if isinstance(item, BaseException):
            raise item
        assert item is not None, "the happenings ended"
        return item

    async def close(self) -> None:
        """Close it, and see to it that nothing is said afterwards."""
        async with asyncio.timeout(CLOSES_WITHIN_S):
            await self.conversation.close()
            await asyncio.wait([self._reading])

    async def abandon(self) -> None:
        if not self._reading.done():
            await stop(self._reading)

    async def _read(self) -> None:
        try:
            async for happening in self.conversation.happenings():
                self.grammar.on_told(happening)
                self.told.append(happening)
                self._queue.put_nowait(happening)
        except (AssertionError, RhetorError) as error:
            self._queue.put_nowait(error)
            return
        self._queue.put_nowait(None)


@asynccontextmanager
async def talk(backend: Backend, setup: Setup) -> AsyncIterator[Talk]:
    """An open conversation, closed in the end whatever happens."""
    async with asyncio.timeout(WITHIN_S):
        conversation = await backend.open(setup)
    opened = Talk(conversation)
    try:
        yield opened
    finally:
        try:
            await opened.close()
        finally:
            await opened.abandon()


async def converse(backend: Backend, setup: Setup, script: Sequence[Say | str]) -> list[Turn]:
    """Open a conversation, say all of this, and close it."""
    async with talk(backend, setup) as opened:
        return [await opened.say(say) for say in script]


async def no_history(after: int = 0) -> Sequence[LoggedEvent]:
    return ()


def make_setup(folder: Path, url: str, **given: object) -> Setup:
    """A setup with folders of its own below `folder`, which survive from one conversation to the next."""
    directory, home = folder / "work", folder / "home"
    directory.mkdir(parents=True, exist_ok=True)
    home.mkdir(parents=True, exist_ok=True)
    values: dict[str, object] = {
        "session_id": "ses_00000000000000000000000a",
        "owner": "",
        "model": "small",
        "directory": directory,
        "home": home,
        "native_id": None,
        "history": no_history,
        "access": Access(url, "sk-session-canary-7d41"),
        "permissions": Permissions.ASK,
        **given,
    }
    return Setup(**values)  # type: ignore[arg-type]  # they are as the caller says


MakeSetup = Callable[..., Setup]


def is_piece(happening: Happening) -> bool:
    return isinstance(happening, Event) and happening.type is EventType.ASSISTANT


class BackendContract:
    """Every backend keeps this. A subclass has the fixtures `backend` and `setup` (`MakeSetup`); the calls of
    its models reach the fixture `upstream`.
    """

    def answers(self, upstream: Upstream, *steps: Step) -> None:
        """The next model calls get this; overridden where a backend makes calls of its own too."""
        upstream.next(*steps)

    async def test_is_healthy(self, backend: Backend) -> None:
        condition = await backend.check()
        assert condition.healthy, condition.error
        assert condition.error is None

    async def test_two_turns(self, backend: Backend, setup: MakeSetup, upstream: Upstream) -> None:
        """Each message is answered whole, once, and the second is told of the first."""
        self.answers(upstream, says("the first answer"), says("the second answer"))
        async with talk(backend, setup()) as opened:
            first = await opened.say("what is the first?")
            second = await opened.say("what is the second?")

        assert (first.text, first.ended) == ("the first answer", TurnEnded("end"))
        assert (second.text, second.ended) == ("the second answer", TurnEnded("end"))
        asked = [it.body for it in upstream.requests if b"what is the second?" in it.body]
        assert any(b"the first answer" in body for body in asked), "the model was not told what it had said"

    async def test_goes_on_after_it_was_closed(
        self, backend: Backend, setup: MakeSetup, upstream: Upstream
    ) -> None:
        """By its native id it is opened again, and remembers."""
        self.answers(upstream, says("I shall remember seventeen"), says("it was seventeen"))
        async with talk(backend, setup()) as opened:
            await opened.say("remember a number")
            native_id = opened.native_id

        async with talk(backend, setup(native_id=native_id)) as opened:
            turn = await opened.say("which number?")

        assert turn.text == "it was seventeen"
        assert opened.native_id == native_id
        asked = [it.body for it in upstream.requests if b"which number?" in it.body]
        assert any(b"I shall remember seventeen" in body for body in asked), "it has forgotten"

    async def test_a_turn_is_interrupted(
        self, backend: Backend, setup: MakeSetup, upstream: Upstream
    ) -> None:
        """It ends soon, the model's call is left, and the next message is answered."""
        self.answers(upstream, says("one two three four").but(hangs(after=2)), says("here again"))
        async with talk(backend, setup()) as opened:
            turn = await opened.say(Say("count", interrupt_at=is_piece))
            assert turn.ended == TurnEnded("interrupted")
            assert "one two three four".startswith(turn.text)
            again = await opened.say("are you there?")

        assert (again.text, again.ended) == ("here again", TurnEnded("end"))

    async def test_closes_at_once_when_idle_and_twice(
        self, backend: Backend, setup: MakeSetup, upstream: Upstream
    ) -> None:
        async with talk(backend, setup()) as opened:
            await opened.say("hello")
            await opened.close()
            await opened.close()

    async def test_closes_before_anything_was_said(self, backend: Backend, setup: MakeSetup) -> None:
        async with talk(backend, setup()) as opened:
            await opened.close()
        assert not any(isinstance(it, Event) for it in opened.told)

    async def test_closes_in_a_turn(self, backend: Backend, setup: MakeSetup, upstream: Upstream) -> None:
        """The model's call is left, and nothing is said any more."""
        self.answers(upstream, says("one two three four").but(hangs(after=2)))
        async with talk(backend, setup()) as opened:
            await opened.send("count")
            while not is_piece(await opened.next()):
                pass
            await opened.close()
            told = list(opened.told)
        assert opened.told == told
        assert not any(isinstance(it, TurnEnded) and it.reason == "end" for it in told)

    async def test_a_refused_model_call_ends_the_turn(
        self, backend: Backend, setup: MakeSetup, upstream: Upstream
    ) -> None:
        """With an error that says why; the conversation goes on."""
        upstream.always(fails(400, "the script does not like this"))
        async with talk(backend, setup()) as opened:
            turn = await opened.say("hello")
            assert turn.ended.reason == "error"
            assert turn.ended.error is not None
            assert "the script does not like this" in turn.ended.error.message
            upstream.always(Step())
            self.answers(upstream, says("better now"))
            again = await opened.say("and now?")

        assert (again.text, again.ended) == ("better now", TurnEnded("end"))

    async def test_an_unknown_native_id_is_not_found(self, backend: Backend, setup: MakeSetup) -> None:
        """When it is opened, or else in the turn; never by beginning another conversation."""
        unknown = setup(native_id=UNKNOWN_IDS.get(backend.name, "unknown"))
        with pytest.raises(RhetorError) as raised:
            await _one_turn(backend, unknown)
        assert raised.value.code is Code.NOT_FOUND


async def _one_turn(backend: Backend, setup: Setup) -> None:
    async with talk(backend, setup) as opened:
        turn = await opened.say("do you know me?")
        assert turn.ended.error is not None, "it answered in a conversation that it cannot know"
        raise turn.ended.error


UNKNOWN_IDS = {
    "claude_code": "00000000-0000-4000-8000-000000000000",
    "opencode": "ses_00000000000000000000000000",
    "codex": "00000000-0000-4000-8000-000000000000",
}
