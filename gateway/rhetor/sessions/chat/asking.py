"""How a chat asks its model: a request as any caller's, made within this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol, TypeAlias

from rhetor.core import request as core
from rhetor.core.capability import Capability
from rhetor.core.content import JsonValue, Text
from rhetor.core.ids import new_id
from rhetor.core.request import Message, Request, Role
from rhetor.core.value import value
from rhetor.routing.catalog import Target
from rhetor.wire.base import Chunk


class Telling(Protocol):
    """A reply on its way: as a trip tells it, once it is entered."""

    @property
    def meta(self) -> Mapping[str, JsonValue]:
        """What is known of it; complete before the last chunk."""

    @property
    def served_by(self) -> Target | None: ...

    def chunks(self) -> AsyncIterator[Chunk]:
        """From its first event to its ending, which is `Finished` or `Failed`."""


Ask: TypeAlias = Callable[[Request], AbstractAsyncContextManager[Telling]]
"""Entered, somebody answers, or it raises a RhetorError; left early, nobody is asked any more."""


@value(kw_only=True)
class Asker:
    """For whom a model is asked, and which one."""

    owner: str
    session_id: str
    model: str
    """Empty: whoever answers who names nobody."""


def request_for(
    asker: Asker,
    messages: Sequence[Message],
    task: str,
    *,
    max_tokens: int | None = None,
    temperature: float | None = None,
    timeout_s: float | None = None,
) -> Request:
    """
    Args:
        task: what it is about, as the rules for those who name no model know it.
    """
    chat = core.Chat(messages=tuple(messages), max_tokens=max_tokens, temperature=temperature)
    return Request(
        id=new_id("gen"),
        capability=Capability.CHAT,
        model=asker.model,
        input=chat,
        stream=True,
        task=task,
        principal=asker.owner or None,
        session=asker.session_id,
        timeout_s=timeout_s,
    )


def message(role: Role, text: str) -> Message:
    return Message(role, (Text(text),))


def named(asker: Asker, model: str | None) -> Asker:
    """The same, asking this model where there is one."""
    return replace(asker, model=model) if model else asker
