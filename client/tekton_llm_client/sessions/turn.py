"""One message, and what comes of it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeAlias

from tekton_llm_client.sessions.errors import ProviderError, failed
from tekton_llm_client.sessions.models import (
    Answer,
    ApprovalRequest,
    Sent,
    SessionEvent,
    SessionStatus,
    StreamEventType,
    Verdict,
)
from tekton_llm_client.sessions.stream import EventStream

ERROR = "error"

OnApproval: TypeAlias = Callable[[ApprovalRequest], Any]
"""Gets what an agent asks, and gives back the answer: True or False, a text for the agent with a denial, or a
`Verdict`; None leaves it to somebody else. Where it is `async`, it is awaited."""


class Turn:
    """Sends a message when it is first used, and gives the events of its turn, to the end of it.

        async for event in client.converse(session_id, "Why?"):
            print(event.type, event.content)
        answer = await client.converse(session_id, "And now?")

    It survives the network and the gateway's restarts as a stream does; the message is sent once, however
    often it must be tried. Who stops before the end leaves the turn going on: see `interrupt`.
    """

    def __init__(
        self,
        send: Callable[[], Awaitable[Sent]],
        stream: Callable[[int], EventStream],
        answer: Callable[[ApprovalRequest, Verdict], Awaitable[object]],
        on_approval: OnApproval | None,
    ) -> None:
        self._send = send
        self._stream = stream
        self._answer = answer
        self._on_approval = on_approval
        self._events: EventStream | None = None
        self._heard: list[SessionEvent] = []
        self._ended = False
        self.sent: Sent | None = None
        """The message, once it was taken."""

    def __await__(self) -> Generator[Any, None, Answer]:
        return self.answer().__await__()

    async def answer(self) -> Answer:
        """The whole turn, when it has ended.

        Raises:
            ProviderError: it failed.
        """
        async for _ in self:
            pass
        assert self.sent is not None
        last = self._heard[-1]
        reason = last.reason or str(last.data.get("to"))
        if reason in (ERROR, SessionStatus.FAILED) or last.data.get("to") == SessionStatus.FAILED:
            raise self._failure()
        said = (event.content for event in self._heard if event.type == StreamEventType.ASSISTANT)
        return Answer("".join(said), reason, self.sent.message_id, last.seq, tuple(self._heard))

    def __aiter__(self) -> AsyncIterator[SessionEvent]:
        return self

    async def __anext__(self) -> SessionEvent:
        if self._ended:
            raise StopAsyncIteration
        if self._events is None:
            self.sent = await self._send()
            self._events = self._stream(self.sent.seq)
        try:
            event = await anext(self._events)
        except StopAsyncIteration:  # as it happens with a session that was forgotten
            raise self._failure() from None
        self._heard.append(event)
        if event.ends_turn or event.ends_session:
            await self.aclose()
        elif self._on_approval is not None and (request := event.approval) is not None:
            await self._decide(self._on_approval, request)
        return event

    async def aclose(self) -> None:
        """Hear no more of it; it goes on."""
        self._ended = True
        if self._events is not None:
            await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _decide(self, on_approval: OnApproval, request: ApprovalRequest) -> None:
        said = on_approval(request)
        if inspect.isawaitable(said):
            said = await said
        if said is not None:
            await self._answer(request, verdict_of(said))

    def _failure(self) -> ProviderError:
        assert self.sent is not None
        errors = [event for event in self._heard if event.type == StreamEventType.ERROR]
        session = self.sent.session
        if not errors:
            return ProviderError("the turn ended without a word", session.backend, session.id)
        last = errors[-1]
        return failed(last.content, last.data.get("code"), last.data.get("origin"), session)


def verdict_of(said: object) -> Verdict:
    """An answer in one of its short forms.

    Raises:
        TypeError: it is none.
    """
    match said:
        case Verdict():
            return said
        case bool():
            return Verdict("allow" if said else "deny")
        case str():
            return Verdict("deny", message=said)
    raise TypeError(f"an approval is answered by True, False, a text or a Verdict, not {said!r}")
