"""A backend that does as its test tells it: it says things, asks, waits, breaks, and hears nobody.

    backend = Scripted()
    backend.next(says("hello "), asks("a1", tool="Bash"), says("world"))

Each `next` is one turn, of whichever session comes first; where nothing is told it repeats what was said.
A turn ends well after its last step, unless a step ended it otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from rhetor.core.capability import Feature
from rhetor.core.content import Json
from rhetor.core.errors import Code, RhetorError
from rhetor.sessions.backend import (
    Ability,
    Asked,
    Bound,
    Condition,
    Happening,
    Said,
    Setup,
    TurnEnded,
    Verdict,
    Withdrawn,
)
from rhetor.sessions.event import Event, EventType

ALL = frozenset(Ability)


class Gate:
    """Something that a turn waits for until the test opens it."""

    def __init__(self) -> None:
        self.is_open = False
        self.reached = asyncio.Event()
        """Set once a turn stands before it."""
        self._told: list[Callable[[], None]] = []

    def open(self) -> None:
        self.is_open = True
        for tell in self._told:
            tell()

    def tell(self, told: Callable[[], None]) -> None:
        self._told.append(told)


@dataclass(frozen=True)
class Waits:
    """The turn goes on when the gate is open; None: never."""

    gate: Gate | None = None
    deaf: bool = False
    """It does not hear that it should end: only closing helps."""


@dataclass(frozen=True)
class Breaks:
    """The conversation is over."""

    error: RhetorError


Step: TypeAlias = Happening | Waits | Breaks


def says(*pieces: str, message_id: str = "m1") -> list[Step]:
    """These pieces of an answer."""
    return [Event(EventType.ASSISTANT, piece, {"message_id": message_id}) for piece in pieces]


def uses(tool: str, input: Json, result: str, *, id: str = "t1", is_error: bool = False) -> list[Step]:
    """A tool, and what came of it."""
    return [
        Event(EventType.TOOL_USE, str(dict(input)), {"id": id, "name": tool, "input": input}),
        Event(EventType.TOOL_RESULT, result, {"id": id, "name": tool, "is_error": is_error}),
    ]


def moves(to: str, before: str = "/") -> list[Step]:
    """It works elsewhere from now on."""
    return [Event(EventType.DIRECTORY_CHANGE, to, {"directory": to, "before": before})]


def asks(request_id: str = "a1", tool: str = "Bash", always: bool = True, **input: str) -> list[Step]:
    """May it use this tool? The turn goes on when it has an answer."""
    return [Asked(request_id, tool, input, f"May {tool} be used?", always)]


def withdraws(request_id: str = "a1") -> list[Step]:
    return [Withdrawn(request_id)]


def waits(gate: Gate | None = None, *, deaf: bool = False) -> list[Step]:
    return [Waits(gate, deaf)]


def breaks(message: str = "the agent fell over", code: Code = Code.UNAVAILABLE) -> list[Step]:
    return [Breaks(RhetorError(message, code, origin="scripted"))]


def fails(message: str = "the model is overloaded", code: Code = Code.OVERLOADED) -> list[Step]:
    """The turn does, not the conversation."""
    return [TurnEnded("error", RhetorError(message, code, origin="scripted"))]


class Scripted:
    """See above. What happened is kept in `conversations` and `forgotten`."""

    def __init__(
        self,
        name: str = "scripted",
        *,
        abilities: frozenset[Ability] = ALL,
        features: frozenset[Feature] = frozenset(),
        models: Iterable[str] = (),
        default_model: str = "",
        max_sessions: int = 10,
        warm_s: float = 600.0,
    ) -> None:
        self.name = name
        self.abilities = abilities
        self.features = features
        self.models = tuple(models)
        self.default_model = default_model
        self.max_sessions = max_sessions
        self.warm_s = warm_s
        self.condition = Condition(healthy=True, version="1.0", binary="/bin/scripted")
        self.refusal: RhetorError | None = None
        """Why it cannot be opened now."""
        self.door: Gate | None = None
        """Who opens a conversation waits for this one."""
        self.conversations: list[ScriptedConversation] = []
        """All that were ever opened."""
        self.forgotten: list[str] = []
        self._turns: list[list[Step]] = []

    def next(self, *steps: Iterable[Step]) -> None:
        """What the next turn is."""
        self._turns.append([step for each in steps for step in each])

    def turn(self, said: Said) -> list[Step]:
        return self._turns.pop(0) if self._turns else says(f"You said: {said.text}")

    @property
    def last(self) -> ScriptedConversation:
        return self.conversations[-1]

    @property
    def open_ones(self) -> list[ScriptedConversation]:
        return [each for each in self.conversations if not each.closed]

    async def check(self) -> Condition:
        return self.condition

    async def open(self, setup: Setup) -> ScriptedConversation:
        if self.door is not None and not self.door.is_open:
            opened = asyncio.Event()
            self.door.tell(opened.set)
            self.door.reached.set()
            await opened.wait()
        if self.refusal is not None:
            raise self.refusal
        conversation = ScriptedConversation(self, setup)
        self.conversations.append(conversation)
        return conversation

    async def forget(self, native_id: str, home: Path) -> None:
        self.forgotten.append(native_id)


@dataclass
class ScriptedConversation:
    backend: Scripted
    setup: Setup
    said: list[Said] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    interrupts: int = 0
    closed: bool = False

    def __post_init__(self) -> None:
        self._changed = asyncio.Event()
        self._heard = 0
        self._interrupted = False

    async def happenings(self) -> AsyncIterator[Happening]:
        if self.setup.native_id is None:
            yield Bound(f"native_{self.setup.session_id}")
        while await self._until(lambda: len(self.said) > self._heard, deaf=True):
            self._heard += 1
            async with aclosing(self._turn(self.backend.turn(self.said[self._heard - 1]))) as turn:
                async for happening in turn:
                    yield happening

    async def _turn(self, steps: list[Step]) -> AsyncGenerator[Happening, None]:
        for step in steps:
            goes_on = True
            match step:
                case Waits(gate, deaf):
                    goes_on = await self._pass(gate, deaf)
                case Breaks(error):
                    raise error
                case Asked(request_id):
                    yield step
                    goes_on = await self._until(lambda id=request_id: id in self.verdicts)  # type: ignore[misc]
                case TurnEnded():
                    yield step
                    return
                case _:
                    yield step
            if not goes_on:
                break
        if not self.closed:
            yield TurnEnded("interrupted" if self._interrupted else "end")

    async def send(self, said: Said) -> None:
        self.said.append(said)
        self._interrupted = False
        self._changed.set()

    async def answer(self, request_id: str, verdict: Verdict) -> None:
        self.verdicts[request_id] = verdict
        self._changed.set()

    async def interrupt(self) -> None:
        self.interrupts += 1
        self._interrupted = True
        self._changed.set()

    async def close(self) -> None:
        self.closed = True
        self._changed.set()

    async def _pass(self, gate: Gate | None, deaf: bool) -> bool:
        if gate is not None:
            gate.tell(self._changed.set)
            gate.reached.set()
        return await self._until(lambda: gate is not None and gate.is_open, deaf)

    async def _until(self, come: Callable[[], bool], deaf: bool = False) -> bool:
        """Whether it came, before somebody ended the turn or the conversation."""
        while not self.closed and (deaf or not self._interrupted):
            if come():
                return True
            self._changed.clear()
            await self._changed.wait()
        return False
