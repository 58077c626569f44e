"""The backend for chats. Each answer is a call like any caller's, with the session's log as its messages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rhetor.core.capability import Feature
from rhetor.core.clock import Clock
from rhetor.core.errors import BadRequest, Code
from rhetor.sessions.backend import Ability, Condition, Setup
from rhetor.sessions.chat.asking import Ask
from rhetor.sessions.chat.conversation import ChatConversation, Memory

NAME = "chat"
WARM_S = 30.0  # an open chat holds next to nothing, and one that is opened again reads its log either way


class Chat:
    """See `sessions.backend.Backend`.

    Args:
        ask: makes a call to a model.
        default_model: of sessions that name none; empty: whoever answers who names nobody.
        models: the only ones that sessions may name; empty: any.
        memory: how much of a chat its model is told.
    """

    name = NAME
    abilities = frozenset({Ability.STREAMING, Ability.CONTINUATION})
    features: frozenset[Feature] = frozenset()

    def __init__(
        self,
        ask: Ask,
        clock: Clock,
        memory: Memory,
        *,
        default_model: str = "",
        models: Sequence[str] = (),
        max_sessions: int = 10_000,
        warm_s: float = WARM_S,
    ) -> None:
        self.ask = ask
        self.memory = memory
        self.default_model = default_model
        self.models = tuple(models)
        self.max_sessions = max_sessions
        self.warm_s = warm_s
        self.summed_up_now: set[str] = set()
        """The sessions whose callers wait for a summary."""
        self._clock = clock

    async def check(self) -> Condition:
        return Condition(healthy=True)

    async def open(self, setup: Setup) -> ChatConversation:
        if setup.native_id not in (None, setup.session_id):
            raise BadRequest("this conversation is no chat of this session", Code.NOT_FOUND)
        return ChatConversation(self.ask, setup, self.memory, self._clock)

    async def forget(self, native_id: str, home: Path) -> None:
        """Its log is all there is of a chat."""
