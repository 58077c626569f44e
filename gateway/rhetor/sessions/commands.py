"""What a session's owner can be asked to do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rhetor.core.content import Json
from rhetor.core.errors import RhetorError
from rhetor.sessions.backend import Said, Verdict
from rhetor.sessions.event import Event


@dataclass(slots=True, kw_only=True)
class Command:
    """Something that a caller wants done."""

    done: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def resolve(self, result: object) -> None:
        if not self.done.done():
            self.done.set_result(result)

    def fail(self, error: RhetorError) -> None:
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # its caller may have left


@dataclass(slots=True)
class Send(Command):
    said: Said
    resume: bool = False
    environment: Mapping[str, str] | None = None
    """For the agent, from now on."""


@dataclass(slots=True)
class Answer(Command):
    request_id: str
    verdict: Verdict


@dataclass(slots=True)
class Interrupt(Command):
    pass


@dataclass(slots=True)
class Suspend(Command):
    reason: str = "suspended"


@dataclass(slots=True)
class Resume(Command):
    state: Json | None = None
    environment: Mapping[str, str] | None = None
    """As with `Send`."""


@dataclass(slots=True)
class Terminate(Command):
    reason: str = "terminated"
    last_seq: int | None = None
    """Only if nothing has happened since this event, and no turn is under way."""


@dataclass(slots=True)
class Note(Command):
    events: tuple[Event, ...]


@dataclass(slots=True)
class Rest(Command):
    """Give back the conversation of an idle session."""
